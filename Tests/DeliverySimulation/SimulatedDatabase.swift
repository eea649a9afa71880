// A database that goes away, fails, and leaves it open whether a COMMIT took place. It knows what the ledger knows.

import Delivery
import FrameCodec

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
}

/// What an attempt writes in its transaction.
struct SimulatedTransaction {
    let identity: BatchIdentity
    let rows: [SimulatedFrame]
    let letters: [SimulatedFrame]
    let sessions: [SessionFrames]
}

struct SimulatedDatabase {
    var isUp = true
    private(set) var ledger: Set<BatchIdentity> = []
    private(set) var rows: [SimulatedFrame: Int] = [:]
    private(set) var letters: [SimulatedFrame: Int] = [:]
    private var sessions: [SessionKey: SequenceRanges] = [:]
    /// Transactions whose COMMIT is on its way.
    private var late: [SimulatedTransaction] = []

    /// One transaction.
    mutating func store(_ transaction: SimulatedTransaction, _ dice: inout Dice) -> CommitOutcome {
        guard isUp else { return .unknown }
        // A repeated key waits for its owner, and a session's lock for the one who holds it.
        let waits = late.contains { other in
            other.identity == transaction.identity || other.sessions.contains { isShared($0, transaction.sessions) }
        }
        if waits { finishLate(&dice) }
        if ledger.contains(transaction.identity) { return .storedBefore }
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

    private mutating func commit(_ transaction: SimulatedTransaction) {
        precondition(ledger.insert(transaction.identity).inserted)
        for frame in transaction.rows { rows[frame, default: 0] += 1 }
        keep(transaction.letters)
        for frames in transaction.sessions {
            sessions[frames.key, default: SequenceRanges()].formUnion(frames.sequences)
        }
    }

    /// Letters that are not there yet.
    mutating func keep(_ more: [SimulatedFrame]) {
        for frame in more where letters[frame] == nil { letters[frame] = 1 }
    }

    /// Transactions on their way end, one way or the other. What a new run's fence waits for.
    mutating func finishLate(_ dice: inout Dice) {
        for transaction in late where dice.happens(perMille: 500) { commit(transaction) }
        late = []
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
