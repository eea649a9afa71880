// One run of a collector, from its start to its stop or crash: the real decisions and the real spill, with the threads' work
// done step by step in whatever order the scheduler chooses.

import Delivery
import FrameCodec
import SpillLog

/// What a run has counted, by the equation of the conservation ledger, in frames.
struct SimulatedBooks {
    var received = 0
    var committed = 0
    var resent = 0
    var lost = 0
    var damaged = 0
}

struct SimulatedCollector: ~Copyable {
    static let slots = 7
    static let lanes = 2
    static let batchFramesMax = 6

    let epoch: Int64
    private let disk: SimulatedDisk
    var plan: DeliveryPlan
    var book: SessionBook
    private(set) var books = SimulatedBooks()
    private var writer: SpillWriter
    private let readers: [SpillReader]
    private var frames: [[SimulatedFrame]]
    private var ring: [SimulatedFrame] = []
    private var open: BatchSlot?
    private var sequence: Int64 = 0
    private var laneWork: [LaneWork?] = Array(repeating: nil, count: lanes)
    private var spilling: [BatchSlot] = []
    var now: UInt64 = 1

    /// Starts on what is on the disk.
    init(epoch: Int64, disk: SimulatedDisk, isJournal: Bool) throws(SpillError) {
        self.epoch = epoch
        self.disk = disk
        plan = DeliveryPlan(
            limits: DeliveryPlan.Limits(
                slots: Self.slots, lanes: Self.lanes, waitingMax: Self.lanes, isJournal: isJournal))
        book = SessionBook(hasStore: true)
        readers = (0..<Self.lanes).map { _ in SpillReader(fileSystem: disk) }
        frames = Array(repeating: [], count: Self.slots)
        var recovered: [([SessionFrames], Bool)] = []
        let recovery = try SpillRecovery(fileSystem: disk, onSessions: { recovered.append(($0, $1)) })
        for (sessions, isDurable) in recovered { book.recovered(sessions, isDurable: isDurable) }
        for segment in recovery.segments {
            plan.recovered(
                segment.name, batches: segment.batches, copies: segment.copies,
                keepInQuarantine: segment.mustKeepInQuarantine)
        }
        books.received = recovery.records
        var limits = SpillLimits()
        limits.segmentBytesMax = 2_000
        writer = SpillWriter(
            fileSystem: disk, directoryID: 1, epoch: UInt64(bitPattern: epoch), limits: limits,
            found: Dictionary(uniqueKeysWithValues: recovery.segments.map { ($0.name, UInt64($0.sizeBytes)) }))
    }

    // MARK: Listeners

    /// A frame over TCP.
    mutating func receive(_ frame: SimulatedFrame) {
        guard book.admit(frame.key, frame.sequence) == .fresh else { return }
        books.received += 1
        ring.append(frame)
    }

    /// A datagram, which is dropped and counted when there is no room.
    mutating func receiveDatagram(_ frame: SimulatedFrame) {
        books.received += 1
        if ring.count < 40 { ring.append(frame) } else { books.lost += 1 }
    }

    var hasRoom: Bool { ring.count < 30 }

    // MARK: Threads, a step each

    mutating func drain(_ dice: inout Dice) {
        guard open != nil || !ring.isEmpty, let slot = open ?? plan.openSlot() else { return }
        open = slot
        while frames[slot].count < Self.batchFramesMax, !ring.isEmpty { frames[slot].append(ring.removeFirst()) }
        guard plan.isStopping || frames[slot].count == Self.batchFramesMax || dice.happens(perMille: 300) else {
            return
        }
        sequence += 1
        var sessions: [SessionKey: SequenceRanges] = [:]
        for frame in frames[slot] where !frame.isDatagram {
            sessions[frame.key, default: SequenceRanges()].insert(frame.sequence)
        }
        plan.close(
            slot,
            BatchSummary(
                identity: BatchIdentity(epoch: epoch, sequence: sequence), recordCount: frames[slot].count,
                frameCount: frames[slot].count, byteCount: frames[slot].count * SimulatedFrame.byteCount,
                openedMicroseconds: Int64(now),
                sessions: sessions.map { SessionFrames(key: $0, sequences: $1) }.sorted { $0.key < $1.key }))
        open = nil
    }

    mutating func stepLane(_ lane: Int, _ database: inout SimulatedDatabase, _ dice: inout Dice) {
        guard let work = laneWork[lane] else {
            if case .lost = plan.laneStates[lane] {
                if database.isUp { plan.laneConnected(lane) }
                return
            }
            laneWork[lane] = plan.work(forLane: lane, now: now)
            return
        }
        laneWork[lane] = nil
        var summary: BatchSummary
        let content: [SimulatedFrame]
        switch work {
        case .live(let slot, let live):
            summary = live
            content = frames[slot]
        case .replay(let batch):
            summary = batch.summary
            var bytes = [UInt8](repeating: 0, count: batch.summary.byteCount)
            do throws(SpillError) {
                var span = bytes.mutableSpan
                var target = span.mutableBytes
                summary.sessions = try readers[lane].sessions(of: batch)
                try target.withUnsafeMutableBytes { (target) throws(SpillError) in
                    try readers[lane].read(batch, into: target)
                }
            } catch {
                if let lost = plan.unreadable(lane: lane, error.readFailure, now: now) {
                    books.damaged += lost.recordCount
                    book.lost(summary.sessions)
                }
                return
            }
            content = SimulatedFrame.read(bytes)
        }
        let unasked = book.unasked(summary.sessions)
        if !unasked.isEmpty {
            guard database.isUp else { return plan.failed(lane: lane, isLaneLost: true, now: now) }
            for (key, stored) in database.stored(of: unasked) { book.asked(key, stored: stored) }
        }
        let before = book.storedBefore(summary.sessions)
        let fresh = content.filter { $0.isDatagram || !(before[$0.key]?.contains($0.sequence) ?? false) }
        switch database.store(summary, fresh, &dice) {
        case .stored, .storedBefore:
            books.committed += fresh.count
            books.resent += content.count - fresh.count
            book.durable(summary.sessions)
            book.settled(summary.sessions)
            if case .replay = work { book.replayed(summary.sessions) }
            if let slot = plan.stored(lane: lane).slot { frames[slot] = [] }
        case .refused: plan.failed(lane: lane, isLaneLost: false, now: now)
        case .unknown: plan.failed(lane: lane, isLaneLost: true, now: now)
        }
    }

    /// Takes batches for the spill, or writes those that were taken: a crash may come in between.
    mutating func stepSpill() {
        guard !spilling.isEmpty else {
            spilling = plan.spillWork(max: 3, now: now)
            return
        }
        let slots = spilling
        spilling = []
        var written: [(slot: BatchSlot, batch: SpilledBatch)] = []
        do throws(SpillError) {
            for slot in slots {
                let bytes = SimulatedFrame.bytes(frames[slot])
                let batch = try bytes.span.bytes.withUnsafeBytes { (raw) throws(SpillError) in
                    try writer.append(plan.summary(slot), frames: raw, nowMicroseconds: Int64(now))
                }
                written.append((slot, batch))
            }
            try writer.sync()
        } catch {
            if let name = writer.abandonSegment() { plan.segmentEnded(name) }
            for name in writer.takeEndedSegments() { plan.segmentEnded(name) }
            return plan.spillFailed(slots, reason: "\(error)", retryAt: now + 5)
        }
        for name in writer.takeEndedSegments() { plan.segmentEnded(name) }
        for (_, batch) in written { book.durable(batch.summary.sessions) }
        plan.spilled(written)
        for (slot, _) in written { frames[slot] = [] }
    }

    mutating func tidy() {
        if let name = writer.currentSegment, spilling.isEmpty, plan.isSettled(name) {
            do throws(SpillError) {
                if let ended = try writer.endSegment() { plan.segmentEnded(ended) }
            } catch {
                if let ended = writer.abandonSegment() { plan.segmentEnded(ended) }
            }
        }
        for (name, keep) in plan.takeSettledSegments() {
            do throws(SpillError) {
                try writer.remove(name, keepInQuarantine: keep)
            } catch {
                plan.removalFailed(name, keepInQuarantine: keep)
            }
        }
    }

    /// The stop has no more time: what is nowhere else is counted as lost.
    mutating func abandon() {
        for summary in plan.abandonAll() { books.lost += summary.recordCount }
        for slot in frames.indices where plan.places[slot] == .free { frames[slot] = [] }
        books.lost += ring.count
        ring = []
    }

    var isEmpty: Bool { ring.isEmpty && open == nil && plan.isEmpty && laneWork.allSatisfy { $0 == nil } }

    /// Received and neither stored nor lost nor in the spill.
    var unaccounted: Int {
        books.received - books.committed - books.resent - books.lost - books.damaged - Int(plan.spillRecords)
    }
}

extension SimulatedFrame {
    static func bytes(_ frames: [SimulatedFrame]) -> [UInt8] {
        var bytes: [UInt8] = []
        for frame in frames {
            for value in [UInt64(frame.client), frame.sequence, frame.isDatagram ? 1 : 0] {
                withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
            }
        }
        return bytes
    }

    static func read(_ bytes: [UInt8]) -> [SimulatedFrame] {
        bytes.withUnsafeBytes { raw in
            stride(from: 0, to: raw.count, by: byteCount).map { offset in
                let values = (0..<3).map {
                    UInt64(littleEndian: raw.loadUnaligned(fromByteOffset: offset + 8 * $0, as: UInt64.self))
                }
                return SimulatedFrame(client: Int(values[0]), sequence: values[1], isDatagram: values[2] == 1)
            }
        }
    }
}
