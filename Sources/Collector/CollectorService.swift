// The composition: listeners, ring, drainer, lanes, spill, keeper, HTTP. A frame goes down this list once.
//
// Threads: one for each UDP socket, an event loop for TCP and one for HTTP, the drainer, one for each lane, the spill's
// writer, the maintenance thread of the store, who asks for sessions, the host's reporter. All of them are joined by `stop`.

import Accounting
import Delivery
import Drain
import FrameRing
import Glibc
import LinuxSystem
import Listeners
import Logging
import NIOCore
import NIOPosix
import SpillLog
import StoreSchema

/// A running collector. `init` starts it, `stop` ends it; both wait, and belong on the main thread.
package final class CollectorService {
    private let settings: CollectorSettings
    private let log: Logger
    private let startedAt = monotonicNanoseconds()
    private let group: MultiThreadedEventLoopGroup
    private let accounting: Accounting
    private let ring: FrameRing
    private let registry: SessionRegistry
    private let appended = AppendedSessions()
    private let inquiry: WakeEvent
    private let epoch = Int64.random(in: 1...Int64.max)
    private let budget: DescriptorBudget
    private let descriptors: DescriptorWatch
    /// The configuration's warnings, which a reload replaces.
    package let configurationNotes: ConfigurationNotes
    private var spill: SpillDirectory?
    private var spillThread: NamedThread?
    private var stranded: StrandedSpills?
    private let coordinator: DeliveryCoordinator
    private let health = LaneHealth()
    private let giveUp: WakeEvent
    /// Nil where nothing is stored.
    private var store: StoreService?
    private var laneThreads: [NamedThread] = []
    private let drainer: Drainer
    private var drainerThread: NamedThread?
    private var udp: [UDPListener] = []
    private var tcp: [TCPListener] = []
    private var http: HTTPServer?
    private var reporter: HostReporter?
    private var reporterThread: NamedThread?
    /// Tells the other commands of this machine that it runs.
    private var runningRecord: RunningRecord?

    /// Starts everything, the database first and the listeners last, so that what is taken can be stored.
    ///
    /// A database that cannot be reached does not keep the collector from starting: the ring holds what it can, and
    /// `/readyz` says why it waits. One that refuses the user, or has no such database, does.
    ///
    /// - Parameter onAccepting: called once, before the first listener starts: from then on records may have been accepted,
    ///   and only `stop`, or this initializer's own failure, brings them to the database or the spill.
    /// - Throws: one line; whatever was started is stopped again, in the order of `stop`.
    package init(
        _ settings: CollectorSettings, environment: [String: String], log: Logger, onAccepting: () -> Void = {}
    ) throws(CollectorError) {
        self.settings = settings
        configurationNotes = ConfigurationNotes(settings.warnings)
        self.log = log
        try AddressCheck.run(settings) { RunningCollector.all(environment: environment) }
        var limits = Accounting.Limits()
        limits.sourcesMax = settings.sourcesMax
        // Each source that has an account has room for one session.
        limits.sessionsMax = max(limits.sessionsMax, settings.sourcesMax)
        accounting = Accounting(limits: limits)
        let wake: WakeEvent
        do throws(SystemCallError) {
            wake = try WakeEvent()
            giveUp = try WakeEvent()
            let inquiry = try WakeEvent()
            self.inquiry = inquiry
            registry = SessionRegistry(SessionTable(hasStore: settings.database != .discard)) { inquiry.signal() }
        } catch {
            throw CollectorError(.system, "\(error)")
        }
        let path = settings.spillPath
        let limit: Int
        do throws(SystemCallError) {
            limit = try DescriptorLimit.raise(to: DescriptorBudget.wantedLimit).soft
        } catch {
            throw CollectorError(.system, "\(error)")
        }
        do throws(SystemCallError) {
            if let former = try SpillLocation.takeOver(settings), let path {
                log.notice(
                    "the spill of an earlier version has moved", metadata: ["from": "\(former)", "to": "\(path)"])
            }
        } catch {
            log.error("the spill of an earlier version could not be moved: \(error)")
        }
        budget = DescriptorBudget(limit: limit, settings, hasSpill: path != nil)
        descriptors = DescriptorWatch(limit: limit, budget: budget, accounting: accounting, log: log)
        guard path != nil || !settings.isJournal else {
            throw CollectorError(.configuration, "journal: it needs a spill; name one with --spill-directory")
        }
        group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        ring = FrameRing(capacityBytes: settings.ringBytes) { wake.signal() }
        coordinator = DeliveryCoordinator(
            limits: DeliveryPlan.Limits(
                // One in each lane and one waiting for each, those that are spilled together and one that waits for
                // them, and the one that is filled.
                slots: 2 * settings.lanes + (path == nil ? 0 : SpillSchedule.groupMax + 1) + 1, lanes: settings.lanes,
                waitingMax: settings.lanes, replayPercent: settings.replaySharePercent,
                isJournal: settings.isJournal, hasSpill: path != nil),
            batch: settings.batch, accounting: accounting, registry: registry, epoch: epoch,
            onFreeLane: { wake.signal() })
        drainer = Drainer(
            ring: ring, wake: wake, coordinator: coordinator, flushMilliseconds: settings.flushMilliseconds)
        do {
            if let path { try startSpill(path) }
            try startStore(environment)
            let stranded = StrandedSpills(settings)
            stranded.report(database: database, log)
            self.stranded = stranded
            try startDrain()
            onAccepting()
            try startListeners()
            try startHTTP(environment)
            try startReporter()
        } catch {
            let isAllStored = stop()
            spill?.removeIfNew()
            throw CollectorError(startFailure: error, isAllStored: isAllStored)
        }
        announce(environment)
    }

    /// The line that says that the collector is ready, with every address.
    package var readyLine: String {
        var parts = udp.map { "udp=\($0.localAddress)" } + tcp.map { "tcp=\($0.localAddress)" }
        if let address = http?.localAddress { parts.append("http=\(Self.text(address))") }
        parts.append("database=\(database)")
        parts.append("spill=\(spill?.path ?? "none")")
        return "ready " + parts.joined(separator: " ")
    }

    /// Where rows go, without a password.
    private var database: String { store.map { "\($0.availability.openLocation.description)" } ?? "discard" }

    // MARK: Start

    /// For the commands that look for this collector. It works without.
    private func announce(_ environment: [String: String]) {
        let addresses =
            udp.map { "udp \($0.localAddress)" } + tcp.map { "tcp \($0.localAddress)" }
            + (http?.localAddress.map { ["http \(Self.text($0))"] } ?? [])
        let collector = RunningCollector(
            processID: getpid(), database: settings.database.publicAddress(environment: environment),
            addresses: addresses)
        do throws(SystemCallError) {
            runningRecord = try RunningRecord(collector, environment: environment)
        } catch {
            log.info("other commands of this machine need --database to find this collector's database: \(error)")
        }
    }

    private func startSpill(_ path: String) throws {
        let opened = try OpenedSpill(
            path, settings: settings, segmentsOpenMax: budget.segments, coordinator: coordinator, registry: registry,
            log: log)
        spill = opened.directory
        spillThread = try NamedThread(name: "spill") {
            var schedule = opened.makeSchedule()
            schedule.run()
        }
    }

    private func startStore(_ environment: [String: String]) throws {
        store = try StoreService(
            settings: settings, environment: environment, spillID: spill?.directoryID, registry: registry,
            appended: appended,
            inquiry: inquiry, giveUp: giveUp, log: log)
    }

    private func startDrain() throws {
        for number in 0..<settings.lanes {
            if let context = store?.context {
                try startLane(number) { DatabaseSink(name: "lane \(number)", context) }
            } else {
                let bounds = settings.timeBounds
                try startLane(number) { DiscardSink(bounds: bounds) }
            }
        }
        let drainer = drainer
        drainerThread = try NamedThread(name: "drainer") { drainer.run() }
    }

    private func startLane<Sink: BatchSink & SendableMetatype>(
        _ number: Int, _ makeSink: @escaping @Sendable () -> Sink
    ) throws {
        let (coordinator, spill, health, log) = (coordinator, spill, health, log)
        laneThreads.append(
            try NamedThread(name: "lane-\(number)") {
                var lane = Lane(
                    number: number, sink: makeSink(), coordinator: coordinator, reader: spill.map { ReplayReader($0) },
                    health: health, log: log)
                lane.run()
            })
    }

    private func startListeners() throws {
        for text in settings.udp {
            var configuration = UDPListener.Configuration(address: try ListenAddress(parsing: text))
            configuration.sockets = settings.udpThreads
            configuration.receiveBufferBytes = settings.receiveBufferBytes
            configuration.allowUnauthenticated = settings.allowUnauthenticated
            udp.append(try UDPListener(configuration, ring: ring, accounting: accounting, logger: log))
        }
        for text in settings.tcp {
            var configuration = TCPListener.Configuration(address: try ListenAddress(parsing: text))
            configuration.connectionsMax = budget.connectionsMax
            configuration.connectionsPerAddressMax = settings.connectionsPerSourceMax
            configuration.frameDeadline = .seconds(Int64(settings.frameDeadlineSeconds))
            configuration.idleDeadline = .seconds(Int64(settings.idleDeadlineSeconds))
            configuration.allowUnauthenticated = settings.allowUnauthenticated
            let (chosen, ring, accounting, registry, group, log) = (
                configuration, ring, accounting, registry, group, log
            )
            let descriptors = descriptors
            tcp.append(
                try waitForTask {
                    try await TCPListener.start(
                        chosen, ring: ring, accounting: accounting, registry: registry, logger: log, group: group,
                        acceptFailed: { descriptors.acceptFailed($0, side: "TCP") })
                })
        }
    }

    private func startHTTP(_ environment: [String: String]) throws {
        guard let text = settings.http else { return }
        let address = try ListenAddress(parsing: text)
        // Other machines have no use for it.
        let database = address.isLoopback ? settings.database.publicAddress(environment: environment) : nil
        let status = StatusSource(
            settings: settings, startedAt: startedAt, accounting: accounting, ring: ring, coordinator: coordinator,
            health: health,
            availability: store?.availability, descriptors: descriptors, stranded: stranded,
            configuration: configurationNotes,
            databaseAddress: database)
        let descriptors = descriptors
        do {
            http = try HTTPServer(
                host: address.ip.description, port: Int(address.port), connectionsMax: budget.httpConnections,
                acceptFailed: { descriptors.acceptFailed($0, side: "HTTP") }
            ) { path in
                switch path {
                case "/healthz": .text("ok\n")
                case "/readyz": status.now().readiness
                case "/stats": .json(status.now().json)
                case "/metrics":
                    HTTPResponse(
                        status: 200, contentType: "text/plain; version=0.0.4; charset=utf-8",
                        body: status.now().prometheus)
                default: nil
                }
            }
        } catch let error as IOError {
            throw CollectorError(ListenerError(call: "bind", code: error.errnoCode, address: address), setting: "http")
        } catch {
            throw CollectorError(.unavailable, "http: cannot listen on \(text): \(error)")
        }
    }

    private func startReporter() throws {
        guard settings.systemMetrics else { return }
        let address: String
        if let listener = udp.first(where: { $0.localAddress.isLoopback }) {
            address = "udp://\(listener.localAddress)"
        } else if let listener = tcp.first(where: { $0.localAddress.isLoopback }) {
            address = "tcp://\(listener.localAddress)"
        } else {
            return
        }
        let reporter = try HostReporter(address: address, systemID: settings.systemID, log: log)
        self.reporter = reporter
        reporterThread = try NamedThread(name: "host-metrics") { reporter.run() }
    }

    // MARK: Reload

    /// Lets the database keep another retention, of which only that part of the changes counts. Returns at once: the maintenance thread
    /// does it when the database can be reached, and the log says so.
    package func reload(retention: PolicyChanges) { store?.change(retention.only(.retention)) }

    // MARK: Stop

    /// Stops accepting, stores or spills all that was accepted, and ends.
    ///
    /// - Returns: whether everything that was accepted is stored or in the spill.
    @discardableResult
    package func stop() -> Bool {
        runningRecord = nil
        reporter?.stop()
        reporterThread?.join()
        reporterThread = nil
        for listener in udp { listener.stop() }
        forEachStream("take its last frames") { await $0.quiesce() }
        coordinator.stopReplay()
        drainer.stop()
        let coordinator = coordinator
        let deadline =
            drainerThread == nil
            ? nil
            : ShutdownDeadline(seconds: settings.shutdownDeadlineSeconds, giveUp: giveUp) {
                coordinator.giveUpOnDatabase()
            } second: {
                coordinator.abandon()
            }
        let lost = drain()
        forEachStream("stop") { await $0.finish() }
        store?.stopLookups()
        // Until here something may wait for the database.
        deadline?.end()
        store?.stopMaintenance()
        endEventLoop("HTTP") { try http?.close() }
        http = nil
        store?.stopServer()
        endEventLoop("TCP") { try group.syncShutdownGracefully() }
        let left = accounting.snapshot().recordsInFlight
        if lost > 0 || left > 0 {
            log.error(
                "accepted records are lost: they are neither stored nor in the spill",
                metadata: ["records": "\(max(Int64(lost), left))"])
        }
        let spilled = accounting.snapshot().spillRecords
        if spilled > 0 {
            log.notice("records remain in the spill; the next start replays them", metadata: ["records": "\(spilled)"])
        }
        return lost == 0 && left <= 0
    }

    /// One that does not end keeps nothing else from ending.
    private func endEventLoop(_ name: String, _ end: () throws -> Void) {
        do {
            try end()
        } catch {
            log.error("the event loop of \(name) did not stop: \(error)")
        }
    }

    /// Brings what is in ring and batches to the database or the spill, and ends the threads that do it.
    ///
    /// - Returns: the records that neither took.
    private func drain() -> Int {
        guard let drainerThread else {
            // The start failed before anything could be taken.
            giveUp.signal()
            return endDelivery()
        }
        drainerThread.join()
        self.drainerThread = nil
        while !coordinator.waitUntilEmpty(timeoutMilliseconds: 500), !coordinator.isAbandoned {}
        return endDelivery()
    }

    private func endDelivery() -> Int {
        coordinator.end()
        for thread in laneThreads { thread.join() }
        laneThreads = []
        spillThread?.join()
        spillThread = nil
        // What came back from a lane or the writer behind the last moment.
        coordinator.abandon()
        return coordinator.abandonedRecords
    }

    private func forEachStream(_ what: String, _ body: @escaping @Sendable (TCPListener) async -> Void) {
        for listener in tcp {
            do {
                try waitForTask { await body(listener) }
            } catch {
                log.error("a TCP listener did not \(what): \(error)")
            }
        }
    }

    // MARK: Texts

    private static func text(_ address: SocketAddress) -> String {
        let host = address.ipAddress ?? "?"
        let port = address.port ?? 0
        return host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
}
