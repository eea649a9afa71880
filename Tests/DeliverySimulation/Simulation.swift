// One course of the world from one seed: clients, a collector that crashes and starts again, a database and a disk that fail.
// At its end everything works, and then the invariants must hold.

import Delivery
import FrameCodec
import SpillLog

/// What a course did.
struct SimulationTotals {
    var steps = 0
    var kills = 0
    var powerLosses = 0
    var stops = 0
    var acknowledged = 0
    var datagrams = 0
    var datagramsStored = 0

    mutating func add(_ other: SimulationTotals) {
        steps += other.steps
        kills += other.kills
        powerLosses += other.powerLosses
        stops += other.stops
        acknowledged += other.acknowledged
        datagrams += other.datagrams
        datagramsStored += other.datagramsStored
    }
}

/// An invariant that does not hold.
struct Violation: Error, CustomStringConvertible {
    let description: String
}

struct Simulation: ~Copyable {
    private static let stepsMax = 20_000
    private static let turbulentSteps = 250

    private var dice: Dice
    private let disk: SimulatedDisk
    private var database = SimulatedDatabase()
    private var clients: [SimulatedClient]
    private var collector: SimulatedCollector
    private var lastEpoch: Int64 = 1
    private var lastDatagram: UInt64 = 0
    private let isJournal: Bool
    /// The disk failed while the present run began.
    private var hasStartedOnFaults = false
    private(set) var totals = SimulationTotals()

    init(seed: UInt64) throws {
        dice = Dice(seed: seed)
        disk = SimulatedDisk(dice: Dice(seed: dice.next()))
        isJournal = dice.happens(perMille: 200)
        var made: [SimulatedClient] = []
        for number in 0..<3 { made.append(SimulatedClient(number: number, frameCount: UInt64(20 + dice.below(40)))) }
        clients = made
        collector = try SimulatedCollector(epoch: 1, disk: disk, isJournal: isJournal)
    }

    /// - Throws: `Violation`.
    mutating func run() throws {
        for _ in 0..<Self.turbulentSteps {
            try step(isTurbulent: true)
        }
        disk.faults = DiskFaults()
        database.isUp = true
        // What a start could not put in order is left to the next one.
        if hasStartedOnFaults { try restart(mayFail: false) }
        var left = Self.stepsMax
        while !isFinished, left > 0 {
            try step(isTurbulent: false)
            left -= 1
        }
        guard left > 0 else {
            throw Violation(
                description: "it does not come to rest: clients \(clients.map(\.acknowledged.count)) of "
                    + "\(clients.map(\.frameCount)), empty \(collector.isEmpty), places \(collector.plan.places), "
                    + "spilled \(collector.plan.spillBatches), files \(disk.fileCount)")
        }
        try checkEnd()
    }

    private var isFinished: Bool {
        clients.allSatisfy { $0.isDone } && collector.isEmpty && collector.plan.spillBatches == 0
            && disk.fileCount == 0
    }

    // MARK: Steps

    private mutating func step(isTurbulent: Bool) throws {
        totals.steps += 1
        collector.now += UInt64(dice.below(30)) * (isTurbulent ? 10_000_000 : 200_000_000)
        switch dice.below(100) {
        case 0..<25: sendSome()
        case 25..<32: if isTurbulent { datagram() }
        case 32..<50: collector.drain(&dice)
        case 50..<68: collector.stepLane(dice.below(SimulatedCollector.lanes), &database, &dice)
        case 68..<80: collector.stepSpill()
        case 80..<84: collector.tidy()
        case 84..<92: deliverAcknowledgements()
        case 92..<94: if isTurbulent { cutConnection() } else { clients[dice.below(clients.count)].startOver() }
        case 94..<96: if isTurbulent { database.isUp.toggle() }
        case 96..<98: if isTurbulent { changeDisk() }
        case 98: if isTurbulent, dice.happens(perMille: 500) { try crash() }
        default: if isTurbulent, dice.happens(perMille: 300) { try stop() }
        }
        try checkAlways()
    }

    private mutating func changeDisk() {
        switch dice.below(5) {
        case 0: disk.faults = DiskFaults(failingPerMille: 100 + dice.below(400))
        case 1: disk.faults = DiskFaults(isFull: true)
        default: disk.faults = DiskFaults()
        }
    }

    private mutating func sendSome() {
        let index = dice.below(clients.count)
        if clients[index].connection == nil {
            let number = collector.book.openConnection()
            clients[index].connected(number)
            switch collector.book.open(clients[index].key, on: number) {
            case .ask where database.isUp && dice.happens(perMille: 500):
                for (key, stored) in database.stored(of: [clients[index].key]) {
                    collector.book.asked(key, stored: stored)
                }
            default: break
            }
            if let durable = collector.book.welcome(clients[index].key, on: number) { clients[index].told(durable) }
        }
        for _ in 0..<(1 + dice.below(5)) {
            guard collector.hasRoom, let frame = clients[index].next() else { return }
            collector.receive(frame)
        }
    }

    private mutating func datagram() {
        lastDatagram += 1
        totals.datagrams += 1
        collector.receiveDatagram(SimulatedFrame(client: 99, sequence: lastDatagram, isDatagram: true))
    }

    private mutating func deliverAcknowledgements() {
        let index = dice.below(clients.count)
        guard let connection = clients[index].connection else { return }
        let taken = collector.book.takeAcknowledgements(for: connection)
        // The connection may break with them on their way.
        if dice.happens(perMille: 100) { return disconnect(index) }
        for frames in taken { clients[index].told(frames.sequences) }
    }

    private mutating func cutConnection() { disconnect(dice.below(clients.count)) }

    private mutating func disconnect(_ index: Int) {
        guard let connection = clients[index].connection else { return }
        collector.book.close(connection: connection)
        clients[index].disconnected()
    }

    /// The process is killed, or the machine loses its power; then it starts again.
    private mutating func crash() throws {
        if dice.happens(perMille: 600) {
            disk.losePower()
            totals.powerLosses += 1
        } else {
            totals.kills += 1
        }
        try restart()
    }

    private mutating func restart(mayFail: Bool = true) throws {
        for index in clients.indices { clients[index].disconnected() }
        // What the former run had in the air ends before the fence lets the next one look.
        database.finishLate(&dice)
        let faults = disk.faults
        // A start that fails is a start that is tried again: what matters is what it leaves.
        if dice.happens(perMille: 300) {
            do { _ = try SimulatedCollector(epoch: 0, disk: disk, isJournal: isJournal) } catch {}
            if dice.happens(perMille: 300) { disk.losePower() }
        }
        let now = collector.now
        hasStartedOnFaults = mayFail && dice.happens(perMille: 300)
        if hasStartedOnFaults {
            do throws(SpillError) { try start() } catch { hasStartedOnFaults = false }
        }
        if !hasStartedOnFaults {
            disk.faults = DiskFaults()
            do throws(SpillError) { try start() } catch {
                throw Violation(description: "it does not start again: \(error)")
            }
        }
        collector.now = now
        disk.faults = faults
    }

    private mutating func start() throws(SpillError) {
        lastEpoch += 1
        collector = try SimulatedCollector(epoch: lastEpoch, disk: disk, isJournal: isJournal)
    }

    /// A stop in order, with whatever works at the time.
    private mutating func stop() throws {
        totals.stops += 1
        collector.plan.stop()
        var left = 400
        while !collector.isEmpty, left > 0 {
            left -= 1
            if left == 200 { collector.plan.giveUpOnDatabase() }
            collector.now += 50_000_000
            collector.drain(&dice)
            collector.stepLane(dice.below(SimulatedCollector.lanes), &database, &dice)
            collector.stepSpill()
        }
        if !collector.isEmpty { collector.abandon() }
        for index in clients.indices {
            guard let connection = clients[index].connection else { continue }
            for frames in collector.book.takeAcknowledgements(for: connection) { clients[index].told(frames.sequences) }
        }
        guard collector.isEmpty == false || collector.unaccounted == 0 else {
            throw Violation(description: "after a stop the books are off by \(collector.unaccounted)")
        }
        try restart()
    }

    // MARK: Invariants

    /// What holds at any time.
    private func checkAlways() throws {
        guard database.rows.values.allSatisfy({ $0 == 1 }) else {
            throw Violation(description: "a frame is stored twice: \(database.rows.first { $0.value > 1 }!.key)")
        }
    }

    private mutating func checkEnd() throws {
        for client in clients {
            for sequence in 1...client.frameCount {
                let frame = SimulatedFrame(client: client.number, sequence: sequence, isDatagram: false)
                guard database.rows[frame] == 1 else {
                    throw Violation(description: "acknowledged and not stored: \(frame)")
                }
            }
            totals.acknowledged += Int(client.frameCount)
        }
        totals.datagramsStored = database.rows.keys.count { $0.isDatagram }
        guard collector.unaccounted == 0 else {
            throw Violation(description: "at rest the books are off by \(collector.unaccounted): \(collector.books)")
        }
    }
}
