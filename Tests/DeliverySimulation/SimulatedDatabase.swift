// A database that goes away, fails, and leaves it open whether a COMMIT took place. It knows what the ledger knows.

import Delivery
import FrameCodec

/// A frame of the simulation. Its client's number is its session's.
struct SimulatedFrame: Hashable {
    let client: Int
    /// From 1; numbered frames of one client. Datagrams count for themselves.
    let sequence: UInt64
    let isDatagram: Bool

    static let byteCount = 24

    var key: SessionKey { SessionKey(source: UInt64(client) + 1, session: 7) }
}

/// How an attempt to commit ended, as the collector sees it.
enum CommitOutcome {
    case stored
    /// The ledger had the batch.
    case storedBefore
    /// The server says no; the connection is there.
    case refused
    /// The connection is gone: nobody knows.
    case unknown
}

struct SimulatedDatabase {
    var isUp = true
    private(set) var ledger: Set<BatchIdentity> = []
    private(set) var rows: [SimulatedFrame: Int] = [:]
    private var sessions: [SessionKey: SequenceRanges] = [:]
    /// Transactions whose COMMIT is on its way.
    private var late: [(BatchSummary, [SimulatedFrame])] = []

    /// One transaction.
    mutating func store(_ summary: BatchSummary, _ frames: [SimulatedFrame], _ dice: inout Dice) -> CommitOutcome {
        guard isUp else { return .unknown }
        // A repeated key waits for its owner.
        if late.contains(where: { $0.0.identity == summary.identity }) { finishLate(&dice) }
        if ledger.contains(summary.identity) { return .storedBefore }
        switch dice.below(100) {
        case 0..<6: return .refused
        case 6..<10: return .unknown
        case 10..<14:
            commit(summary, frames)
            return .unknown
        case 14..<18:
            late.append((summary, frames))
            return .unknown
        default:
            commit(summary, frames)
            return .stored
        }
    }

    private mutating func commit(_ summary: BatchSummary, _ frames: [SimulatedFrame]) {
        precondition(ledger.insert(summary.identity).inserted)
        for frame in frames { rows[frame, default: 0] += 1 }
        for frames in summary.sessions { sessions[frames.key, default: SequenceRanges()].formUnion(frames.sequences) }
    }

    /// Transactions in the air end, one way or the other. What a new run's fence waits for.
    mutating func finishLate(_ dice: inout Dice) {
        for (summary, frames) in late where dice.happens(perMille: 500) { commit(summary, frames) }
        late = []
    }

    func stored(of keys: [SessionKey]) -> [SessionKey: SequenceRanges] {
        Dictionary(uniqueKeysWithValues: keys.map { ($0, sessions[$0] ?? SequenceRanges()) })
    }
}
