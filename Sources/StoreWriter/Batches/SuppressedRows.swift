// Stores a batch in which a trigger suppresses rows: a BEFORE trigger that returns NULL, or a policy of another kind that drops rows
// without an error. COPY's command tag says how many rows are stored, and nothing says which. So the rows of each source go in a
// COPY of their own, and the difference is counted for it.
//
// Limits: a COPY for each table and source of the batch, `sourcesMax` sources each; the rows of the others go together, and what is
// suppressed of them is counted for the first of these.

import Delivery
import FrameCodec
import MetricKinds
import Postgres
import StoreSchema

package struct SuppressedRows {
    private static let sourcesMax = 256

    package let connection: DatabaseConnection
    package let frames: UnsafeRawBufferPointer
    package let decoded: DecodedBatch
    package let summary: BatchSummary

    /// One transaction. O(bytes).
    ///
    /// - Parameter outcome: gets what was suppressed, in place of what an attempt before has found.
    package func store(_ entry: LedgerEntry, _ outcome: inout StoredBatch) throws(DatabaseError) {
        outcome.suppressed = [:]
        outcome.suppressedByTable = [:]
        let sources = sourcesOfRows()
        try entry.begin(connection)
        try TableCheck.run(decoded.rows.kinds, connection)
        for kind in SchemaSQL.kindsByTable where decoded.rows.rowCount(kind) > 0 {
            try decoded.rows.withRows(kind) { (bytes) throws(DatabaseError) in
                let offsets = CopyRows.rowOffsets(bytes)
                for (source, rows) in Self.groups(sources[kind] ?? []) {
                    let stored = try connection.copy(into: kind) { () throws(DatabaseError) in
                        var data = Array(bytes[..<CopyTable.headerBytes])
                        for row in rows {
                            data += bytes[offsets[row]..<offsets[row + 1]]
                            guard data.count >= DatabaseConnection.copyPieceBytes else { continue }
                            try connection.sendCopyData(data)
                            data.removeAll(keepingCapacity: true)
                        }
                        try connection.sendCopyData(data)
                    }
                    if stored < rows.count {
                        outcome.addSuppressed(rows.count - stored, of: kind, source: source)
                    }
                }
            }
        }
        try entry.commit(connection)
    }

    /// The source of each row, by table, in the order of `decoded.rows`. O(bytes).
    private func sourcesOfRows() -> [MetricKind: [UInt64]] {
        var sources: [MetricKind: [UInt64]] = [:]
        var decoder = FrameDecoder()
        var place = -1
        forEachFrame(frames) { frame, header, _ in
            place += 1
            guard !decoded.skips(header, at: place, of: summary) else { return }
            let source = header.identity.source
            var counts: [MetricKind: Int] = [:]
            var counter = RecordCollector { kind, time in
                guard decoded.judgement.accepts(time, of: kind, source: source, arrival: summary.openedMicroseconds)
                else { return false }
                counts[kind, default: 0] += 1
                return false
            }
            do throws(FrameError) {
                try decoder.decode(frame, header: header, &counter)
            } catch {
                // A malformed frame has no rows.
                return
            }
            for (kind, count) in counts {
                sources[kind, default: []] += repeatElement(source, count: count)
            }
        }
        return sources
    }

    /// The rows of each source.
    private static func groups(_ sources: [UInt64]) -> [(source: UInt64, rows: [Int])] {
        var groups: [(source: UInt64, rows: [Int])] = []
        var places: [UInt64: Int] = [:]
        for (row, source) in sources.enumerated() {
            if let place = places[source] {
                groups[place].rows.append(row)
            } else if groups.count < sourcesMax {
                places[source] = groups.count
                groups.append((source, [row]))
            } else {
                groups[sourcesMax - 1].rows.append(row)
            }
        }
        return groups
    }
}
