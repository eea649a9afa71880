// What the ledger has of a batch that is stored in several transactions: rows of `spillway.batch_parts`, which the batch's own
// row in `spillway.batches` replaces in the end.
//
// A batch goes in parts for one of two reasons. Its frames touch too many chunks: then each frame has a row (`PartedStore`). Or
// a table accepts nothing: then a first row claims all of the batch's frames, and each stored kind has a row (`KindStore`).

import Delivery
import MetricKinds
import Postgres

/// A row of `spillway.batch_parts`.
package struct BatchPart: Equatable {
    /// The id of a kind; 0 for all of them, -1 for none.
    package let kind: Int
    /// The place of a frame in the batch; -1 for all of them.
    package let frame: Int

    /// The batch is stored kind by kind, and its frames belong to it.
    package static let claim = BatchPart(kind: 0, frame: -1)

    /// The rows of a kind are stored.
    package static func kind(_ kind: MetricKind) -> BatchPart { BatchPart(kind: Int(kind.rawValue), frame: -1) }

    /// The rows of a frame are stored, of all kinds or of one.
    package static func frame(_ place: Int, of kind: MetricKind? = nil) -> BatchPart {
        BatchPart(kind: kind.map { Int($0.rawValue) } ?? 0, frame: place)
    }

    /// Another batch has stored the frame.
    package static func passedOver(_ place: Int) -> BatchPart { BatchPart(kind: -1, frame: place) }
}

/// The rows of a batch.
package struct BatchParts {
    /// Whether it is stored kind by kind.
    private(set) var isClaimed = false
    /// The places of frames whose rows are all stored.
    private(set) var frames: Set<Int> = []
    /// The places of frames that another batch has stored.
    private(set) var passedOver: Set<Int> = []
    private(set) var kinds: KindSet = []
    /// The frames that are stored of kinds which are not stored as a whole.
    private(set) var framesOfKinds: [MetricKind: Set<Int>] = [:]

    package init() {}

    package mutating func add(_ part: BatchPart) {
        switch (part.kind, part.frame) {
        case (0, -1): isClaimed = true
        case (0, let place): frames.insert(place)
        case (-1, let place): passedOver.insert(place)
        case (let id, let place):
            guard let kind = UInt8(exactly: id).flatMap({ MetricKind(rawValue: $0) }) else { return }
            if place < 0 { kinds.insert(KindSet(kind)) } else { framesOfKinds[kind, default: []].insert(place) }
        }
    }

    /// The statement that removes the rows of a batch, of all kinds or of one, in front of the one that replaces them.
    package static func deletion(of identity: BatchIdentity, _ kind: MetricKind? = nil) -> String {
        "DELETE FROM spillway.batch_parts WHERE epoch = \(identity.epoch) AND sequence = \(identity.sequence)"
            + (kind.map { " AND kind = \($0.rawValue)" } ?? "") + "; "
    }

    /// What is stored; nil when all of the batch is. One statement, and so one moment: the rows go with the transaction that
    /// writes the batch's row.
    package static func read(
        _ connection: DatabaseConnection, _ identity: BatchIdentity
    ) throws(DatabaseError) -> BatchParts? {
        let rows = try connection.inTransaction { () throws(DatabaseError) in
            // After an attempt whose COMMIT is on its way.
            try connection.execute(
                LedgerEntry.lockStatement(identity), operation: "waiting for an earlier attempt at a batch")
            return try connection.query(
                """
                SELECT kind, frame FROM spillway.batch_parts WHERE epoch = $1 AND sequence = $2
                UNION ALL SELECT NULL, NULL FROM spillway.batches WHERE epoch = $1 AND sequence = $2
                UNION ALL SELECT NULL, NULL FROM spillway.batch_ranges
                    WHERE epoch = $1::bigint AND first <= $2::bigint AND behind > $2::bigint
                """, [String(identity.epoch), String(identity.sequence)],
                operation: "looking for stored parts of a batch")
        }
        var parts = BatchParts()
        for row in rows {
            guard let kind = row[0].flatMap({ Int($0) }), let frame = row[1].flatMap({ Int($0) }) else { return nil }
            parts.add(BatchPart(kind: kind, frame: frame))
        }
        return parts
    }
}
