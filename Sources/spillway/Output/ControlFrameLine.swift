import SpillwayClient

/// A frame without records as one JSON line.
enum ControlFrameLine {
    /// - Throws: a payload that is not what the frame's type says.
    static func text(_ frame: RawSpan, header: FrameHeader) throws(FrameError) -> String {
        let identity = header.identity
        var line = JSONObject()
        func begin(_ name: String) {
            line.add("frame", name)
            line.add("source", hexadecimal(identity.source))
            line.add("session", hexadecimal(identity.session))
            line.add("sequence", identity.sequence)
        }
        switch header.type {
        case .records: preconditionFailure("a record frame is printed record by record")
        case .heartbeat:
            let heartbeat = try HeartbeatFrame(frame: frame, header: header)
            begin("heartbeat")
            line.add("frames_sent", heartbeat.framesSent)
            line.add("records_sent", heartbeat.recordsSent)
            line.add("bytes_sent", heartbeat.bytesSent)
            line.add("records_dropped", heartbeat.recordsDropped)
            line.add("name", heartbeat.name)
        case .welcome:
            let welcome = try WelcomeFrame(frame: frame, header: header)
            begin("welcome")
            line.add("frame_bytes_max", welcome.frameBytesMax)
            line.add("records_per_frame_max", welcome.recordsPerFrameMax)
            line.add("durable", welcome.durable.ranges)
        case .acknowledgement:
            begin("acknowledgement")
            line.add("durable", try AcknowledgementFrame(frame: frame, header: header).durable.ranges)
        case .refusal:
            let refusal = try RefusalFrame(frame: frame, header: header)
            begin("refusal")
            line.add("reason_code", refusal.reasonCode)
            line.add("offset", refusal.offset)
            line.add("text", refusal.text)
        case .receipt:
            let receipt = try ReceiptFrame(frame: frame, header: header)
            begin("receipt")
            line.add("frames_accepted", receipt.framesAccepted)
            line.add("records_accepted", receipt.recordsAccepted)
            line.add("frames_refused", receipt.framesRefused)
            line.add("frames_duplicate", receipt.framesDuplicate)
        }
        return line.text + "\n"
    }
}
