// Where `send` puts its frames: datagrams, or a connection that ends with a receipt.

import SpillwayClient

/// Takes frames on their way to a collector.
protocol FrameSink: ~Copyable {
    var statistics: SendStatistics { get }
    /// - Parameter recordCount: 0 for a control frame.
    mutating func send(_ frame: RawSpan, recordCount: Int) throws(CommandError)
    /// Sends what waits.
    mutating func flush() throws(CommandError)
    /// Ends the sending, and finds out what can be known of the collector's side.
    mutating func finish() throws(CommandError) -> SendOutcome
}

/// What is known at the end.
struct SendOutcome {
    /// Nil over UDP, where nobody answers.
    var receipt: ReceiptFrame?
    /// Nil without `--acknowledged`.
    var acknowledgements: AcknowledgementStatistics?
    /// The first refusals, each a line for people.
    var refusals: [String] = []
    /// What went wrong on the way, if anything did.
    var failure: CommandError?
}

/// Datagrams, many with one system call. A socket that is full is waited for: the loss to measure is the collector's.
struct DatagramSink: FrameSink, ~Copyable {
    private let address: CollectorAddress
    private var transport: UDPTransport

    private static let waitMilliseconds: Int32 = 1_000

    init(to address: CollectorAddress, batchSize: Int) throws(CommandError) {
        self.address = address
        transport = try connecting { () throws(ClientError) in
            try UDPTransport(to: address, batchSize: batchSize, waitMilliseconds: Self.waitMilliseconds)
        }
    }

    var statistics: SendStatistics { transport.statistics }

    mutating func send(_ frame: RawSpan, recordCount: Int) throws(CommandError) {
        guard frame.byteCount <= FrameLimits.datagramBytesMax else {
            throw CommandError(
                .badData,
                "a frame of \(frame.byteCount) bytes does not fit in a datagram: decode the file and send its lines, "
                    + "or send to tcp://\(address.host):\(address.port)")
        }
        transport.append(frame, recordCount: recordCount)
        transport.reopenIfNeeded()
    }

    mutating func flush() throws(CommandError) {
        transport.send()
        transport.reopenIfNeeded()
    }

    mutating func finish() throws(CommandError) -> SendOutcome {
        transport.send()
        var outcome = SendOutcome()
        if statistics.framesDropped > 0, let error = transport.lastError {
            outcome.failure = CommandError(
                .unavailable,
                "\(counted(UInt64(statistics.recordsDropped), "record")) dropped: \(error); is a collector listening there?"
            )
        }
        return outcome
    }
}

/// A connection. The collector's receipt at its end must say that everything arrived.
struct StreamSink: FrameSink, ~Copyable {
    private var transport: TCPTransport
    private var waiting: [UInt8] = []
    private var frameCount = 0
    private var recordCount = 0
    private var controlBytes = 0

    private static let waitingBytesMax = 262_144
    private static let refusalsShownMax = 5
    /// The receipt comes when the collector has taken everything, which takes as long as its database needs.
    private static let timeoutMilliseconds: Int32 = 60_000

    init(to address: CollectorAddress) throws(CommandError) {
        transport = try connecting { () throws(ClientError) in
            try TCPTransport(to: address, timeoutMilliseconds: Self.timeoutMilliseconds)
        }
    }

    var statistics: SendStatistics { transport.statistics }

    mutating func send(_ frame: RawSpan, recordCount count: Int) throws(CommandError) {
        frame.withUnsafeBytes { waiting.append(contentsOf: $0) }
        frameCount += count > 0 ? 1 : 0
        controlBytes += count > 0 ? 0 : frame.byteCount
        recordCount += count
        if waiting.count >= Self.waitingBytesMax { try flush() }
    }

    mutating func flush() throws(CommandError) {
        guard !waiting.isEmpty else { return }
        // Taken out while it is written, and put back for its memory.
        var bytes: [UInt8] = []
        swap(&bytes, &waiting)
        do throws(ClientError) {
            try transport.write(
                bytes.span.bytes, frameCount: frameCount, recordCount: recordCount, controlBytes: controlBytes)
        } catch {
            throw CommandError(error)
        }
        bytes.removeAll(keepingCapacity: true)
        swap(&bytes, &waiting)
        (frameCount, recordCount, controlBytes) = (0, 0, 0)
    }

    mutating func finish() throws(CommandError) -> SendOutcome {
        try flush()
        var outcome = SendOutcome()
        do throws(ClientError) {
            try transport.finishWriting()
            while outcome.receipt == nil, let reply = try transport.nextReply() {
                switch reply {
                case .receipt(let receipt): outcome.receipt = receipt
                case .refusal(let refusal, let sequence):
                    if outcome.refusals.count < Self.refusalsShownMax {
                        outcome.refusals.append("frame \(sequence) was refused: \(refusal.text)")
                    }
                case .welcome, .acknowledgement: continue
                }
            }
        } catch {
            throw CommandError(error)
        }
        outcome.failure = difference(outcome.receipt)
        return outcome
    }

    /// Nil when the receipt is what was sent.
    private func difference(_ receipt: ReceiptFrame?) -> CommandError? {
        let sent = statistics
        guard let receipt else {
            return CommandError(
                .unavailable, "\(transport.address) closed the connection without a receipt: see its log")
        }
        guard
            receipt.framesAccepted + receipt.framesDuplicate != sent.frames || receipt.framesRefused > 0
                || (receipt.framesDuplicate == 0 && receipt.recordsAccepted != sent.records)
        else { return nil }
        return CommandError(
            .unavailable,
            "sent \(sent.frames) frames with \(sent.records) records, "
                + "but the collector took \(receipt.framesAccepted) with "
                + "\(receipt.recordsAccepted), refused \(receipt.framesRefused) and had \(receipt.framesDuplicate) "
                + "already: see its log")
    }
}
