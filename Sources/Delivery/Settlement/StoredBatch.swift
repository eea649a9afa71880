// What an attempt to store a batch has stored, for whom, and what it set aside.

import MetricKinds

/// How an attempt to store a batch ended well.
public struct StoredBatch: Sendable, Equatable {
    /// The ledger has the batch from another attempt, which was committed; of one in parts, the rest of it.
    public var wasStoredBefore: Bool
    /// Records that the server refused and that went to `spillway.dead_letters`, by source.
    public var deadLetters: [UInt64: Int]
    /// Records, by source, of frames that were passed over as stored and that an earlier attempt at this very batch had stored
    /// as a part of it.
    public var ownRecords: [UInt64: Int]
    /// Records, by source, of kinds that an earlier attempt at this very batch had stored and that the caller has not counted.
    public var partRecords: [UInt64: Int] = [:]
    /// Those of the dead letters that belong to `partRecords`.
    public var partDeadLetters = 0
    /// Of a batch that is stored kind by kind, the kinds that are stored.
    public var kinds: KindSet = []
    /// The places of its frames that were stored before it was claimed, see `KindStore`.
    public var settledFrames: Set<Int> = []
    /// The records that wait for their tables, by kind: the rest of the batch is stored. Empty when all of it is.
    public var waiting: [MetricKind: Int] = [:]
    /// Records, by source, whose rows a trigger suppressed: COPY took them and did not store them. What an earlier attempt
    /// suppressed is not known.
    public var suppressed: [UInt64: Int] = [:]
    /// The same rows, by table.
    public var suppressedByTable: [String: Int] = [:]

    public init(
        wasStoredBefore: Bool = false, deadLetters: [UInt64: Int] = [:], ownRecords: [UInt64: Int] = [:]
    ) {
        self.wasStoredBefore = wasStoredBefore
        self.deadLetters = deadLetters
        self.ownRecords = ownRecords
    }

    package mutating func add(_ letters: [UInt64: Int]) { deadLetters.merge(letters, uniquingKeysWith: +) }

    /// What a transaction of its kinds or parts set aside.
    package mutating func add(_ part: StoredBatch) {
        add(part.deadLetters)
        addSuppressed(part)
    }
}

extension StoredBatch {
    package mutating func addSuppressed(_ rows: Int, of kind: MetricKind, source: UInt64) {
        suppressed[source, default: 0] += rows
        suppressedByTable["\(MetricKind.schemaName).\(kind.tableName)", default: 0] += rows
    }

    package mutating func addSuppressed(_ part: StoredBatch) {
        suppressed.merge(part.suppressed, uniquingKeysWith: +)
        suppressedByTable.merge(part.suppressedByTable, uniquingKeysWith: +)
    }

    /// Of a table's rows of several sources, when it is not known whose were suppressed: from the sources in their order, as many
    /// as each has.
    package mutating func addSuppressed(_ rows: Int, of kind: MetricKind, in sources: [UInt64: SourceRecords]) {
        var left = rows
        for (source, records) in sources.sorted(by: { $0.key < $1.key }) where left > 0 {
            let taken = min(left, records.rows - (suppressed[source] ?? 0) - (deadLetters[source] ?? 0))
            guard taken > 0 else { continue }
            addSuppressed(taken, of: kind, source: source)
            left -= taken
        }
    }
}
