// What a child of `fork` needs of the Swift runtime before it can deliver.
//
// The runtime makes the metadata of a generic type, such as the storage of an array of frames, when it is first needed, and holds a
// lock meanwhile. A child waits for that lock for ever if another thread of its parent held it. What was made before is found
// without the lock. So the first client of a process uses once what the threads of clients use.

import LinuxSystem

enum ForkRehearsal {
    /// Sends nothing. Costs less than a millisecond, once in a process.
    static let once: Void = run()

    private static func run() {
        let stream = CollectorAddress(transport: .tcp, host: "127.0.0.1", port: 9)
        let datagrams = CollectorAddress(transport: .udp, host: "127.0.0.1", port: 9)
        let identity = SourceIdentity(name: "rehearsal", session: 1)
        let options = MetricsClientOptions()
        do {
            let delivery = try BackgroundDelivery(noRoom: .noRoom(stream, bytes: 0))
            record(RecordBuffer(transport: .stream(delivery), identity: identity, options: options))
            var sender = AcknowledgedSender(
                to: stream, identity: identity, bytesMax: FrameLimits.frameBytesMax, timeoutMilliseconds: nil,
                resolver: HostAddress.all)
            delivery.rehearse(&sender)
            try sender.rehearse()
            let transport = UDPTransport(
                to: datagrams, candidates: .success(HostAddress.numeric(datagrams) ?? []),
                batchSize: RecordBuffer.datagramsTogether, reopening: try WakeEvent())
            record(RecordBuffer(transport: .datagrams(transport), identity: identity, options: options), flushes: false)
        } catch {
            // The client that is being made will need the same, and report it.
        }
    }

    private static func record(_ buffer: RecordBuffer, flushes: Bool = true) {
        buffer.append(PointRecord(time: 1, metricName: "rehearsal", value: 1))
        if flushes { buffer.flush(withHeartbeat: true) }
        _ = buffer.statistics
    }
}

extension AcknowledgedSender {
    /// Has its frames acknowledged over a pair of sockets, as over a connection.
    mutating func rehearse() throws(ClientError) {
        let collector = try connection.rehearse()
        sessions.connected(welcomeDeadlineNanoseconds: .max)
        let durable = SequenceRanges([1..<2])
        let welcome = WelcomeFrame(
            frameBytesMax: UInt64(FrameLimits.frameBytesMax), recordsPerFrameMax: 1, durable: SequenceRanges())
        let replies = [
            welcome.encoded(identity.frame(sequence: 0), baseTime: 1),
            AcknowledgementFrame(durable: durable).encoded(identity.frame(sequence: 0), baseTime: 1),
        ]
        for reply in replies {
            sendHeartbeat()
            try progress(waitMilliseconds: 0)
            _ = CollectorConnection.send(reply.span.bytes, collector.descriptor, address)
            // Reads the reply, then writes what it allows.
            for _ in 0..<2 { try progress(waitMilliseconds: 0) }
        }
        if framesOpen == 0 { _ = try finish(withinMilliseconds: 0) }
    }
}
