// The front that programs use: one object for the whole process, shared by all threads, that never gets in the way.

import LinuxSystem
import Synchronization

/// Sends records to a collector: over UDP, or over TCP with acknowledgements. Safe from any thread; recording never throws
/// and never waits for the network.
///
/// Over `tcp://` each frame is kept until the collector says that it is durable, within
/// `MetricsClientOptions.unacknowledgedBytesMax`, and sent again over new connections for as long as the program runs.
///
///     import SpillwayClient
///
///     let metrics = try MetricsClient(to: "udp://127.0.0.1:8127", source: "my-app")
///     metrics.record(RoutingRecord(time: Timestamp.now, queryID: "q1", modelSelected: "swift-8b"))
///     metrics.close()
public final class MetricsClient: Sendable {
    public let address: CollectorAddress
    /// With the session that the client begins with. Over TCP a new one begins when the collector cannot remember a frame
    /// of it (refusal 44, `sequence_refused`).
    public let identity: SourceIdentity
    public let options: MetricsClientOptions

    @usableFromInline let buffer: RecordBuffer
    private let stop: WakeEvent
    private let thread: Mutex<NamedThread?>
    /// What delivers over TCP, and its thread.
    private let delivery: BackgroundDelivery?
    private let deliveryThread: Mutex<NamedThread?>

    /// - Parameters:
    ///   - address: `udp://HOST:PORT` or `tcp://HOST:PORT`.
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
        let buffer: RecordBuffer
        switch address.transport {
        case .udp:
            let datagrams = try UDPTransport(to: address, batchSize: RecordBuffer.datagramsTogether)
            buffer = RecordBuffer(transport: .datagrams(datagrams), identity: identity, options: options)
            delivery = nil
            deliveryThread = Mutex(nil)
        case .tcp:
            // A name that has no address is an error here and now.
            _ = try resolver(address)
            do throws(SystemCallError) {
                let delivery = try BackgroundDelivery()
                buffer = RecordBuffer(transport: .stream(delivery), identity: identity, options: options)
                deliveryThread = Mutex(
                    try NamedThread(name: "metrics-send") {
                        delivery.run(
                            AcknowledgedSender(
                                to: address, identity: identity,
                                bytesMax: max(options.unacknowledgedBytesMax, FrameLimits.frameBytesMax),
                                timeoutMilliseconds: nil, heartbeatMilliseconds: heartbeatMilliseconds,
                                resolver: resolver))
                    })
                self.delivery = delivery
            } catch {
                throw .system(error)
            }
        }
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
    @inlinable
    public func record<Record: MetricRecord>(_ record: Record) { buffer.append(record) }

    /// Sends what waits. Does not wait for the network.
    public func flush() { buffer.flush(withHeartbeat: false) }

    /// Sends what waits and the final totals, and ends the background threads. Over TCP it waits for the last
    /// acknowledgements, for at most `MetricsClientOptions.closeTimeoutSeconds`, whatever name servers and network do:
    /// records without an acknowledgement by then are counted as dropped, although some of them may have arrived.
    /// Records that come later are dropped. May be called more than once.
    public func close() {
        guard let flusher = thread.withLock({ $0.take() }) else { return }
        stop.signal()
        flusher.join()
        buffer.close()
        delivery?.stop(withinMilliseconds: options.closeMilliseconds)
        deliveryThread.withLock({ $0.take() })?.join()
    }

    /// What became of all records so far.
    public var statistics: MetricsClientStatistics { buffer.statistics }
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
    /// Over TCP: why the last connection ended or was not had.
    public var lastError: ClientError?

    public init() {}
}
