// One course of the world from one seed: clients that move between two collectors, which crash and start again, on one database,
// each on a disk that fails. At its end everything works, and then the invariants must hold.

import Accounting
import Delivery
import FrameCodec
import LinuxSystem
import MetricKinds
import SpillLog

/// What a course did.
struct SimulationTotals {
    var steps = 0
    var kills = 0
    var powerLosses = 0
    var stops = 0
    var moves = 0
    var damages = 0
    /// Segments that were removed from outside.
    var cleanUps = 0
    var acknowledged = 0
    var refused = 0
    var datagrams = 0
    var datagramsStored = 0
    var parts = 0

    mutating func add(_ other: SimulationTotals) {
        steps += other.steps
        kills += other.kills
        powerLosses += other.powerLosses
        stops += other.stops
        moves += other.moves
        damages += other.damages
        cleanUps += other.cleanUps
        acknowledged += other.acknowledged
        refused += other.refused
        datagrams += other.datagrams
        datagramsStored += other.datagramsStored
        parts += other.parts
    }
}

/// An invariant that does not hold.
struct Violation: Error, CustomStringConvertible {
    let description: String
}

/// A collector's place: its disk outlives its runs.
struct SimulatedSite {
    let disk: SimulatedDisk
    let time: SimulatedTime
    var collector: SimulatedCollector
    /// The disk failed while the present run began.
    var hasStartedOnFaults = false
    /// Connections that opened a client's session beside its own and have not ended yet.
    var ghosts: [UInt64] = []
}

struct Simulation: ~Copyable {
    private static let stepsMax = 20_000
    private static let turbulentSteps = 400
    private static let siteCount = 2

    private var dice: Dice
    let database: SimulatedDatabase
    var clients: [SimulatedClient]
    var sites: [SimulatedSite] = []
    private var lastEpoch: Int64 = 0
    private var lastDatagram: UInt64 = 0
    private let limits: SimulatedLimits
    /// Every batch that was ever closed, and those whose header was damaged on a disk.
    var closed: [BatchIdentity: [SimulatedFrame]] = [:]
    var damaged: [BatchIdentity: (site: Int, bytes: [UInt8])] = [:]
    var totals = SimulationTotals()

    init(seed: UInt64) throws {
        var dice = Dice(seed: seed)
        var limits = SimulatedLimits()
        limits.isJournal = dice.happens(perMille: 200)
        // Full tables, sessions with more gaps than are remembered, a spill that is soon full.
        if dice.happens(perMille: 300) { limits.sessionsMax = 2 }
        if dice.happens(perMille: 500) { limits.rangesPerSessionMax = 2 }
        if dice.happens(perMille: 300) { limits.quotaBytes = 6_000 }
        self.limits = limits
        var made: [SimulatedClient] = []
        for number in 0..<3 {
            let count = UInt64(20 + dice.below(40))
            let malformed = Set((1...count).filter { _ in dice.happens(perMille: 60) })
            made.append(SimulatedClient(number: number, frameCount: count, malformed: malformed))
        }
        clients = made
        database = SimulatedDatabase(dice: Dice(seed: dice.next()))
        for _ in 0..<Self.siteCount {
            let disk = SimulatedDisk(dice: Dice(seed: dice.next()))
            let time = SimulatedTime()
            lastEpoch += 1
            let collector = try SimulatedCollector(
                epoch: lastEpoch, disk: disk, database: database, time: time, limits: limits, dice: &dice)
            sites.append(SimulatedSite(disk: disk, time: time, collector: collector))
        }
        self.dice = dice
    }

    /// - Throws: `Violation`.
    mutating func run() throws {
        for _ in 0..<Self.turbulentSteps {
            try step(isTurbulent: true)
        }
        database.isUp = true
        database.refusing = []
        for site in sites.indices {
            sites[site].disk.faults = DiskFaults()
            closeGhosts(site)
            // What a start could not put in order is left to the next one.
            if sites[site].hasStartedOnFaults { try restart(site, mayFail: false) }
        }
        var left = Self.stepsMax
        while !isFinished, left > 0 {
            try step(isTurbulent: false)
            left -= 1
        }
        guard left > 0 else { throw Violation(description: "it does not come to rest: \(state)") }
        try checkEnd()
    }

    private var state: String {
        "clients \(clients.map(\.acknowledged.count)) of \(clients.map(\.frameCount))"
            + sites.map { site in
                "; places \(site.collector.coordinator.read { $0.places }), "
                    + "spilled \(site.collector.coordinator.read { $0.spillBatches }), files \(site.disk.fileCount), "
                    + "bytes of the quota \(site.collector.spillUsedBytes)"
            }.joined()
    }

    private var isFinished: Bool {
        clients.allSatisfy { $0.isDone }
            && sites.allSatisfy {
                // A removal whose sync failed is tried again: until then its bytes count.
                $0.collector.isAtRest && $0.disk.fileCount == 0 && $0.collector.spillUsedBytes == 0
            }
    }

    // MARK: Steps

    private mutating func step(isTurbulent: Bool) throws {
        totals.steps += 1
        let site = dice.below(sites.count)
        sites[site].time.advance(nanoseconds: UInt64(dice.below(30)) * (isTurbulent ? 10_000_000 : 200_000_000))
        switch dice.below(100) {
        case 0..<25: sendSome()
        case 25..<32: if isTurbulent { datagram(site) }
        case 32..<50: sites[site].collector.drain()
        case 50..<68: sites[site].collector.stepLane(dice.below(SimulatedCollector.lanes), &dice)
        case 68..<84: try spill(site, isTurbulent: isTurbulent)
        case 84..<91: deliverReplies()
        case 91..<93: if isTurbulent { openGhost() } else { clients[dice.below(clients.count)].startOver() }
        case 93..<95: disconnect(dice.below(clients.count))
        case 95..<96:
            if isTurbulent { if dice.happens(perMille: 500) { database.isUp.toggle() } else { changeTables() } }
        case 96..<98: if isTurbulent { changeDisk(site) }
        case 98: if isTurbulent, dice.happens(perMille: 500) { try crash(site) }
        default: if isTurbulent, dice.happens(perMille: 300) { try stop(site) }
        }
        try checkAlways()
    }

    /// A disk that has just refused may lose its power next: what was written and not synced is there in part.
    private mutating func spill(_ site: Int, isTurbulent: Bool) throws {
        let collector = sites[site].collector
        let wasBlocked = collector.isSpillBlocked
        collector.stepSpill()
        guard isTurbulent, !wasBlocked, collector.isSpillBlocked, dice.happens(perMille: 200) else {
            return
        }
        sites[site].disk.losePower()
        totals.powerLosses += 1
        try restart(site)
    }

    private mutating func changeDisk(_ site: Int) {
        switch dice.below(5) {
        case 0: sites[site].disk.faults = DiskFaults(failingPerMille: 100 + dice.below(400))
        case 1: sites[site].disk.faults = DiskFaults(isFull: true)
        case 2 where dice.happens(perMille: 300): cleanUp(site)
        default: sites[site].disk.faults = DiskFaults()
        }
    }

    /// A cleaner removes a segment. The collector notices it before anything else happens, and has it open: it loses nothing.
    private mutating func cleanUp(_ site: Int) {
        sites[site].disk.faults = DiskFaults()
        guard sites[site].collector.removeSegmentFromOutside(&dice) else { return }
        totals.cleanUps += 1
        sites[site].collector.checkSpill()
    }

    /// An operator changes tables so that they accept nothing, or removes the cause.
    private mutating func changeTables() {
        switch dice.below(4) {
        case 0: database.refusing = []
        case 1: database.refusing = KindSet(.routing)
        case 2: database.refusing = KindSet([.routing, .rag])
        default: database.refusing = .all
        }
    }

    private mutating func sendSome() {
        let index = dice.below(clients.count)
        if clients[index].connection == nil { connect(index) }
        guard let connection = clients[index].connection else { return }
        var frames: [SimulatedFrame] = []
        for _ in 0..<(1 + dice.below(5)) { if let frame = clients[index].next() { frames.append(frame) } }
        let isOpen = sites[connection.collector].collector.receive(frames, on: connection.number)
        if !isOpen { disconnect(index) }
    }

    private mutating func connect(_ index: Int) {
        let site = dice.below(sites.count)
        totals.moves += 1
        let collector = sites[site].collector
        let number = collector.openConnection()
        clients[index].connected(to: site, number)
        let registry = collector.registry
        if case .ask = registry.open(clients[index].key, on: number) {
            let keys = registry.takeLookups()
            if database.isUp, dice.happens(perMille: 500) {
                registry.lookupFound(
                    Dictionary(uniqueKeysWithValues: keys.map { ($0, database.stored(of: $0)) }))
            } else {
                registry.lookupFailed(keys)
            }
        }
        if let durable = registry.welcome(clients[index].key, on: number) { clients[index].told(durable) }
    }

    /// A datagram with a number of its own, or a forged one with that of a client's frame, which may be malformed.
    private mutating func datagram(_ site: Int) {
        lastDatagram += 1
        totals.datagrams += 1
        var frame = SimulatedFrame(client: 99, sequence: lastDatagram, datagram: lastDatagram)
        if dice.happens(perMille: 500) {
            let client = clients[dice.below(clients.count)]
            frame = SimulatedFrame(
                client: client.number, sequence: 1 + UInt64(dice.below(Int(client.lastSent) + 2)),
                datagram: lastDatagram)
        }
        frame.isMalformed = dice.happens(perMille: 300)
        sites[site].collector.receiveDatagram(frame)
    }

    private mutating func deliverReplies() {
        let index = dice.below(clients.count)
        guard let connection = clients[index].connection else { return }
        let collector = sites[connection.collector].collector
        let taken = collector.registry.takeAcknowledgements(for: connection.number)
        let refused = collector.takeRefusals(on: connection.number)
        // The connection may break with them on their way.
        if dice.happens(perMille: 100) { return disconnect(index) }
        for frames in taken where frames.key == clients[index].key { clients[index].told(frames.sequences) }
        for sequence in refused { clients[index].refused(sequence) }
    }

    private mutating func disconnect(_ index: Int) {
        guard let connection = clients[index].connection else { return }
        sites[connection.collector].collector.closeConnection(connection.number)
        clients[index].disconnected()
    }

    /// A second connection takes a client's session over for a while.
    private mutating func openGhost() {
        guard let connection = clients[dice.below(clients.count)].connection else { return }
        let site = connection.collector
        guard sites[site].ghosts.isEmpty else { return closeGhosts(site) }
        let collector = sites[site].collector
        let number = collector.openConnection()
        _ = collector.registry.open(clients[dice.below(clients.count)].key, on: number)
        sites[site].ghosts.append(number)
    }

    private mutating func closeGhosts(_ site: Int) {
        for number in sites[site].ghosts { sites[site].collector.closeConnection(number) }
        sites[site].ghosts = []
    }

    /// The process is killed, or the machine loses its power, or a bit of the last batch's header flips; then it starts again.
    private mutating func crash(_ site: Int) throws {
        if dice.happens(perMille: 600) {
            sites[site].disk.losePower()
            totals.powerLosses += 1
        } else {
            totals.kills += 1
        }
        if dice.happens(perMille: 300), let (identity, bytes) = sites[site].disk.damageLastBatch() {
            damaged[identity] = (site, bytes)
            totals.damages += 1
        }
        try restart(site)
    }

    private mutating func restart(_ site: Int, mayFail: Bool = true) throws {
        closed.merge(sites[site].collector.closed) { first, _ in first }
        for index in clients.indices where clients[index].connection?.collector == site {
            clients[index].disconnected()
        }
        sites[site].ghosts = []
        // What the former run had in the air ends before the fence lets the next one look.
        database.finishLate()
        let disk = sites[site].disk
        let faults = disk.faults
        // A start that fails is a start that is tried again: what matters is what it leaves.
        if dice.happens(perMille: 300) {
            do { _ = try makeCollector(site, epoch: 0) } catch {}
            if dice.happens(perMille: 300) { disk.losePower() }
        }
        sites[site].hasStartedOnFaults = mayFail && dice.happens(perMille: 300)
        if sites[site].hasStartedOnFaults {
            do throws(SpillError) { try start(site) } catch { sites[site].hasStartedOnFaults = false }
        }
        if !sites[site].hasStartedOnFaults {
            disk.faults = DiskFaults()
            do throws(SpillError) { try start(site) } catch {
                throw Violation(description: "it does not start again: \(error)")
            }
        }
        disk.faults = faults
    }

    private mutating func start(_ site: Int) throws(SpillError) {
        lastEpoch += 1
        sites[site].collector = try makeCollector(site, epoch: lastEpoch)
    }

    private mutating func makeCollector(_ site: Int, epoch: Int64) throws(SpillError) -> SimulatedCollector {
        try SimulatedCollector(
            epoch: epoch, disk: sites[site].disk, database: database, time: sites[site].time, limits: limits,
            dice: &dice)
    }

    /// A stop in order, with whatever works at the time.
    private mutating func stop(_ site: Int) throws {
        totals.stops += 1
        let collector = sites[site].collector
        collector.stop(roundsMax: 200, &dice)
        for index in clients.indices {
            guard let connection = clients[index].connection, connection.collector == site else { continue }
            for frames in collector.registry.takeAcknowledgements(for: connection.number)
            where frames.key == clients[index].key {
                clients[index].told(frames.sequences)
            }
        }
        guard collector.unaccounted == 0 else {
            throw Violation(description: "after a stop the books are off by \(collector.unaccounted)")
        }
        try restart(site)
    }
}
