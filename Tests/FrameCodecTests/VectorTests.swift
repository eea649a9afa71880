// protocol/vectors against the codec.

import FrameCodec
import Foundation
import MetricKinds
import Testing

/// The folder of the package.
let packageFolder = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
let vectorsFolder = packageFolder.appendingPathComponent("protocol/vectors")

/// A file of `good`.
struct GoodVector: CustomTestStringConvertible, Sendable {
    let testDescription: String

    func load() throws -> TestJSON {
        let url = vectorsFolder.appendingPathComponent("good/\(testDescription).json")
        return try TestJSON([UInt8](Data(contentsOf: url)))
    }

    static let all: [GoodVector] = {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: vectorsFolder.path + "/good")) ?? []
        let vectors = names.filter { $0.hasSuffix(".json") }.sorted()
        return vectors.map { GoodVector(testDescription: String($0.dropLast(5))) }
    }()
}

/// An entry of `reject.json`.
struct RejectVector: CustomTestStringConvertible, Sendable {
    let testDescription: String
    let reason: String
    let code: Int
    let offset: Int
    let bytes: [UInt8]

    static let all: [RejectVector] = {
        do {
            let data = try Data(contentsOf: vectorsFolder.appendingPathComponent("reject.json"))
            return try TestJSON([UInt8](data)).array().map { entry in
                guard let name = entry["name"], let reason = entry["reason"], let code = entry["code"],
                    let offset = entry["offset"], let bytes = entry["bytes"]
                else { throw TestJSON.Fault(what: "an incomplete vector") }
                return RejectVector(
                    testDescription: try name.string(), reason: try reason.string(), code: try code.number(),
                    offset: try offset.number(), bytes: try bytes.bytes())
            }
        } catch {
            return []
        }
    }()
}

@Suite struct VectorTests {
    @Test func `the vectors are there`() {
        #expect(GoodVector.all.count >= 60)
        #expect(RejectVector.all.count >= 250)
    }

    @Test(arguments: GoodVector.all)
    func `a good vector decodes to the records that it says`(vector: GoodVector) throws {
        let json = try vector.load()
        let frames = try decodeFrames(try #require(json["bytes"]).bytes())
        let expected = try #require(json["frames"]).array()
        #expect(frames.count == expected.count)
        for (frame, expected) in zip(frames, expected) {
            try compareHeaders(frame.header, expected)
            #expect(frame.visitor.disorder.isEmpty)
            guard frame.header.type == .records else {
                try compareControl(try #require(frame.control), expected)
                continue
            }
            let records = try #require(expected["records"]).array().map { try CollectedRecord($0) }
            #expect(frame.visitor.records.count == records.count)
            let difference = zip(frame.visitor.records, records).first { $0 != $1 }
            #expect(difference == nil)
            let skipped = try #require(expected["skipped"]).array()
            #expect(frame.visitor.skipped.count == skipped.count)
            for (found, expected) in zip(frame.visitor.skipped, skipped) {
                #expect(found.kindID == (try #require(expected["kind"]).number()))
                #expect(found.recordCount == (try #require(expected["records"]).number()))
            }
        }
    }

    @Test(arguments: GoodVector.all)
    func `a canonical vector is what the encoder writes`(vector: GoodVector) throws {
        let json = try vector.load()
        let bytes = try #require(json["bytes"]).bytes()
        guard try #require(json["canonical"]).bool() else { return }
        var again: [UInt8] = []
        for frame in try decodeFrames(bytes) {
            if let control = frame.control {
                again += control.encoded(frame.header.identity, baseTime: frame.header.baseTime)
            } else {
                let records = try frame.visitor.records.map { try $0.any() }
                again += try encodeFrames(records, identity: frame.header.identity).flatMap { $0 }
            }
        }
        #expect(again.count == bytes.count)
        #expect(again == bytes)
    }

    @Test func `an encoder that is given records in another order than that of the blocks writes the vector's bytes`()
        throws
    {
        let json = try GoodVector(testDescription: "base-time-appended").load()
        let bytes = try #require(json["bytes"]).bytes()
        let frame = try decodeFrame(bytes)
        let order: [Int] = try #require(json["appended"]).array().map { try $0.number() }
        let records = try order.map { try frame.visitor.records[$0].any() }
        #expect(try encodeFrames(records, identity: frame.header.identity) == [bytes])
        #expect(frame.header.baseTime == frame.visitor.records[order[0]].time)
        #expect(try encodeFrames(records.reversed(), identity: frame.header.identity) != [bytes])
    }

    /// Of differences over 64 bits, and of records over 1,400 bytes.
    @Test(arguments: ["time-differences", "record-over-datagram"])
    func `an encoder ends its frames where the vector does`(name: String) throws {
        let bytes = try #require(try GoodVector(testDescription: name).load()["bytes"]).bytes()
        let frames = try decodeFrames(bytes)
        #expect(frames.count == 3)
        let records = try frames.flatMap { try $0.visitor.records.map { try $0.any() } }
        let encoder = TestEncoder()
        var encoded: [UInt8] = []
        for record in records where try !encoder.append(record) {
            encoded += try encoder.frame()
            #expect(try encoder.append(record))
        }
        encoded += try encoder.frame()
        #expect(encoded == bytes)
    }

    @Test func `a heartbeat's totals are those of the record frames before it`() throws {
        let frames = try decodeFrames(
            try #require(try GoodVector(testDescription: "heartbeat-totals").load()["bytes"]).bytes())
        let heartbeat = try #require(frames.last?.control as? HeartbeatFrame)
        let sent = frames.filter { $0.header.type == .records }
        #expect(heartbeat.framesSent == UInt64(sent.count) && heartbeat.framesSent > 0)
        #expect(heartbeat.recordsSent == UInt64(sent.reduce(0) { $0 + $1.header.recordCount }))
        #expect(heartbeat.bytesSent == UInt64(sent.reduce(0) { $0 + $1.header.frameLength }))
    }

    @Test func `the range of times that every database stores is the vector's`() throws {
        let frame = try decodeFrame(
            try #require(try GoodVector(testDescription: "time-stored-ends").load()["bytes"]).bytes())
        #expect(frame.visitor.records.first?.time == FrameLimits.storedTimeRange.lowerBound)
        #expect(frame.visitor.records.last?.time == FrameLimits.storedTimeRange.upperBound)
    }

    @Test(arguments: RejectVector.all)
    func `a vector to refuse is refused with its reason and offset`(vector: RejectVector) throws {
        let error = try #require(fault(of: vector.bytes), "accepted")
        #expect(error.reason.name == vector.reason)
        #expect(Int(error.reason.rawValue) == vector.code)
        #expect(error.offset == vector.offset)
    }

    @Test func `every reason has a vector but those of the receiver`() {
        let receiver: Set<FrameError.Reason> = [
            .unknownKey, .badAuthentication, .authenticationRequired, .truncatedDatagram, .sequenceRefused,
        ]
        let found = Set(RejectVector.all.map(\.reason))
        for reason in FrameError.Reason.allCases where !receiver.contains(reason) {
            #expect(found.contains(reason.name), "\(reason.name)")
        }
    }

    private func compareHeaders(_ header: FrameHeader, _ expected: TestJSON) throws {
        #expect("\(header.type)" == (try #require(expected["type"]).string()))
        #expect(header.headerLength == (try #require(expected["header_length"]).number()))
        #expect(header.flags == (try #require(expected["flags"]).number()))
        #expect(header.identity.source == (try #require(expected["source"]).number()))
        #expect(header.identity.session == (try #require(expected["session"]).number()))
        #expect(header.identity.sequence == (try #require(expected["sequence"]).number()))
        #expect(header.baseTime == (try #require(expected["base_time"]).number()))
        #expect(header.recordCount == (try #require(expected["record_count"]).number()))
    }

    private func compareControl(_ control: any ControlFrame, _ expected: TestJSON) throws {
        func number(_ name: String) throws -> UInt64 { try #require(expected[name]).number() }
        func text(_ name: String) throws -> String { try #require(expected[name]).string() }
        func ranges() throws -> SequenceRanges {
            SequenceRanges(
                try #require(expected["ranges"]).array().map { pair in
                    let numbers: [UInt64] = try pair.array().map { try $0.number() }
                    return numbers[0]..<numbers[0] + numbers[1]
                })
        }
        switch control {
        case let frame as HeartbeatFrame:
            #expect(
                frame
                    == HeartbeatFrame(
                        framesSent: try number("frames_sent"), recordsSent: try number("records_sent"),
                        bytesSent: try number("bytes_sent"), recordsDropped: try number("records_dropped"),
                        name: try text("name")))
        case let frame as WelcomeFrame:
            #expect(
                frame
                    == WelcomeFrame(
                        frameBytesMax: try number("frame_bytes_max"),
                        recordsPerFrameMax: try number("records_per_frame_max"), durable: try ranges()))
        case let frame as AcknowledgementFrame: #expect(frame == AcknowledgementFrame(durable: try ranges()))
        case let frame as RefusalFrame:
            #expect(
                frame
                    == RefusalFrame(
                        reasonCode: try number("code"), offset: try number("offset"), text: try text("explanation")))
        case let frame as ReceiptFrame:
            #expect(
                frame
                    == ReceiptFrame(
                        framesAccepted: try number("frames_accepted"), recordsAccepted: try number("records_accepted"),
                        framesRefused: try number("frames_refused"), framesDuplicate: try number("frames_resent")))
        default: Issue.record("an unknown frame \(control)")
        }
    }
}
