// The front that programs use: one object for the whole process, shared by all threads, that never gets in the way.

import LinuxSystem
import Synchronization

/// Sends records to a collector over UDP. Safe from any thread; recording never throws and never waits for the network.
///
///     import SpillwayClient
///
///     let metrics = try MetricsClient(to: "udp://127.0.0.1:8127", source: "my-app")
///     metrics.record(RoutingRecord(time: Timestamp.now, queryID: "q1", modelSelected: "swift-8b"))
///     metrics.close()
public final class MetricsClient: Sendable {
    public let address: CollectorAddress
    public let identity: SourceIdentity
    public let options: MetricsClientOptions

    private let buffer: RecordBuffer
    private let stop: WakeEvent
    private let thread: Mutex<NamedThread?>

    /// - Parameters:
    ///   - address: `udp://HOST:PORT`.
    ///   - source: the program's name; keep it over restarts, so that the collector can tell each program's losses.
    ///   - options: what the environment says, unless given.
    /// - Throws: an address or a setting that cannot be, an unknown host. Not that nobody listens: a collector may come
    ///   later.
    public convenience init(
        to address: String, source: String, options: MetricsClientOptions? = nil
    ) throws(ClientError) {
        let options = if let options { options } else { try MetricsClientOptions.environment() }
        try self.init(to: try CollectorAddress(address), identity: SourceIdentity(name: source), options: options)
    }

    /// The same with its parts made already.
    public init(
        to address: CollectorAddress, identity: SourceIdentity, options: MetricsClientOptions
    ) throws(ClientError) {
        guard address.transport == .udp else { throw .unsupportedTransport(address) }
        self.address = address
        self.identity = identity
        self.options = options
        let buffer = RecordBuffer(
            transport: try UDPTransport(to: address, batchSize: RecordBuffer.datagramsTogether), identity: identity,
            options: options)
        self.buffer = buffer
        let seconds = options.flushIntervalSeconds
        let interval = seconds.isFinite ? Int32(min(max(seconds, 0.001), 86_400) * 1_000) : 86_400_000
        do throws(SystemCallError) {
            let stop = try WakeEvent()
            self.stop = stop
            // The thread holds the buffer and not the client: a client that nobody holds any more closes itself.
            let flusher = try NamedThread(name: "metrics-flush") {
                while !stop.wait(timeoutMilliseconds: interval) { buffer.flush(withHeartbeat: true) }
            }
            thread = Mutex(flusher)
        } catch {
            throw .system(error)
        }
    }

    deinit { close() }

    /// Takes a record. It is sent with the datagram that it completes, or at the next flush.
    ///
    /// A record that no datagram can carry is refused, one that the kernel does not take is dropped: `statistics`
    /// tells.
    /// - Complexity: some 100 ns, without allocation; for the record that completes a batch the system call too.
    public func record<Record: MetricRecord>(_ record: Record) { buffer.append(record) }

    /// Sends what waits. Does not wait for the network.
    public func flush() { buffer.flush(withHeartbeat: false) }

    /// Sends what waits and the final totals, and ends the background thread. Records that come later are dropped. May
    /// be called more than once.
    public func close() {
        guard let flusher = thread.withLock({ $0.take() }) else { return }
        stop.signal()
        flusher.join()
        buffer.close()
    }

    /// What became of all records so far.
    public var statistics: MetricsClientStatistics { buffer.statistics }
}

/// The totals of a client: recorded = sent + dropped + refused + waiting.
public struct MetricsClientStatistics: Equatable, Sendable {
    /// Records that the program gave.
    public var recordsRecorded: UInt64 = 0
    /// Records that the kernel took.
    public var recordsSent: UInt64 = 0
    /// Records that the kernel did not take, or that came behind the end.
    public var recordsDropped: UInt64 = 0
    /// Records that the protocol cannot carry: a text with U+0000 or too long, a time out of range.
    public var recordsRefused: UInt64 = 0
    /// Records that wait for their datagram.
    public var recordsWaiting: UInt64 = 0
    public var framesSent: UInt64 = 0
    public var bytesSent: UInt64 = 0
    /// Why the last record was refused.
    public var lastRefusal: RecordError?

    public init() {}
}
