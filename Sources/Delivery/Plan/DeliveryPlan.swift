// Where every closed batch is, and where it goes next: a lane or the spill, live or replayed, and when a segment may go.
// Decides only. The threads that do the work ask it, do it, and tell it what came of it.
//
// Limits: as many batches in memory as there are slots; one reference of about 200 bytes for each spilled batch,
// whose sessions stay on the disk.
// Invariants: a slot is in one place; a batch in memory is let go only when it is committed, durable in the spill, or
// abandoned and counted; a segment is removed only when each of its batches is settled, whichever copy of it was stored. What
// the plan gives to a thread is a lease: the plan owns it until the thread has answered, and gives it again to one that asks
// instead of answering.

import MetricKinds

/// What a lane is to do next.
package enum LaneWork: Equatable, Sendable {
    case live(BatchSlot, BatchSummary)
    case replay(SpilledBatch)

    /// The account of its batch; of a spilled one without the sessions.
    package var summary: BatchSummary {
        switch self {
        case .live(_, let summary): summary
        case .replay(let batch): batch.summary
        }
    }

    /// Nil for a live batch.
    package var spilled: SpilledBatch? {
        switch self {
        case .live: nil
        case .replay(let batch): batch
        }
    }
}

/// Why a spilled batch could not be read.
package enum ReadFailure: Sendable {
    /// Its bytes are not those that were written.
    case damaged
    /// The disk refuses to give them.
    case diskError
    /// Something else is in the way, for example too many open files: it is tried until it works.
    case passing
}

/// The state of delivery. A plain value: no clock, no I/O, no thread.
package struct DeliveryPlan: Sendable {
    package struct Limits: Sendable {
        package var slots: Int
        package var lanes: Int
        /// Live batches that wait for a lane before the next ones go to the spill.
        package var waitingMax: Int
        /// The replayed records' share of a lane's work while there is live work too, in percent.
        package var replayPercent: Int
        /// Every batch goes through the spill.
        package var isJournal: Bool
        package var hasSpill: Bool

        package init(
            slots: Int, lanes: Int, waitingMax: Int, replayPercent: Int = 50, isJournal: Bool = false,
            hasSpill: Bool = true
        ) {
            precondition(slots > 0 && lanes > 0 && (0...100).contains(replayPercent) && (hasSpill || !isJournal))
            self.slots = slots
            self.lanes = lanes
            self.waitingMax = waitingMax
            self.replayPercent = replayPercent
            self.isJournal = isJournal
            self.hasSpill = hasSpill
        }
    }

    package enum Place: Equatable, Sendable {
        case free
        case open
        /// For a lane.
        case waiting
        case inLane(Int)
        /// For the spill's writer.
        case toSpill
        case spilling
    }

    package enum LaneState: Sendable {
        /// Nothing is known yet: it is given work.
        case fresh
        case connected
        case lost
    }

    /// A spilled batch that failed and is tried again later.
    struct Deferred: Sendable {
        let batch: SpilledBatch
        let attempts: Int
        let notBefore: UInt64
    }

    struct Segment: Sendable {
        /// Batches that are not settled.
        var open = 0
        /// Nothing more is written to it.
        var hasEnded = false
        var keepInQuarantine = false
        /// When its removal is given out the next time: it was given to the writer, which has not answered yet or failed.
        var removalNotBefore: UInt64 = 0
    }

    /// A replayed batch that failed on its own account waits so long, doubling, before it is tried again.
    static let deferFirstNanoseconds: UInt64 = 200_000_000
    static let deferLastNanoseconds: UInt64 = 60_000_000_000
    /// One that the database did not take waits no longer than this: what was in the way is removed for all of them at once.
    static let deferRefusedNanoseconds: UInt64 = 30_000_000_000
    /// A live batch that has nowhere else to go waits no longer than this.
    static let deferLiveNanoseconds: UInt64 = 5_000_000_000
    /// So often the disk may say that it cannot read a batch, over about three minutes, and then it counts as lost.
    static let readAttemptsMax = 10

    /// A removal that its receiver has not confirmed after this time is given out again.
    package static let removalLeaseNanoseconds: UInt64 = 60_000_000_000
    /// A removal that failed is tried again after this time. The other segments do not wait for it.
    package static let removalRetryNanoseconds: UInt64 = 1_000_000_000

    package let limits: Limits
    package internal(set) var places: [Place]
    var summaries: [BatchSummary?]
    /// How often each slot's batch failed on its own account, and when it is tried again.
    var failures: [(count: Int, notBefore: UInt64)]
    var waiting: [BatchSlot] = []
    var toSpill: [BatchSlot] = []
    /// What the spill's writer has and has not answered for, in its order.
    var spillLease: [BatchSlot] = []
    package internal(set) var laneStates: [LaneState]
    var laneWork: [LaneWork?]
    /// How often the replayed batch of each lane failed before.
    var laneAttempts: [Int]
    /// Oldest first; what lies before `replayStart` is taken.
    var replay: [SpilledBatch] = []
    var replayStart = 0
    var deferred: [Deferred] = []
    /// Whether the last replayed work was a deferred batch: the next one comes from the queue, if it has any.
    var lastReplayWasDeferred = false
    /// The tables that accept nothing.
    package internal(set) var holds: [MetricKind: TableHold] = [:]
    /// Spilled batches of which nothing is left but rows of held tables.
    var heldBatches: [SpilledBatch] = []
    /// Their records, by the table that they wait for.
    package internal(set) var recordsHeld: [MetricKind: Int] = [:]
    /// Further copies of spilled batches, in other segments: a batch is written again when a sync fails, and the first
    /// writing may be whole all the same. One is read where the copy before it turns out to be damaged.
    var copies: [BatchIdentity: [SpilledBatch]] = [:]
    /// Batches of lanes whose segment was disturbed, and which were written again meanwhile or cannot be.
    var movedInLanes: Set<BatchIdentity> = []
    var segments: [SegmentName: Segment] = [:]
    var share = ReplayShare()
    /// Why the spill takes nothing, and when it is tried again.
    package internal(set) var spillBlock: (reason: String, retryAt: UInt64)?
    package private(set) var isStopping = false
    private var hasGivenUp = false

    /// What the spill holds that is not settled.
    package internal(set) var spillRecords: UInt64 = 0
    package internal(set) var spillBatches = 0
    /// Bytes of these batches on disk.
    package internal(set) var spillBytes: UInt64 = 0

    package init(limits: Limits) {
        self.limits = limits
        places = Array(repeating: .free, count: limits.slots)
        summaries = Array(repeating: nil, count: limits.slots)
        failures = Array(repeating: (0, 0), count: limits.slots)
        laneStates = Array(repeating: .fresh, count: limits.lanes)
        laneWork = Array(repeating: nil, count: limits.lanes)
        laneAttempts = Array(repeating: 0, count: limits.lanes)
    }

    // MARK: The drainer

    /// A slot for the next batch; nil while all are in use.
    package mutating func openSlot() -> BatchSlot? {
        guard let slot = places.firstIndex(of: .free) else { return nil }
        places[slot] = .open
        return slot
    }

    /// The batch in the slot is closed: it goes to a lane if one will soon take it, else to the spill.
    package mutating func close(_ slot: BatchSlot, _ summary: BatchSummary) {
        precondition(places[slot] == .open)
        summaries[slot] = summary
        // A spill that takes nothing is offered one batch, so that it is noticed when it does again.
        let mayBeSpilled = canSpill || (limits.hasSpill && toSpill.isEmpty)
        if limits.isJournal || (mayBeSpilled && (areAllLanesLost || waiting.count >= limits.waitingMax)) {
            queueForSpill(slot)
        } else {
            places[slot] = .waiting
            waiting.append(slot)
        }
        if hasGivenUp { queueWaitingForSpill() }
    }

    /// Nothing came for the open slot.
    package mutating func giveBack(_ slot: BatchSlot) {
        precondition(places[slot] == .open)
        release(slot)
    }

    /// Whether the spill takes batches now.
    var canSpill: Bool { limits.hasSpill && spillBlock == nil }
    var areAllLanesLost: Bool {
        laneStates.allSatisfy { if case .lost = $0 { true } else { false } }
    }

    /// Every slot is in use, and neither lanes nor the spill will change that soon.
    package var isStuck: Bool {
        !canSpill
            && (limits.hasSpill && areAllLanesLost && !places.contains { $0 == .free || $0 == .open }
                || areAllSlotsHeld)
    }

    // MARK: Stop

    /// The collector stops: what is spilled stays for the next start.
    package mutating func stop() { isStopping = true }

    /// The stop has waited for the database long enough.
    package mutating func giveUpOnDatabase() {
        hasGivenUp = true
        queueWaitingForSpill()
    }

    /// Nothing is in memory any more.
    package var isEmpty: Bool { places.allSatisfy { $0 == .free } }

    /// Nothing is in memory but what the drainer fills, and nothing in the spill.
    package var isAtRest: Bool { places.allSatisfy { $0 == .free || $0 == .open } && spillBatches == 0 }

    /// The stop has waited for the spill as well: what is still in memory is lost.
    ///
    /// - Returns: the closed batches that are lost, in slots that are free now. No other slot may be read: the drainer may
    ///   be filling the batch in it.
    package mutating func abandonAll() -> [(slot: BatchSlot, summary: BatchSummary)] {
        var lost: [(slot: BatchSlot, summary: BatchSummary)] = []
        for slot in places.indices {
            switch places[slot] {
            case .waiting, .toSpill:
                lost.append((slot, summary(slot)))
                release(slot)
            case .free, .open, .inLane, .spilling: continue
            }
        }
        waiting = []
        toSpill = []
        return lost
    }

    // MARK: Slots

    mutating func release(_ slot: BatchSlot) {
        places[slot] = .free
        summaries[slot] = nil
        failures[slot] = (0, 0)
    }

    mutating func queueForSpill(_ slot: BatchSlot) {
        places[slot] = .toSpill
        toSpill.append(slot)
    }

    mutating func queueWaitingForSpill() {
        guard limits.hasSpill else { return }
        for slot in waiting { queueForSpill(slot) }
        waiting = []
    }
}

/// The share of replayed work while there is both: what was given to each since both were last there alone.
struct ReplayShare: Sendable {
    private static let windowRecords: UInt64 = 1_000_000
    private var liveRecords: UInt64 = 0
    private var replayedRecords: UInt64 = 0

    /// Whether the next work is replayed work.
    mutating func choosesReplay(percent: Int, live: Int, replayed: Int) -> Bool {
        // Cross-multiplied: replayed / (live + replayed) <= percent / 100.
        let chooses = percent > 0 && replayedRecords * UInt64(100 - percent) <= liveRecords * UInt64(percent)
        if chooses { replayedRecords += UInt64(replayed) } else { liveRecords += UInt64(live) }
        if liveRecords + replayedRecords > Self.windowRecords {
            liveRecords /= 2
            replayedRecords /= 2
        }
        return chooses
    }
}
