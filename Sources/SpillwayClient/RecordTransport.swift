// How a client's frames leave: as datagrams at once, or to the thread that delivers them over TCP.

/// Where the frames of a client go.
enum RecordTransport: ~Copyable {
    case datagrams(UDPTransport)
    /// They are kept until they are acknowledged.
    case stream(BackgroundDelivery)
    /// There is no way: its buffer takes no records.
    case none(ClientError?)
}

extension RecordTransport {
    /// - Returns: false if the frame was dropped before anything was numbered by it: over UDP the gap tells of a loss, over
    ///   TCP, where the collector remembers each gap of a session, the heartbeat does.
    mutating func append(_ frame: RawSpan, sequence: UInt64, recordCount: Int) -> Bool {
        switch consume self {
        case .datagrams(var datagrams):
            datagrams.append(frame, recordCount: recordCount)
            self = .datagrams(datagrams)
            return true
        case .stream(let delivery):
            let taken = delivery.offer(frame, sequence: sequence, recordCount: recordCount)
            self = .stream(delivery)
            return taken
        case .none(let error):
            self = .none(error)
            return false
        }
    }

    /// Hands over what waits for others to go with it.
    mutating func send() {
        switch consume self {
        case .datagrams(var datagrams):
            datagrams.send()
            self = .datagrams(datagrams)
        case .stream(let delivery): self = .stream(delivery)
        case .none(let error): self = .none(error)
        }
    }

    /// Whether the socket is to be replaced.
    var needsReopening: Bool {
        switch self {
        case .datagrams(let datagrams): datagrams.needsReopening
        case .stream: false
        case .none: false
        }
    }

    /// Replaces the socket for datagrams.
    mutating func reopen(_ candidates: Result<[HostAddress], ClientError>) {
        switch consume self {
        case .datagrams(var datagrams):
            datagrams.reopen(candidates)
            self = .datagrams(datagrams)
        case .stream(let delivery): self = .stream(delivery)
        case .none(let error): self = .none(error)
        }
    }

    mutating func sendHeartbeat(_ identity: SourceIdentity, sequence: UInt64, recordsDropped: UInt64) {
        switch consume self {
        case .datagrams(var datagrams):
            let sent = datagrams.statistics
            let heartbeat = HeartbeatFrame(
                framesSent: sent.frames, recordsSent: sent.records, bytesSent: sent.bytes,
                recordsDropped: recordsDropped, name: identity.name)
            let frame = heartbeat.encoded(identity.frame(sequence: sequence), baseTime: Timestamp.now)
            datagrams.append(frame.span.bytes, recordCount: 0)
            datagrams.send()
            self = .datagrams(datagrams)
        case .stream(let delivery):
            delivery.sendHeartbeat(recordsDropped: recordsDropped + delivery.queue.recordsDropped)
            self = .stream(delivery)
        case .none(let error): self = .none(error)
        }
    }

    /// What a frame may have at most.
    var limits: CollectorLimits {
        switch self {
        case .datagrams: .ofProtocol
        case .stream(let delivery): delivery.queue.limits
        case .none: .ofProtocol
        }
    }

    /// Records that wait for `send`.
    var recordsWaiting: Int {
        switch self {
        case .datagrams(let datagrams): datagrams.recordsWaiting
        case .stream: 0
        case .none: 0
        }
    }

    /// Adds what is known of the frames to a client's totals.
    func tell(_ totals: inout MetricsClientStatistics) {
        switch self {
        case .datagrams(let datagrams):
            let sent = datagrams.statistics
            totals.recordsSent = sent.records
            totals.recordsDropped = sent.recordsDropped
            totals.framesSent = sent.frames
            totals.bytesSent = sent.bytes
            totals.recordsWaiting = UInt64(datagrams.recordsWaiting)
            totals.lastError = datagrams.resolverError ?? datagrams.lastError.map(ClientError.system)
        case .stream(let delivery):
            // One snapshot, and the rest is waiting: the totals add up whatever the delivering thread does meanwhile. Its
            // caller holds the lock under which frames are offered.
            let progress = delivery.now
            totals.recordsSent = progress.statistics.recordsAcknowledged
            totals.recordsRefused = progress.statistics.recordsRefused
            totals.recordsDropped = delivery.queue.recordsDropped + progress.recordsAbandoned
            totals.framesSent = progress.statistics.framesAcknowledged
            totals.bytesSent = progress.statistics.bytes
            totals.recordsWaiting = delivery.queue.recordsTaken - progress.recordsSettled
            totals.lastError = progress.lastError
        case .none(let error): totals.lastError = error
        }
    }
}
