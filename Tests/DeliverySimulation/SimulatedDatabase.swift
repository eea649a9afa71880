// A database that goes away, fails, and leaves it open whether a COMMIT took place. It knows what the ledger knows.

import Delivery
import FrameCodec
import MetricKinds

/// How an attempt to commit ended, as the collector sees it.
enum CommitOutcome {
    case stored
    /// The ledger had the batch.
    case storedBefore
    /// Another batch has stored one of the session's frames.
    case framesStoredBefore
    /// The server says no; the connection is there.
    case refused
    /// The connection is gone: the outcome is not known.
    case unknown
    /// The kind's table accepts nothing.
    case tableRefuses(MetricKind)
}

/// What an attempt writes in its transaction.
struct SimulatedTransaction {
    let identity: BatchIdentity
    let rows: [SimulatedFrame]
    let letters: [SimulatedFrame]
    let sessions: [SessionFrames]
    /// Nil for a whole batch.
    var part: Part?

    /// What a part of a batch writes into the ledger.
    enum Part: Equatable {
        /// The batch's frames belong to it but for those at these places.
        case claim(passedOver: Set<Int>)
        case kinds(KindSet)
        /// No kind is left.
        case end
    }
}

/// What the ledger has of a batch that is stored kind by kind.
struct SimulatedParts {
    var kinds: KindSet = []
    var passedOver: Set<Int> = []
}

final class SimulatedDatabase {
    private var dice: Dice
    var isUp = true
    /// The kinds whose tables accept nothing.
    var refusing: KindSet = []
    private(set) var parts: [BatchIdentity: SimulatedParts] = [:]
    /// Transactions that stored some kinds of a batch.
    private(set) var partsStored = 0
    private(set) var ledger: Set<BatchIdentity> = []
    private(set) var rows: [SimulatedFrame: Int] = [:]
    private(set) var letters: [SimulatedFrame: Int] = [:]
    private var sessions: [SessionKey: SequenceRanges] = [:]
    /// Transactions whose COMMIT is on its way.
    private var late: [SimulatedTransaction] = []

    init(dice: Dice) { self.dice = dice }

    /// One transaction.
    func store(_ transaction: SimulatedTransaction) -> CommitOutcome {
        guard isUp else { return .unknown }
        // A repeated key waits for its owner, and a session's lock for the one who holds it.
        let waits = late.contains { other in
            other.identity == transaction.identity || other.sessions.contains { isShared($0, transaction.sessions) }
        }
        if waits { finishLate() }
        if ledger.contains(transaction.identity) { return .storedBefore }
        if transaction.part == nil { precondition(parts[transaction.identity] == nil, "it was begun in parts") }
        if let row = transaction.rows.first(where: { refusing.contains($0.kind) }) { return .tableRefuses(row.kind) }
        if transaction.sessions.contains(where: { isShared($0, stored) }) { return .framesStoredBefore }
        switch dice.below(100) {
        case 0..<6: return .refused
        case 6..<10: return .unknown
        case 10..<14:
            commit(transaction)
            return .unknown
        case 14..<18:
            late.append(transaction)
            return .unknown
        default:
            commit(transaction)
            return .stored
        }
    }

    private var stored: [SessionFrames] { sessions.map { SessionFrames(key: $0, sequences: $1) } }

    private func isShared(_ frames: SessionFrames, _ others: [SessionFrames]) -> Bool {
        others.contains { $0.key == frames.key && $0.sequences.intersects(frames.sequences) }
    }

    private func commit(_ transaction: SimulatedTransaction) {
        switch transaction.part {
        case nil: precondition(ledger.insert(transaction.identity).inserted)
        case .claim(let passedOver):
            precondition(parts[transaction.identity] == nil)
            parts[transaction.identity] = SimulatedParts(passedOver: passedOver)
        case .kinds(let kinds):
            partsStored += 1
            precondition(parts[transaction.identity]?.kinds.isDisjoint(with: kinds) == true, "a kind is stored twice")
            parts[transaction.identity]?.kinds.formUnion(kinds)
        case .end:
            parts[transaction.identity] = nil
            precondition(ledger.insert(transaction.identity).inserted)
        }
        for frame in transaction.rows { rows[frame, default: 0] += 1 }
        keep(transaction.letters)
        for frames in transaction.sessions {
            sessions[frames.key, default: SequenceRanges()].formUnion(frames.sequences)
        }
    }

    /// Letters that are not there yet.
    func keep(_ more: [SimulatedFrame]) {
        for frame in more where letters[frame] == nil { letters[frame] = 1 }
    }

    /// Transactions on their way end, one way or the other. What a new run's fence waits for.
    func finishLate() {
        for transaction in late where dice.happens(perMille: 500) { commit(transaction) }
        late = []
    }

    /// After the end of an attempt whose COMMIT is on its way.
    func parts(of identity: BatchIdentity) -> SimulatedParts? {
        if late.contains(where: { $0.identity == identity }) { finishLate() }
        return parts[identity]
    }

    func isStored(_ identity: BatchIdentity) -> Bool {
        if late.contains(where: { $0.identity == identity }) { finishLate() }
        return ledger.contains(identity)
    }

    /// What a welcome says.
    func stored(of key: SessionKey) -> SequenceRanges { sessions[key] ?? SequenceRanges() }

    /// Which of these frames are stored.
    func stored(among frames: [SessionFrames]) -> [SessionKey: SequenceRanges] {
        var found: [SessionKey: SequenceRanges] = [:]
        for frames in frames {
            guard let stored = sessions[frames.key], stored.intersects(frames.sequences) else { continue }
            found[frames.key] = stored
        }
        return found
    }
}
