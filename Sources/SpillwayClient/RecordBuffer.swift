// Where a client's records wait: in the frame that is being made, then with the datagrams that go out together.
//
// Limits: `MetricsClientOptions.bufferRecordsMax` records. Invariant: recorded = sent + dropped + refused + waiting.

import LinuxSystem
import Synchronization

/// The records of one client on their way. All of it is behind one lock, which is never held over a wait.
@usableFromInline
final class RecordBuffer: Sendable {
    /// Datagrams of one system call: enough to make it cheap, few enough for the caller whose record completes them.
    static let datagramsTogether = 8

    /// Totals need not be newer, however often records are flushed.
    private static let heartbeatNanosecondsMin: UInt64 = 1_000_000_000

    /// A stream has no datagrams to fit into: larger frames share more.
    static let streamFrameBytes = 32 << 10

    @usableFromInline let state: Mutex<State>

    @usableFromInline
    struct State: ~Copyable {
        @usableFromInline var encoder: FrameEncoder
        var transport: RecordTransport
        let identity: SourceIdentity
        @usableFromInline let recordsMax: Int
        /// Of the last record frame.
        var sequence: UInt64 = 0
        @usableFromInline var recorded: UInt64 = 0
        @usableFromInline var refused: UInt64 = 0
        @usableFromInline var droppedAfterClose: UInt64 = 0
        @usableFromInline var lastRefusal: RecordError?
        @usableFromInline var isClosed = false
        var nextHeartbeatNanoseconds: UInt64 = 0
        /// Those that the encoder keeps.
        var limits = CollectorLimits.ofProtocol

        init(transport: consuming RecordTransport, identity: SourceIdentity, options: MetricsClientOptions) {
            encoder =
                switch transport {
                case .datagrams:
                    FrameEncoder(
                        frameBytesTarget: options.datagramBytes, frameBytesMax: FrameLimits.datagramBytesMax)
                case .stream: FrameEncoder(frameBytesTarget: RecordBuffer.streamFrameBytes)
                case .none: FrameEncoder()
                }
            self.transport = transport
            self.identity = identity
            recordsMax = options.bufferRecordsMax
        }
    }

    init(transport: consuming sending RecordTransport, identity: SourceIdentity, options: MetricsClientOptions) {
        state = Mutex(State(transport: transport, identity: identity, options: options))
    }

    /// Inlined into the program, where the record's type is known.
    @inlinable
    func append<Record: MetricRecord>(_ record: Record) {
        state.withLock { state in
            state.recorded += 1
            guard !state.isClosed else {
                state.droppedAfterClose += 1
                return
            }
            do throws(RecordError) {
                while !(try state.encoder.append(record)) { state.finishFrame() }
                if state.recordsWaiting >= state.recordsMax { state.flush() }
            } catch {
                state.refused += 1
                state.lastRefusal = error
            }
        }
    }

    /// - Parameter withHeartbeat: unless one was sent within the last second.
    func flush(withHeartbeat: Bool) {
        state.withLock { state in
            guard !state.isClosed else { return }
            state.flush()
            guard withHeartbeat else { return }
            let now = monotonicNanoseconds()
            guard now >= state.nextHeartbeatNanoseconds else { return }
            state.nextHeartbeatNanoseconds = now &+ Self.heartbeatNanosecondsMin
            state.sendHeartbeat()
        }
    }

    /// Whether the socket for datagrams is to be replaced.
    var needsReopening: Bool { state.withLock { $0.transport.needsReopening } }

    /// Replaces the socket for datagrams by one to the first of the addresses that works.
    func reopen(_ candidates: Result<[HostAddress], ClientError>) {
        state.withLock { $0.transport.reopen(candidates) }
    }

    func close() {
        state.withLock { state in
            guard !state.isClosed else { return }
            state.flush()
            state.sendHeartbeat()
            state.isClosed = true
        }
    }

    /// Sends the totals once more after `close`.
    func repeatHeartbeat() { state.withLock { $0.sendHeartbeat() } }

    var statistics: MetricsClientStatistics {
        state.withLock { state in
            var result = MetricsClientStatistics()
            result.recordsRecorded = state.recorded
            state.transport.tell(&result)
            result.recordsDropped += state.droppedAfterClose
            result.recordsRefused += state.refused
            result.recordsWaiting += UInt64(state.encoder.recordCount)
            result.lastRefusal = state.lastRefusal
            return result
        }
    }
}

extension RecordBuffer.State {
    /// Records that wait here, before the network.
    @usableFromInline var recordsWaiting: Int { encoder.recordCount + transport.recordsWaiting }

    @usableFromInline
    mutating func finishFrame() {
        guard encoder.recordCount > 0 else { return }
        let next = sequence + 1
        let recordCount = encoder.recordCount
        let isTaken = encoder.finish(identity.frame(sequence: next)) {
            transport.append($0, sequence: next, recordCount: recordCount)
        }
        if isTaken == true { sequence = next }
        keepLimits()
    }

    /// Frames that are made from now on are not over what the collector has said that it takes. The encoder is empty.
    private mutating func keepLimits() {
        guard transport.limits != limits else { return }
        limits = transport.limits
        encoder = FrameEncoder(
            frameBytesTarget: RecordBuffer.streamFrameBytes, frameBytesMax: limits.frameBytesMax,
            recordsMax: max(1, limits.recordsPerFrameMax))
    }

    @usableFromInline
    mutating func flush() {
        finishFrame()
        transport.send()
    }

    /// Tells the collector the totals, so that a lost tail shows too.
    mutating func sendHeartbeat() {
        // What was dropped in a numbered frame is a gap in the sequences already.
        transport.sendHeartbeat(identity, sequence: sequence, recordsDropped: droppedAfterClose + refused)
    }
}
