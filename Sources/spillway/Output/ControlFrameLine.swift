import SpillwayClient

/// A frame without records as one JSON line, with the names that protocol/vectors has.
enum ControlFrameLine {
    /// - Throws: a payload that is not what the frame's type says.
    static func text(_ frame: RawSpan, header: FrameHeader) throws(FrameError) -> String {
        let identity = header.identity
        var line = JSONObject()
        line.add("type", "\(header.type)")
        line.add("header_length", UInt64(header.headerLength))
        line.add("flags", UInt64(header.flags))
        line.add("source", identity.source)
        line.add("session", identity.session)
        line.add("sequence", identity.sequence)
        line.add("base_time", Optional(header.baseTime))
        line.add("record_count", UInt64(header.recordCount))
        switch header.type {
        case .records: preconditionFailure("a record frame is printed record by record")
        case .heartbeat:
            let heartbeat = try HeartbeatFrame(frame: frame, header: header)
            line.add("frames_sent", heartbeat.framesSent)
            line.add("records_sent", heartbeat.recordsSent)
            line.add("bytes_sent", heartbeat.bytesSent)
            line.add("records_dropped", heartbeat.recordsDropped)
            line.add("name", heartbeat.name)
        case .welcome:
            let welcome = try WelcomeFrame(frame: frame, header: header)
            line.add("frame_bytes_max", welcome.frameBytesMax)
            line.add("records_per_frame_max", welcome.recordsPerFrameMax)
            line.add("ranges", welcome.durable)
        case .acknowledgement:
            line.add("ranges", try AcknowledgementFrame(frame: frame, header: header).durable)
        case .refusal:
            let refusal = try RefusalFrame(frame: frame, header: header)
            line.add("code", refusal.reasonCode)
            line.add("offset", refusal.offset)
            line.add("explanation", refusal.text)
        case .receipt:
            let receipt = try ReceiptFrame(frame: frame, header: header)
            line.add("frames_accepted", receipt.framesAccepted)
            line.add("records_accepted", receipt.recordsAccepted)
            line.add("frames_refused", receipt.framesRefused)
            line.add("frames_resent", receipt.framesDuplicate)
        }
        return line.text + "\n"
    }
}

extension JSONObject {
    /// Ranges as pairs of their first sequence and how many they have.
    fileprivate mutating func add(_ name: String, _ sequences: SequenceRanges) {
        let pairs = sequences.ranges.map { "[\($0.lowerBound),\($0.upperBound - $0.lowerBound)]" }
        add(name, raw: "[" + pairs.joined(separator: ",") + "]")
    }
}
