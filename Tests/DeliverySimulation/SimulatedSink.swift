// A lane's sink in the simulation: what `BatchWriter` does with a database, done with the simulated one.

import Delivery
import Drain
import FrameCodec
import MetricKinds
import StoreWriter

/// Why an attempt failed.
struct SimulatedFailure: SinkFailure {
    let description: String
    var refusingKind: MetricKind?
    var areFramesStoredBefore = false
    var passesByItself: Bool { areFramesStoredBefore }
}

/// A connection to the simulated database.
struct SimulatedSink: BatchSink {
    let database: SimulatedDatabase
    private(set) var isConnected = false
    let judgement = TimeJudgement()

    init(_ database: SimulatedDatabase) { self.database = database }

    mutating func connect() throws(SimulatedFailure) {
        guard database.isUp else { throw SimulatedFailure(description: "it is away") }
        isConnected = true
    }

    mutating func storedFrames(
        among frames: [SessionFrames]
    ) throws(SimulatedFailure) -> [SessionKey: SequenceRanges] {
        try checkIsUp()
        return database.stored(among: frames)
    }

    private mutating func checkIsUp() throws(SimulatedFailure) {
        guard database.isUp else { throw lost("it is away") }
    }

    private mutating func lost(_ reason: String) -> SimulatedFailure {
        isConnected = false
        return SimulatedFailure(description: reason)
    }

    mutating func store(
        _ summary: BatchSummary, frames: UnsafeRawBufferPointer, decoded: DecodedBatch, isReplay: Bool,
        without held: KindSet, counted: StoredPart?
    ) throws(SimulatedFailure) -> StoredBatch {
        try checkIsUp()
        guard decoded.recordCount > 0 || isReplay else { return StoredBatch() }
        let batch = ReadBatch(summary, frames, decoded, isReplay: isReplay)
        if isReplay, !held.isEmpty || counted != nil || database.parts(of: summary.identity) != nil {
            return try storeByKinds(batch, frames, decoded, without: held, counted)
        }
        let isNew = try commit(
            SimulatedTransaction(
                identity: summary.identity, rows: batch.rows, letters: batch.letters, sessions: batch.sessions))
        if !isNew { database.keep(batch.letters) }
        return StoredBatch(wasStoredBefore: !isNew, deadLetters: ReadBatch.countBySource(batch.letters))
    }

    /// - Returns: false when the ledger has the batch.
    private mutating func commit(_ transaction: SimulatedTransaction) throws(SimulatedFailure) -> Bool {
        switch database.store(transaction) {
        case .stored: return true
        case .storedBefore: return false
        case .framesStoredBefore:
            throw SimulatedFailure(description: "frames are stored", areFramesStoredBefore: true)
        case .refused: throw SimulatedFailure(description: "no")
        case .unknown: throw lost("the connection is gone")
        case .tableRefuses(let kind): throw SimulatedFailure(description: "no", refusingKind: kind)
        }
    }

    /// As `KindStore` does: the claim, the kinds that are not held, and the end, a transaction each.
    private mutating func storeByKinds(
        _ batch: ReadBatch, _ frames: UnsafeRawBufferPointer, _ decoded: DecodedBatch, without held: KindSet,
        _ counted: StoredPart?
    ) throws(SimulatedFailure) -> StoredBatch {
        let summary = batch.summary
        if database.isStored(summary.identity) {
            if let counted {
                // Only the rest was not counted.
                decoded.decode(frames, summary, passingOver: counted.settledFrames, leavingOut: counted.kinds)
            }
            database.keep(batch.letters)
            return StoredBatch(wasStoredBefore: true, deadLetters: ReadBatch.countBySource(batch.letters))
        }
        if database.parts(of: summary.identity) == nil {
            guard
                try commit(
                    SimulatedTransaction(
                        identity: summary.identity, rows: [], letters: batch.letters, sessions: batch.sessions,
                        part: .claim(passedOver: batch.passedOver)))
            else { return StoredBatch(wasStoredBefore: true) }
        }
        guard let parts = database.parts(of: summary.identity) else { preconditionFailure("it is claimed") }
        func rows(_ kinds: KindSet) -> [SimulatedFrame] {
            batch.frames.enumerated().filter {
                !$0.element.isMalformed && kinds.contains($0.element.kind) && !parts.passedOver.contains($0.offset)
            }.map(\.element)
        }
        var outcome = StoredBatch()
        outcome.partRecords = ReadBatch.countBySource(rows(parts.kinds.subtracting(counted?.kinds ?? [])))
        let left = parts.kinds.union(held)
        decoded.decode(frames, summary, passingOver: parts.passedOver, leavingOut: left)
        let kinds = decoded.kinds
        if !kinds.isEmpty {
            let isNew = try commit(
                SimulatedTransaction(
                    identity: summary.identity, rows: rows(kinds), letters: [], sessions: [], part: .kinds(kinds)))
            guard isNew else { throw SimulatedFailure(description: "another attempt has stored it") }
        }
        if counted == nil {
            let letters = batch.frames.enumerated().filter {
                $0.element.isMalformed && !parts.passedOver.contains($0.offset)
                    && summary.isAcknowledged($0.element.identity, at: $0.offset)
            }
            outcome.deadLetters = ReadBatch.countBySource(letters.map(\.element))
        }
        for kind in held.subtracting(parts.kinds).kinds {
            let waiting = rows(KindSet(kind)).count
            if waiting > 0 { outcome.waiting[kind] = waiting }
        }
        outcome.kinds = parts.kinds.union(kinds)
        outcome.settledFrames = parts.passedOver
        if outcome.waiting.isEmpty {
            _ = try commit(
                SimulatedTransaction(identity: summary.identity, rows: [], letters: [], sessions: [], part: .end))
        }
        return outcome
    }
}

/// What the frames of a batch are to a database, as far as the decoder has said.
private struct ReadBatch {
    let summary: BatchSummary
    let frames: [SimulatedFrame]
    /// The places of frames that are stored already.
    let passedOver: Set<Int>
    let rows: [SimulatedFrame]
    /// Malformed frames that were acknowledged.
    let letters: [SimulatedFrame]
    /// The sequences that the transaction claims.
    let sessions: [SessionFrames]

    init(_ summary: BatchSummary, _ bytes: UnsafeRawBufferPointer, _ decoded: DecodedBatch, isReplay: Bool) {
        self.summary = summary
        frames = SimulatedFrame.read(bytes)
        var passedOver: Set<Int> = []
        decoded.forEachPassedOver(bytes, summary) { passedOver.insert($0) }
        self.passedOver = passedOver
        let refused = Set(decoded.refused.map(\.place))
        rows = frames.enumerated().filter { !passedOver.contains($0.offset) && !refused.contains($0.offset) }.map(
            \.element)
        let letters = decoded.refused.filter { isReplay && $0.isAcknowledged }
        self.letters = letters.map { [frames] in frames[$0.place] }
        var sequences: [SessionKey: SequenceRanges] = [:]
        for (place, frame) in frames.enumerated()
        where !passedOver.contains(place) && summary.isAcknowledged(frame.identity, at: place) {
            if refused.contains(place), !isReplay { continue }
            sequences[frame.key, default: SequenceRanges()].insert(frame.sequence)
        }
        sessions = sequences.map { SessionFrames(key: $0, sequences: $1) }.sorted { $0.key < $1.key }
    }

    static func countBySource(_ frames: [SimulatedFrame]) -> [UInt64: Int] {
        frames.reduce(into: [:]) { $0[$1.key.source, default: 0] += 1 }
    }
}
