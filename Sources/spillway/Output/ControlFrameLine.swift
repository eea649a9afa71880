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

/// A small JSON object that is written member by member.
struct JSONObject {
    private var members = ""

    var text: String { "{\(members)}" }

    mutating func add(_ name: String, _ value: UInt64) { add(name, raw: "\(value)") }
    mutating func add(_ name: String, _ value: String) { add(name, raw: Self.quoted(value)) }

    /// A number with so many decimals.
    mutating func add(_ name: String, _ value: Double, decimals: Int) { add(name, raw: decimal(value, decimals)) }

    /// Ranges as pairs of their first and last member.
    mutating func add(_ name: String, _ ranges: [Range<UInt64>]) {
        add(name, raw: "[" + ranges.map { "[\($0.lowerBound),\($0.upperBound - 1)]" }.joined(separator: ",") + "]")
    }

    private mutating func add(_ name: String, raw: String) {
        if !members.isEmpty { members += "," }
        members += "\"\(name)\":\(raw)"
    }

    private static func quoted(_ text: String) -> String {
        var out = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": out += "\\\(scalar)"
            case _ where scalar.value < 0x20:
                let digits = String(scalar.value, radix: 16)
                out += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: out.unicodeScalars.append(scalar)
            }
        }
        return out + "\""
    }
}
