// The front that programs use: one object for the whole process, shared by all threads, that never gets in the way.

import LinuxSystem
import Synchronization

/// Sends records to a collector: over UDP, or over TCP with acknowledgements. Safe from any thread; recording never throws
/// and never waits for the network.
///
/// Over `tcp://` each frame is kept until the collector says that it is durable, within
/// `MetricsClientOptions.unacknowledgedBytesMax`, and sent again over new connections for as long as the program runs.
///
/// After `fork` the child's records have a session, sockets and threads of their own, from the first one on. What waited in
/// the parent is sent by the parent alone.
///
///     import SpillwayClient
///
///     let metrics = try MetricsClient(to: "udp://127.0.0.1:8127", source: "my-app")
///     metrics.record(RoutingRecord(time: Timestamp.now, queryID: "q1", modelSelected: "swift-8b"))
///     metrics.close()
public final class MetricsClient: Sendable {
    public let address: CollectorAddress
    /// With the session that the client begins with. Another process, after `fork`, has another one. Over TCP a new one begins when the collector cannot remember a frame
    /// of it (refusal 44, `sequence_refused`).
    public let identity: SourceIdentity
    public let options: MetricsClientOptions

    /// That of the process in which the client was made.
    @usableFromInline let buffer: RecordBuffer
    @usableFromInline let forks = ForkCounter.shared
    @usableFromInline let forkCount: Int
    private let engine: ClientEngine
    private let plan: ClientEngine.Plan
    /// In a process that came from `fork`.
    private let forked = ForkedEngine()

    /// - Parameters:
    ///   - address: `udp://HOST:PORT` or `tcp://HOST:PORT`.
    ///   - source: the program's name; keep it over restarts, so that the collector can tell each program's losses.
    ///   - options: what the environment says, unless given.
    /// - Throws: an address or a setting that cannot be. Not that no collector listens, nor that the host's name has no address
    ///   now: both may come later. Until then records wait or are dropped and counted, and `statistics.lastError` says why.
    public convenience init(
        to address: String, source: String, options: MetricsClientOptions? = nil
    ) throws(ClientError) {
        let options = if let options { options } else { try MetricsClientOptions.environment() }
        try self.init(to: try CollectorAddress(address), identity: SourceIdentity(name: source), options: options)
    }

    /// The same with its parts made already.
    public convenience init(
        to address: CollectorAddress, identity: SourceIdentity, options: MetricsClientOptions
    ) throws(ClientError) {
        try self.init(to: address, identity: identity, options: options, resolver: HostAddress.all)
    }

    /// - Parameters:
    ///   - heartbeatMilliseconds: how often a heartbeat is sent while frames are not acknowledged.
    ///   - resolver: finds the addresses of a TCP host, here and before each connection.
    init(
        to address: CollectorAddress, identity: SourceIdentity, options: MetricsClientOptions,
        heartbeatMilliseconds: Int = ConnectionLiveness.intervalMillisecondsDefault,
        resolver: @escaping HostResolver
    ) throws(ClientError) {
        self.address = address
        self.identity = identity
        self.options = options
        plan = ClientEngine.Plan(
            address: address, options: options, heartbeatMilliseconds: heartbeatMilliseconds, resolver: resolver,
            addresses: NameLookup.first(address, by: resolver))
        forkCount = forks.now
        do throws(SystemCallError) {
            engine = try ClientEngine(plan, identity: identity, forkCount: forkCount)
        } catch {
            throw .system(error)
        }
        buffer = engine.buffer
    }

    /// Has the records that wait sent, as `close` has, and does not wait for that.
    deinit {
        // In another process the engine's events are those of the process that made it.
        if forks.now == forkCount { engine.stop() }
        forked.abandon(forks.now)
    }

    /// Takes a record. It is sent with the datagram that it completes, or at the next flush.
    ///
    /// A record that no datagram can carry is refused, one that the kernel does not take is dropped: `statistics`
    /// tells.
    /// - Complexity: some 100 ns, without allocation; for the record that completes a batch the system call too.
    @inlinable
    public func record<Record: MetricRecord>(_ record: Record) {
        if forks.now == forkCount { buffer.append(record) } else { bufferAfterFork().append(record) }
    }

    /// Sends what waits. Does not wait for the network.
    public func flush() { engineOfThisProcess?.buffer.flush(withHeartbeat: false) }

    /// Sends what waits and the final totals, and ends the background threads. Over TCP it waits for the last
    /// acknowledgements, for at most `MetricsClientOptions.closeTimeoutSeconds`, whatever name servers and network do:
    /// records without an acknowledgement by then are counted as dropped, although some of them may have arrived.
    /// Records that come later are dropped. May be called more than once, and by several threads: each of them waits.
    public func close() {
        guard forks.now != forkCount else { return engine.close() }
        let engine = forked.engine(forks.now) {
            ClientEngine(dropping: plan, identity: identity, forkCount: forks.now, because: nil)
        }
        engine.close()
    }

    /// What became of all records so far, of those that were recorded in this process.
    public var statistics: MetricsClientStatistics {
        engineOfThisProcess?.buffer.statistics ?? MetricsClientStatistics()
    }

    private var engineOfThisProcess: ClientEngine? {
        forks.now == forkCount ? engine : forked.existing(forks.now)
    }

    /// The buffer of a process that came from `fork`: the first call makes it, with its threads.
    @usableFromInline
    func bufferAfterFork() -> RecordBuffer {
        let count = forks.now
        return forked.engine(count) {
            let identity = identity.renewed()
            do throws(SystemCallError) {
                return try ClientEngine(plan, identity: identity, forkCount: count)
            } catch {
                return ClientEngine(dropping: plan, identity: identity, forkCount: count, because: .system(error))
            }
        }.buffer
    }
}

/// The totals of a client: recorded = sent + dropped + refused + waiting.
public struct MetricsClientStatistics: Equatable, Sendable {
    /// Records that the program gave.
    public var recordsRecorded: UInt64 = 0
    /// Records that the kernel took, or over TCP those that the collector acknowledged.
    public var recordsSent: UInt64 = 0
    /// Records that the kernel did not take, that found no room, that came behind the end, or that were not acknowledged
    /// by then.
    public var recordsDropped: UInt64 = 0
    /// Records that the protocol cannot carry: a text with U+0000 or too long, a time out of range. Over TCP also those
    /// that the collector refused.
    public var recordsRefused: UInt64 = 0
    /// Records that wait for their datagram, or for their acknowledgement.
    public var recordsWaiting: UInt64 = 0
    public var framesSent: UInt64 = 0
    public var bytesSent: UInt64 = 0
    /// Why the last record was refused.
    public var lastRefusal: RecordError?
    /// Over TCP: why the last connection ended or was not had. Over UDP: why the last datagram was dropped, or the host's
    /// addresses were not found.
    public var lastError: ClientError?

    public init() {}
}
