// One run of a collector, from its start to its stop or crash: the real decisions and the real spill, with the threads' work
// done step by step in whatever order the scheduler chooses.

import Delivery
import FrameCodec
import MetricKinds
import SpillLog

/// What a run has counted, by the equation of the conservation ledger, in frames.
struct SimulatedBooks {
    var received = 0
    var committed = 0
    var resent = 0
    var refused = 0
    var deadLettered = 0
    var lost = 0
    var damaged = 0
}

/// How small a collector's memory is.
struct SimulatedLimits {
    var sessionsMax = 100
    var rangesPerSessionMax = 100
    var quotaBytes: UInt64 = 1 << 30
    var isJournal = false
}

final class SimulatedCollector {
    static let slots = 7
    static let lanes = 2
    static let batchFramesMax = 6

    let epoch: Int64
    var plan: DeliveryPlan
    var book: SessionBook
    private(set) var books = SimulatedBooks()
    /// Batches that were stored in part.
    private(set) var totalParts = 0
    /// Batches that were found damaged at the start.
    let damagedBatches: Int
    /// The frames of every batch that was closed in this run.
    private(set) var closed: [BatchIdentity: [SimulatedFrame]] = [:]
    /// Frames that were not taken, until their client hears of it.
    private var refusals: [(client: Int, sequence: UInt64)] = []
    private var steps: SpillSteps
    private let disk: SimulatedDisk
    private let files = SegmentFiles()
    private let readers: [SpillReader]
    private var frames: [[SimulatedFrame]]
    private var ring: [SimulatedFrame] = []
    private var open: BatchSlot?
    private var sequence: Int64 = 0
    private var laneWork: [LaneWork?] = Array(repeating: nil, count: lanes)
    private var spilling: [BatchSlot] = []
    var now: UInt64 = 1

    /// Starts on what is on the disk.
    init(epoch: Int64, disk: SimulatedDisk, limits: SimulatedLimits) throws(SpillError) {
        self.epoch = epoch
        self.disk = disk
        plan = DeliveryPlan(
            limits: DeliveryPlan.Limits(
                slots: Self.slots, lanes: Self.lanes, waitingMax: Self.lanes, isJournal: limits.isJournal))
        var sessionLimits = SessionBook.Limits()
        sessionLimits.sessionsMax = limits.sessionsMax
        sessionLimits.rangesPerSessionMax = limits.rangesPerSessionMax
        book = SessionBook(limits: sessionLimits, hasStore: true)
        let files = files
        readers = (0..<Self.lanes).map { _ in SpillReader(fileSystem: disk, files: files) }
        frames = Array(repeating: [], count: Self.slots)
        var recovered: [[SessionFrames]] = []
        let recovery = try SpillRecovery(
            fileSystem: disk, onSessions: { sessions, isDurable in if isDurable { recovered.append(sessions) } })
        for sessions in recovered { book.recovered(sessions) }
        for segment in recovery.segments {
            plan.recovered(
                segment.name, batches: segment.batches, copies: segment.copies,
                keepInQuarantine: segment.mustKeepInQuarantine)
        }
        files.keep(recovery.segments.map(\.name), of: disk)
        books.received = recovery.records + recovery.damagedRecords
        books.damaged = recovery.damagedRecords
        damagedBatches = recovery.damagedBatches
        var spillLimits = SpillLimits()
        spillLimits.segmentBytesMax = 2_000
        spillLimits.quotaBytes = limits.quotaBytes
        steps = SpillSteps(
            SpillWriter(
                fileSystem: disk, directoryID: 1, epoch: UInt64(bitPattern: epoch), limits: spillLimits,
                found: Dictionary(uniqueKeysWithValues: recovery.segments.map { ($0.name, UInt64($0.sizeBytes)) }),
                files: files))
    }

    // MARK: Listeners

    /// A frame over TCP.
    ///
    /// - Returns: false when there is no room for it: the connection ends.
    func receive(_ frame: SimulatedFrame) -> Bool {
        switch book.admit(frame.key, frame.sequence) {
        case .fresh:
            books.received += 1
            ring.append(frame)
        case .resent: break
        case .refused: refusals.append((frame.client, frame.sequence))
        case .crowded: return false
        }
        return true
    }

    /// A datagram, which is dropped and counted when there is no room.
    func receiveDatagram(_ frame: SimulatedFrame) {
        books.received += 1
        if ring.count < 40 { ring.append(frame) } else { books.lost += 1 }
    }

    var hasRoom: Bool { ring.count < 30 }

    /// What a client hears on its connection, beside acknowledgements.
    func takeRefusals(of client: Int) -> [UInt64] {
        defer { refusals.removeAll { $0.client == client } }
        return refusals.filter { $0.client == client }.map(\.sequence)
    }

    // MARK: Threads, a step each

    func drain(_ dice: inout Dice) {
        guard open != nil || !ring.isEmpty, let slot = open ?? plan.openSlot() else { return }
        open = slot
        while frames[slot].count < Self.batchFramesMax, !ring.isEmpty { frames[slot].append(ring.removeFirst()) }
        guard plan.isStopping || frames[slot].count == Self.batchFramesMax || dice.happens(perMille: 300) else {
            return
        }
        sequence += 1
        var sessions: [SessionKey: SequenceRanges] = [:]
        var acknowledged = FrameFlags()
        for frame in frames[slot] {
            acknowledged.append(!frame.isDatagram)
            if !frame.isDatagram { sessions[frame.key, default: SequenceRanges()].insert(frame.sequence) }
        }
        let identity = BatchIdentity(epoch: epoch, sequence: sequence)
        closed[identity] = frames[slot]
        plan.close(
            slot,
            BatchSummary(
                identity: identity, recordCount: frames[slot].count, frameCount: frames[slot].count,
                byteCount: frames[slot].count * SimulatedFrame.byteCount, openedMicroseconds: Int64(now),
                sessions: sessions.map { SessionFrames(key: $0, sequences: $1) }.sorted { $0.key < $1.key },
                acknowledged: acknowledged))
        open = nil
    }

    func stepLane(_ lane: Int, _ database: inout SimulatedDatabase, _ dice: inout Dice) {
        guard let work = laneWork[lane] else {
            if case .lost = plan.laneStates[lane] {
                if database.isUp { plan.laneConnected(lane) }
                return
            }
            laneWork[lane] = plan.work(forLane: lane, now: now)
            return
        }
        // A thread that asks for work again without an answer gets the same: it owns nothing of its own.
        if dice.happens(perMille: 50) { precondition(plan.work(forLane: lane, now: now) == work) }
        laneWork[lane] = nil
        switch work {
        case .live(let slot, let summary): store(lane, work, summary, frames[slot], &database, &dice)
        case .replay(let batch):
            var bytes = [UInt8](repeating: 0, count: batch.summary.byteCount)
            let summary: BatchSummary
            do throws(SpillError) {
                var span = bytes.mutableSpan
                var target = span.mutableBytes
                summary = try readers[lane].summary(of: batch)
                try target.withUnsafeMutableBytes { (target) throws(SpillError) in
                    try readers[lane].read(batch, into: target)
                }
            } catch {
                if let lost = plan.unreadable(lane: lane, error.readFailure, now: now) {
                    books.damaged += lost.recordsLeft
                }
                return
            }
            store(lane, work, summary, SimulatedFrame.read(bytes), &database, &dice)
        }
    }

    /// What decoding makes of a batch.
    private struct Decoded {
        var rows: [SimulatedFrame] = []
        var resent = 0
        var letters: [SimulatedFrame] = []
        var refused: [(frame: SimulatedFrame, isAcknowledged: Bool)] = []
        var sessions: [SessionFrames]
    }

    private func decode(
        _ content: [SimulatedFrame], _ summary: BatchSummary, without known: [SessionKey: SequenceRanges],
        isReplay: Bool
    ) -> Decoded {
        var decoded = Decoded(sessions: summary.sessions)
        for (place, frame) in content.enumerated() {
            let isAcknowledged = summary.isAcknowledged(frame.identity, at: place)
            if isAcknowledged, known[frame.key]?.contains(frame.sequence) == true {
                decoded.resent += 1
            } else if !frame.isMalformed {
                decoded.rows.append(frame)
            } else if isReplay, isAcknowledged {
                decoded.letters.append(frame)
            } else {
                decoded.refused.append((frame, isAcknowledged))
            }
        }
        for index in decoded.sessions.indices {
            let key = decoded.sessions[index].key
            for (frame, isAcknowledged) in decoded.refused where isAcknowledged && frame.key == key {
                decoded.sessions[index].sequences.remove(frame.sequence)
            }
            if let known = known[key] { decoded.sessions[index].sequences.subtract(known) }
        }
        return decoded
    }

    private func store(
        _ lane: Int, _ work: LaneWork, _ summary: BatchSummary, _ content: [SimulatedFrame],
        _ database: inout SimulatedDatabase, _ dice: inout Dice
    ) {
        let spilled: SpilledBatch? = if case .replay(let batch) = work { batch } else { nil }
        let isReplay = spilled != nil
        guard database.isUp else { return plan.failed(lane: lane, isLaneLost: true, now: now) }
        var known = isReplay ? database.stored(among: summary.sessions) : [:]
        var refused: KindSet = []
        for _ in 0..<6 {
            let decoded = decode(content, summary, without: known, isReplay: isReplay)
            let kinds: KindSet =
                isReplay && decoded.resent > 0
                ? .all : KindSet(decoded.rows.map(\.kind)).union(spilled?.waitingKinds ?? [])
            let held = plan.heldKinds(among: kinds, lane: lane, now: now).union(refused)
            guard isReplay || held.isEmpty else { return plan.failed(lane: lane, isLaneLost: false, now: now) }
            let outcome: CommitOutcome
            if let spilled, !held.isEmpty || spilled.part != nil || database.parts(of: summary.identity, &dice) != nil {
                outcome = storeByKinds(lane, spilled, summary, content, decoded, without: held, &database, &dice)
                if case .stored = outcome { return }
            } else {
                outcome = database.store(
                    SimulatedTransaction(
                        identity: summary.identity, rows: decoded.rows, letters: decoded.letters,
                        sessions: decoded.sessions), &dice)
            }
            switch outcome {
            case .tableRefuses(let kind):
                plan.hold(kind, reason: "no", now: now)
                refused.insert(KindSet(kind))
            case .framesStoredBefore: known = database.stored(among: summary.sessions)
            case .refused: return plan.failed(lane: lane, isLaneLost: false, now: now)
            case .unknown: return plan.failed(lane: lane, isLaneLost: true, now: now)
            case .stored, .storedBefore:
                let isOwn = if case .storedBefore = outcome { true } else { false }
                if isOwn { database.keep(decoded.letters) } else { plan.accepted(KindSet(decoded.rows.map(\.kind))) }
                return settle(lane, summary, decoded, isOwn: isOwn, isReplay: isReplay)
            }
        }
        plan.failed(lane: lane, isLaneLost: false, now: now)
    }

    /// As `KindStore` does, a transaction each.
    private func storeByKinds(
        _ lane: Int, _ spilled: SpilledBatch, _ summary: BatchSummary, _ content: [SimulatedFrame], _ decoded: Decoded,
        without held: KindSet, _ database: inout SimulatedDatabase, _ dice: inout Dice
    ) -> CommitOutcome {
        func attempt(
            _ part: SimulatedTransaction.Part, _ rows: [SimulatedFrame] = [], letters: [SimulatedFrame] = [],
            sessions: [SessionFrames] = []
        ) -> CommitOutcome {
            database.store(
                SimulatedTransaction(
                    identity: summary.identity, rows: rows, letters: letters, sessions: sessions, part: part), &dice)
        }
        let counted = spilled.part?.kinds
        if database.isStored(summary.identity, &dice) {
            guard let counted else { return .storedBefore }
            // Only the rest was not counted.
            let settled = spilled.part?.settledFrames ?? []
            for (place, frame) in content.enumerated() where !settled.contains(place) {
                if !frame.isMalformed, !counted.contains(frame.kind) { books.committed += 1 }
            }
            book.durable(summary.sessions)
            _ = plan.stored(lane: lane)
            return .stored
        }
        if database.parts(of: summary.identity, &dice) == nil {
            var passedOver: Set<SimulatedFrame> = []
            for (place, frame) in content.enumerated() where summary.isAcknowledged(frame.identity, at: place) {
                let isMissing = decoded.sessions.contains {
                    $0.key == frame.key && $0.sequences.contains(frame.sequence)
                }
                if !isMissing { passedOver.insert(frame) }
            }
            let outcome = attempt(
                .claim(passedOver: passedOver), letters: decoded.letters, sessions: decoded.sessions)
            guard case .stored = outcome else { return outcome }
        }
        guard let parts = database.parts(of: summary.identity, &dice) else { preconditionFailure("it is claimed") }
        let own = content.filter { !parts.passedOver.contains($0) }
        func rows(_ kinds: KindSet) -> [SimulatedFrame] { own.filter { !$0.isMalformed && kinds.contains($0.kind) } }
        let now = KindSet.all.subtracting(parts.kinds).subtracting(held)
        let stored = KindSet(rows(now).map(\.kind))
        if !stored.isEmpty {
            let outcome = attempt(.kinds(stored), rows(stored))
            guard case .stored = outcome else { return outcome }
            plan.accepted(stored)
        }
        let waiting = rows(held.subtracting(parts.kinds)).reduce(into: [MetricKind: Int]()) {
            $0[$1.kind, default: 0] += 1
        }
        if waiting.isEmpty {
            let outcome = attempt(.end)
            guard case .stored = outcome else { return outcome }
        }
        let kinds = parts.kinds.union(stored)
        books.committed += rows(kinds.subtracting(counted ?? [])).count
        if counted == nil {
            // A frame that its session has forgotten as durable may be in a batch twice.
            books.resent += content.count { parts.passedOver.contains($0) }
            for (place, frame) in content.enumerated() where frame.isMalformed && !parts.passedOver.contains(frame) {
                if summary.isAcknowledged(frame.identity, at: place) {
                    books.deadLettered += 1
                } else {
                    books.refused += 1
                }
            }
        }
        book.durable(summary.sessions)
        if waiting.isEmpty {
            _ = plan.stored(lane: lane)
        } else {
            totalParts += 1
            let settled = Set(content.indices.filter { parts.passedOver.contains(content[$0]) })
            plan.storedInPart(
                lane: lane, StoredPart(kinds: kinds, waiting: waiting, settledFrames: settled), now: self.now)
        }
        return .stored
    }

    private func settle(_ lane: Int, _ summary: BatchSummary, _ decoded: Decoded, isOwn: Bool, isReplay: Bool) {
        books.committed += decoded.rows.count + (isOwn ? decoded.resent : 0)
        books.resent += isOwn ? 0 : decoded.resent
        books.deadLettered += decoded.letters.count
        books.refused += decoded.refused.count
        var sessions = summary.sessions
        if !isReplay {
            for (frame, isAcknowledged) in decoded.refused where isAcknowledged {
                book.withdraw(frame.key, SequenceRanges([frame.sequence..<frame.sequence + 1]))
                refusals.append((frame.client, frame.sequence))
                guard let index = sessions.firstIndex(where: { $0.key == frame.key }) else { continue }
                sessions[index].sequences.remove(frame.sequence)
            }
        }
        book.durable(sessions)
        if let slot = plan.stored(lane: lane).slot { frames[slot] = [] }
    }

    /// Takes batches for the spill, or writes those that were taken: a crash may come in between.
    func stepSpill() {
        guard !spilling.isEmpty else {
            spilling = plan.spillWork(max: 3, now: now)
            return
        }
        precondition(plan.spillWork(max: 3, now: now) == spilling)
        _ = steps.write(spilling, for: self, now: now, nowMicroseconds: Int64(now))
        spilling = []
    }

    func tidy() {
        if let name = steps.currentSegment, spilling.isEmpty, plan.isSettled(name) { _ = steps.endSegment(for: self) }
        _ = steps.removeSettled(for: self, now: now)
        _ = steps.rescueDisturbed(for: self, nowMicroseconds: Int64(now))
    }

    /// Something removes one of the segments that are held open. Damage that it removes with one is lost, so such a segment is
    /// left out.
    ///
    /// - Returns: whether there was one.
    func removeSegmentFromOutside(_ dice: inout Dice) -> Bool {
        let held = plan.neededSegments.filter { files.keeps($0) && !plan.isKeptInQuarantine($0) }
        guard !held.isEmpty else { return false }
        disk.removeFromOutside(held[dice.below(held.count)].text)
        return true
    }

    /// The stop has no more time: what is nowhere else is counted as lost.
    func abandon() {
        for (slot, summary) in plan.abandonAll() {
            books.lost += summary.recordCount
            frames[slot] = []
        }
        books.lost += ring.count
        ring = []
    }

    var isEmpty: Bool { ring.isEmpty && open == nil && plan.isEmpty && laneWork.allSatisfy { $0 == nil } }
    var spillUsedBytes: UInt64 { steps.usedBytes }

    /// Received and neither stored nor lost nor in the spill.
    var unaccounted: Int {
        books.received - books.committed - books.resent - books.refused - books.deadLettered - books.lost
            - books.damaged - Int(plan.spillRecords)
    }
}

extension SimulatedCollector: SpillOwner {
    func summary(_ slot: BatchSlot) -> BatchSummary { plan.summary(slot) }

    func withFrames<Result, Failure: Error>(
        _ slot: BatchSlot, _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        let bytes = SimulatedFrame.bytes(frames[slot])
        return try bytes.span.bytes.withUnsafeBytes { (raw) throws(Failure) in try body(raw) }
    }

    func spilled(_ batches: [(slot: BatchSlot, batch: SpilledBatch)]) {
        for (slot, batch) in batches {
            book.durable(batch.summary.sessions)
            frames[slot] = []
        }
        plan.spilled(batches)
    }

    func spillFailed(_ slots: [BatchSlot], reason: String, retryAt: UInt64) {
        plan.spillFailed(slots, reason: reason, retryAt: now + 5)
    }

    func segmentEnded(_ name: SegmentName) { plan.segmentEnded(name) }
    func isSettled(_ name: SegmentName) -> Bool { plan.isSettled(name) }
    func leaseRemovals(now: UInt64) -> [SegmentRemoval] { plan.leaseRemovals(now: now) }
    func removed(_ name: SegmentName) { plan.removed(name) }
    func removalFailed(_ name: SegmentName, now: UInt64) { plan.removalFailed(name, now: now) }
    func neededSegments() -> [SegmentName] { plan.neededSegments }
    func neededBatches(in name: SegmentName) -> [SpilledBatch] { plan.neededBatches(in: name) }
    func moved(_ batches: [(from: SpilledBatch, to: SpilledBatch)]) { plan.moved(batches) }
    func lost(_ batches: [SpilledBatch]) -> Int {
        let records = plan.lost(batches).reduce(0) { $0 + $1.recordsLeft }
        books.damaged += records
        return records
    }
    func keepInQuarantine(_ name: SegmentName) { plan.keepInQuarantine(name) }
    func spillRecovered() { plan.spillRecovered() }
}
