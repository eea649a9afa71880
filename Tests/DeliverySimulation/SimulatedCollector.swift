// One run of a collector, from its start to its stop or crash: the production steps of admission, drainer, lanes and spill, called
// one by one in whatever order the scheduler chooses, over a simulated disk, database and clock.

import Accounting
import Admission
import Delivery
import Drain
import FrameCodec
import FrameRing
import LinuxSystem
import Logging
import SpillLog
import Synchronization

/// How small a collector's memory is.
struct SimulatedLimits {
    var sessionsMax = 100
    var rangesPerSessionMax = 100
    var quotaBytes: UInt64 = 1 << 30
    var isJournal = false
}

/// The time of a simulation.
final class SimulatedTime: Sendable {
    private let nanosecondsNow = Atomic<UInt64>(1)

    var nanoseconds: UInt64 { nanosecondsNow.load(ordering: .relaxed) }

    func advance(nanoseconds: UInt64) { nanosecondsNow.add(nanoseconds, ordering: .relaxed) }

    var clock: Clock {
        Clock(
            nanoseconds: { self.nanoseconds },
            wallMicroseconds: { SimulatedTime.startMicroseconds + Int64(self.nanoseconds / 1_000) })
    }

    private static let startMicroseconds: Int64 = 1_700_000_000_000_000
}

/// A client's connection, which polls for its acknowledgements.
final class SimulatedConnection: SessionConnection {
    private let refused = Mutex<[UInt64]>([])

    func notify() {}

    func refuse(_ identity: FrameIdentity, _ error: FrameError, records: Int) {
        refused.withLock { $0.append(identity.sequence) }
    }

    /// Frames that were not taken, or were found malformed.
    func takeRefusals() -> [UInt64] {
        refused.withLock { refused in
            defer { refused = [] }
            return refused
        }
    }

    func refuse(_ sequences: [UInt64]) { refused.withLock { $0 += sequences } }
}

final class SimulatedCollector {
    static let slots = 7
    static let lanes = 2
    static let batchFramesMax = 6
    private static let flushMilliseconds = 200
    private static let ringBytes = 4 << 10

    /// An open connection's frames on their way into the ring.
    private final class Stream {
        let connection: SimulatedConnection
        var arrivals: StreamArrivals
        /// The bytes of those that wait.
        var bytes: [UInt8] = []

        init(_ connection: SimulatedConnection, _ arrivals: StreamArrivals) {
            self.connection = connection
            self.arrivals = arrivals
        }
    }

    private final class LaneBox {
        var lane: Lane<SimulatedSink>
        /// What it has taken and not begun.
        var work: LaneWork?

        init(_ lane: consuming Lane<SimulatedSink>) { self.lane = lane }
    }

    /// The bytes of one datagram.
    private struct DatagramFrame: FrameBytes {
        let bytes: [UInt8]

        func withFrame<Result>(_ arrival: FrameArrival, _ body: (RawSpan) -> Result) -> Result {
            body(bytes.span.bytes)
        }
    }

    let epoch: Int64
    /// Batches that were found damaged at the start.
    let damagedBatches: Int
    private let disk: SimulatedDisk
    private let files = SegmentFiles()
    private let time: SimulatedTime
    let accounting: Accounting
    let registry: SessionRegistry
    let coordinator: DeliveryCoordinator
    private let ring: FrameRing
    private var drainer: DrainSteps
    private var lanes: [LaneBox] = []
    private var schedule: SpillSchedule
    private var datagrams: DatagramArrivals
    private var streams: [UInt64: Stream] = [:]
    private(set) var hasDrained = false
    /// The frames of every batch that was closed in this run.
    private(set) var closed: [BatchIdentity: [SimulatedFrame]] = [:]
    private static let peer = PeerAddress(ip: .loopback, port: 5_000)

    /// Starts on what is on the disk.
    init(
        epoch: Int64, disk: SimulatedDisk, database: SimulatedDatabase, time: SimulatedTime, limits: SimulatedLimits,
        dice: inout Dice
    ) throws(SpillError) {
        self.epoch = epoch
        self.disk = disk
        self.time = time
        let (files, clock) = (files, time.clock)
        let log = Logger(label: "simulation") { _ in SwiftLogNoOpLogHandler() }
        var sessionLimits = SessionTable.Limits()
        sessionLimits.sessionsMax = limits.sessionsMax
        sessionLimits.rangesPerSessionMax = limits.rangesPerSessionMax
        accounting = Accounting(startedMicroseconds: clock.wallMicroseconds())
        registry = SessionRegistry(SessionTable(limits: sessionLimits, hasStore: true))
        var batch = BatchLimits()
        batch.recordsMax = Self.batchFramesMax
        batch.bytesMax = 64 << 10
        coordinator = DeliveryCoordinator(
            limits: DeliveryPlan.Limits(
                slots: Self.slots, lanes: Self.lanes, waitingMax: Self.lanes, isJournal: limits.isJournal),
            batch: batch, accounting: accounting, registry: registry, epoch: epoch, clock: clock, onFreeLane: {})
        ring = FrameRing(capacityBytes: Self.ringBytes)
        drainer = DrainSteps(
            ring: ring, coordinator: coordinator, flushMilliseconds: Self.flushMilliseconds, clock: clock,
            pollMilliseconds: 0)
        datagrams = DatagramArrivals(ring: ring, accounting: accounting)

        let registry = registry
        let recovery = try SpillRecovery(
            fileSystem: disk, onSessions: { sessions, isDurable in if isDurable { registry.recovered(sessions) } })
        coordinator.recovered(recovery)
        damagedBatches = recovery.damagedBatches
        files.keep(recovery.segments.map(\.name), of: disk)
        var spillLimits = SpillLimits()
        spillLimits.segmentBytesMax = 3_000
        spillLimits.quotaBytes = limits.quotaBytes
        schedule = SpillSchedule(
            SpillWriter(
                fileSystem: disk, directoryID: 1, epoch: UInt64(bitPattern: epoch), limits: spillLimits,
                found: Dictionary(uniqueKeysWithValues: recovery.segments.map { ($0.name, UInt64($0.sizeBytes)) }),
                files: files),
            coordinator: coordinator, path: "/spill", quotaBytes: limits.quotaBytes, clock: clock, log: log)
        for number in 0..<Self.lanes {
            lanes.append(
                LaneBox(
                    Lane(
                        number: number, sink: SimulatedSink(database), coordinator: coordinator,
                        reader: ReplayReader(fileSystem: disk, files: files), health: LaneHealth(), clock: clock,
                        generator: Dice(seed: dice.next()), log: log)))
        }
    }

    // MARK: Listeners

    func openConnection() -> UInt64 {
        let connection = SimulatedConnection()
        let number = registry.openConnection(connection)
        streams[number] = Stream(
            connection, StreamArrivals(ring: ring, registry: registry, accounting: accounting))
        return number
    }

    /// What waits for the ring is dropped and counted.
    func closeConnection(_ number: UInt64) {
        _ = streams.removeValue(forKey: number)?.arrivals.drop()
        registry.closeConnection(number)
    }

    /// Frames over TCP.
    ///
    /// - Returns: false when there is no room to remember one of them: the connection ends.
    func receive(_ frames: [SimulatedFrame], on number: UInt64) -> Bool {
        guard let stream = streams[number], handOver(stream) else { return true }
        for frame in frames {
            let bytes = frame.bytes
            guard case .frame(let header) = FrameCut(at: bytes.span.bytes) else {
                preconditionFailure("a client's frames pass admission")
            }
            stream.arrivals.append(
                FrameArrival(
                    header, at: stream.bytes.count, inBuffer: 0, beginsDatagram: false, peer: Self.peer))
            stream.bytes += bytes
        }
        let judgement = stream.arrivals.judge(nowMicroseconds: time.clock.wallMicroseconds())
        stream.connection.refuse(judgement.refused.map(\.sequence))
        _ = handOver(stream)
        return !judgement.isCrowded
    }

    /// - Returns: false while the ring has no room: nothing more is read.
    private func handOver(_ stream: Stream) -> Bool {
        let bytes = stream.bytes
        let receipt = stream.arrivals.handOver { arrivals, append in
            for arrival in arrivals {
                append(bytes.span.bytes.extracting(arrival.offset..<arrival.offset + Int(arrival.frameBytes)))
            }
        }
        guard receipt != nil else { return false }
        stream.bytes.removeAll(keepingCapacity: true)
        return true
    }

    /// A datagram, which is dropped and counted when there is no room.
    func receiveDatagram(_ frame: SimulatedFrame) {
        let bytes = frame.bytes
        guard case .frame(let header) = FrameCut(at: bytes.span.bytes) else {
            preconditionFailure("a sender's frames pass admission")
        }
        datagrams.append(FrameArrival(header, at: 0, inBuffer: 0, beginsDatagram: true, peer: Self.peer))
        _ = datagrams.handOver(from: DatagramFrame(bytes: bytes), nowMicroseconds: time.clock.wallMicroseconds())
    }

    /// What a client hears on its connection, beside acknowledgements.
    func takeRefusals(on number: UInt64) -> [UInt64] {
        let refusals = streams[number]?.connection.takeRefusals() ?? []
        for _ in refusals { registry.refusalSent(on: number) }
        return refusals
    }

    // MARK: Threads, a step each

    /// - Parameter isStopping: nothing is received any more.
    func drain(isStopping: Bool = false) {
        guard !hasDrained else { return }
        if case .ended = drainer.step(isStopping: isStopping) { hasDrained = true }
        noteClosed()
    }

    /// For the oracle: what is in each batch.
    private func noteClosed() {
        let batches = coordinator.read { plan in
            plan.places.indices.compactMap { slot in
                plan.places[slot] == .waiting || plan.places[slot] == .toSpill
                    ? (slot, plan.summary(slot).identity) : nil
            }
        }
        for (slot, identity) in batches where closed[identity] == nil {
            closed[identity] = coordinator.batch(slot).withFrames { SimulatedFrame.read($0) }
        }
    }

    /// Takes work, or does what was taken: a crash may come in between.
    func stepLane(_ number: Int, _ dice: inout Dice) {
        let box = lanes[number]
        guard let work = box.work else {
            box.lane.connectIfDue()
            box.work = coordinator.work(forLane: number, timeoutMilliseconds: 0)
            return
        }
        // A thread that asks for work again without an answer gets the same: it owns nothing of its own.
        if dice.happens(perMille: 50) {
            precondition(coordinator.work(forLane: number, timeoutMilliseconds: 0) == work)
        }
        box.work = nil
        box.lane.store(work)
    }

    /// - Returns: false when the writer has ended.
    @discardableResult
    func stepSpill() -> Bool { schedule.step(timeoutMilliseconds: 0) }

    func checkSpill() { schedule.check(now: time.nanoseconds) }

    /// Something removes one of the segments that are held open. Damage that it removes with one is lost, so such a segment is
    /// left out.
    ///
    /// - Returns: whether there was one.
    func removeSegmentFromOutside(_ dice: inout Dice) -> Bool {
        let held = coordinator.read { plan in
            plan.neededSegments.filter { files.keeps($0) && !plan.isKeptInQuarantine($0) }
        }
        guard !held.isEmpty else { return false }
        disk.removeFromOutside(held[dice.below(held.count)].text)
        return true
    }

    // MARK: The stop

    /// In the order of the collector's: what was received is stored or spilled, or lost and counted.
    ///
    /// - Parameter roundsMax: steps until the stop stops waiting for the database, and again until it waits for nothing.
    func stop(roundsMax: Int, _ dice: inout Dice) {
        for number in streams.keys.sorted() { _ = streams[number]?.arrivals.drop() }
        coordinator.stopReplay()
        for round in 0..<2 * roundsMax where !(hasDrained && isEmpty) {
            if round == roundsMax { coordinator.giveUpOnDatabase() }
            time.advance(nanoseconds: 50_000_000)
            drain(isStopping: true)
            stepLane(dice.below(Self.lanes), &dice)
            stepSpill()
        }
        if !(hasDrained && isEmpty) { coordinator.abandon() }
        while !hasDrained { drain(isStopping: true) }
        coordinator.end()
        // Each lane ends what it has begun.
        for (number, box) in lanes.enumerated() where box.work != nil { stepLane(number, &dice) }
        while stepSpill() {}
        coordinator.abandon()
    }

    var isEmpty: Bool { coordinator.waitUntilEmpty(timeoutMilliseconds: 0) && lanes.allSatisfy { $0.work == nil } }

    /// Nothing is on its way anywhere.
    var isAtRest: Bool {
        ring.usedBytes == 0 && drainer.isIdle && streams.values.allSatisfy(\.arrivals.isEmpty)
            && coordinator.read { $0.isAtRest }
            && lanes.allSatisfy { $0.work == nil }
    }

    var isSpillBlocked: Bool { coordinator.read { $0.spillBlock != nil } }
    var spillUsedBytes: UInt64 { schedule.usedBytes }

    /// Received and neither stored nor lost nor in the spill.
    var unaccounted: Int64 { accounting.snapshot().recordsInFlight }
}
