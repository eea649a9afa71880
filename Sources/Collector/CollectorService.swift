// The composition: listeners, ring, drainer, lanes, keeper, HTTP. A frame goes down this list once.
//
// Threads: one for each UDP socket, one event loop for TCP and HTTP, the drainer, one for each lane, the keeper of the store,
// the host's reporter. All of them are joined by `stop`.

import FrameRing
import Glibc
import LinuxSystem
import Listeners
import Logging
import NIOCore
import NIOPosix
import TimescaleStore

/// A running collector. `init` starts it, `stop` ends it; both wait, and belong on the main thread.
public final class CollectorService {
    private let settings: CollectorSettings
    private let log: Logger
    private let startedAt = monotonicNanoseconds()
    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private let ledger: ConservationLedger
    private let ring: FrameRing
    private let pool: BatchPool
    private let health = LaneHealth()
    private let giveUp: WakeEvent
    private var embedded: EmbeddedServer?
    private var gate: StoreGate?
    private var keeper: StoreKeeper?
    private var keeperThread: NamedThread?
    private var laneThreads: [NamedThread] = []
    private let drainer: Drainer
    private var drainerThread: NamedThread?
    private var udp: [UDPListener] = []
    private var tcp: [TCPListener] = []
    private var http: HTTPServer?
    private var reporter: HostReporter?
    private var reporterThread: NamedThread?

    /// Starts everything, the database first and the listeners last, so that what is taken can be stored.
    ///
    /// A database that cannot be reached does not keep the collector from starting: the ring holds what it can, and
    /// `/readyz` says why it waits. One that refuses the user, or has no such database, does.
    ///
    /// - Throws: one line; whatever was started is stopped again.
    public init(_ settings: CollectorSettings, environment: [String: String], log: Logger) throws(CollectorError) {
        self.settings = settings
        self.log = log
        var limits = ConservationLedger.Limits()
        limits.sourcesMax = settings.sourcesMax
        ledger = ConservationLedger(limits: limits)
        pool = BatchPool(lanes: settings.lanes, limits: settings.batch)
        do throws(SystemCallError) {
            let wake = try WakeEvent()
            giveUp = try WakeEvent()
            ring = FrameRing(capacityBytes: settings.ringBytes) { wake.signal() }
            drainer = Drainer(
                ring: ring, wake: wake, pool: pool, flushMilliseconds: settings.flushMilliseconds,
                epoch: Int64.random(in: 1...Int64.max))
        } catch {
            throw CollectorError(.system, "\(error)")
        }
        do {
            try startStore(environment)
            try startDrain()
            try startListeners()
            try startHTTP()
            try startReporter()
        } catch {
            stop()
            throw Self.collectorError(error)
        }
    }

    /// The line that says that the collector is ready, with every address.
    public var readyLine: String {
        var parts = udp.map { "udp=\($0.localAddress)" } + tcp.map { "tcp=\($0.localAddress)" }
        if let address = http?.localAddress { parts.append("http=\(Self.text(address))") }
        parts.append("database=\(gate.map { "\($0.openLocation.description)" } ?? "discard")")
        return "ready " + parts.joined(separator: " ")
    }

    // MARK: Start

    private func startStore(_ environment: [String: String]) throws {
        let location: DatabaseLocation
        switch settings.database {
        case .discard: return
        case .server(let given): location = given
        case .embedded(let directory):
            let path = directory ?? EmbeddedServer.defaultDirectory(environment: environment)
            let server = try EmbeddedServer(directory: path, environment: environment, logger: log)
            try server.start()
            embedded = server
            location = server.location
        }
        let gate = StoreGate(location)
        self.gate = gate
        let keeper = try StoreKeeper(gate: gate, embedded: embedded, daysAhead: settings.daysAhead, log: log)
        self.keeper = keeper
        do throws(DatabaseError) {
            try keeper.applySchema()
        } catch {
            guard error.isTransient else { throw error }
            gate.stayClosed(error)
            log.warning("the database cannot be reached yet, which is tried again: \(error)")
        }
        keeperThread = try NamedThread(name: "keeper") { keeper.run() }
    }

    private func startDrain() throws {
        let target: LaneTarget = gate.map { .database($0) } ?? .discard
        for number in 0..<settings.lanes {
            let lane = Lane(
                number: number, target: target, pool: pool, ledger: ledger, health: health, giveUp: giveUp, log: log)
            laneThreads.append(try NamedThread(name: "lane-\(number)") { lane.run() })
        }
        let drainer = drainer
        drainerThread = try NamedThread(name: "drainer") { drainer.run() }
    }

    private func startListeners() throws {
        for text in settings.udp {
            var configuration = UDPListener.Configuration(address: try ListenAddress(parsing: text))
            configuration.sockets = settings.udpThreads
            configuration.receiveBufferBytes = settings.receiveBufferBytes
            configuration.allowUnauthenticated = settings.allowUnauthenticated
            udp.append(try UDPListener(configuration, ring: ring, ledger: ledger, logger: log))
        }
        for text in settings.tcp {
            var configuration = TCPListener.Configuration(address: try ListenAddress(parsing: text))
            configuration.connectionsMax = settings.connectionsMax
            configuration.connectionsPerAddressMax = settings.connectionsPerSourceMax
            configuration.frameDeadline = .seconds(Int64(settings.frameDeadlineSeconds))
            configuration.idleDeadline = .seconds(Int64(settings.idleDeadlineSeconds))
            configuration.allowUnauthenticated = settings.allowUnauthenticated
            let (chosen, ring, ledger, group, log) = (configuration, ring, ledger, group, log)
            tcp.append(
                try waitForTask {
                    try await TCPListener.start(chosen, ring: ring, ledger: ledger, logger: log, group: group)
                })
        }
    }

    private func startHTTP() throws {
        guard let text = settings.http else { return }
        let address = try ListenAddress(parsing: text)
        guard address.isLoopback || settings.allowUnauthenticated else {
            throw CollectorError(
                .configuration,
                "http \(text): anybody could read the statistics there; allow it with --allow-unauthenticated")
        }
        let status = StatusSource(
            settings: settings, startedAt: startedAt, ledger: ledger, ring: ring, pool: pool, health: health, gate: gate
        )
        do {
            http = try HTTPServer(host: address.ip.description, port: Int(address.port), group: group) { path in
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
        } catch {
            throw CollectorError(.unavailable, "http \(text): \(error)")
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

    // MARK: Stop

    /// Stops accepting, stores all that was accepted, and ends. Waits for the database at most for the configured time.
    ///
    /// - Returns: whether everything that was accepted is stored.
    @discardableResult
    public func stop() -> Bool {
        reporter?.stop()
        reporterThread?.join()
        reporterThread = nil
        for listener in udp { listener.stop() }
        for listener in tcp {
            do {
                try waitForTask { await listener.stop() }
            } catch {
                log.error("a TCP listener did not stop: \(error)")
            }
        }
        drainer.stop()
        let patience = ShutdownPatience(seconds: settings.shutdownDeadlineSeconds, giveUp: giveUp)
        if let drainerThread { drainerThread.join() } else { pool.full.close() }
        drainerThread = nil
        for thread in laneThreads { thread.join() }
        laneThreads = []
        patience.end()
        keeper?.stop()
        keeperThread?.join()
        keeperThread = nil
        http?.close()
        http = nil
        embedded?.stop()
        do {
            try group.syncShutdownGracefully()
        } catch {
            log.error("the event loop did not stop: \(error)")
        }
        let left = ledger.snapshot().recordsInFlight
        if left > 0 { log.error("records that were accepted are not stored", metadata: ["records": "\(left)"]) }
        return left <= 0
    }

    // MARK: Texts

    private static func collectorError(_ error: any Error) -> CollectorError {
        switch error {
        case let error as CollectorError: error
        case let error as ListenAddressError: CollectorError(.configuration, "\(error)")
        case let error as ListenerError: CollectorError(.unavailable, "\(error)")
        case let error as SystemCallError: CollectorError(.system, "\(error)")
        default: CollectorError(.unavailable, "\(error)")
        }
    }

    private static func text(_ address: SocketAddress) -> String {
        let host = address.ipAddress ?? "?"
        let port = address.port ?? 0
        return host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
}
