// Whatever arrives leaves the collector working, and each of it is counted.

import Foundation
import FrameCodec
import LinuxSystem
import Postgres
import StoreSchema
import Testing
import TestSupport

@Suite(.serialized, .timeLimit(.minutes(10))) struct HostileInputTests {
    private static func connected(_ address: String, _ type: __socket_type) throws -> Int32 {
        let colon = try #require(address.lastIndex(of: ":"))
        let port = try #require(UInt16(address[address.index(after: colon)...]))
        let descriptor = socket(AF_INET, Int32(type.rawValue), 0)
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_port = port.bigEndian
        name.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let result = withUnsafePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0 else { throw SystemCallError(call: "connect", code: errno, object: address) }
        return descriptor
    }

    /// Frames that pass admission and whose payload means nothing, with numbers at the ends of their range, in the company of
    /// sound ones.
    @Test(arguments: [0, 1, UInt64(Int64.max), UInt64.max - 1, UInt64.max])
    func malformedDatagramsMayBearAnyNumber(_ sequence: UInt64) throws {
        let location = try TestServers.database(.plain)
        let collector = try CollectorProcess([
            "--database", TestServers.url(location), "--flush-interval", "20", "--accept-past", "off",
        ])
        let datagrams = try Self.connected(collector.address("udp"), SOCK_DGRAM)
        defer { close(datagrams) }
        for isMalformed in [false, true, false] {
            var encoder = FrameEncoder()
            #expect(try encoder.append(PointRecord(time: 1, metricName: "m", value: 1)))
            let identity = FrameIdentity(source: 5, session: 6, sequence: isMalformed ? sequence : 0)
            var bytes = try #require(encoder.finish(identity) { frame in frame.withUnsafeBytes { Array($0) } })
            if isMalformed {
                bytes[try FrameHeader.admit(bytes.span.bytes).headerLength] = 0x7F
                bytes.replaceSubrange(12..<16, with: repeatElement(0, count: 4))
                let checksum = Checksum.crc32c(bytes.span.bytes)
                withUnsafeBytes(of: checksum.littleEndian) { bytes.replaceSubrange(12..<16, with: $0) }
            }
            _ = bytes.withUnsafeBytes { send(datagrams, $0.baseAddress, $0.count, 0) }
        }
        let stats = try collector.waitForStats { $0["records_committed"] == 2 && $0.unaccounted == 0 }
        #expect(stats.frames_refused.values.reduce(0, +) == 1)
        #expect(collector.stop() == 0, "\(collector.logText)")
    }

    @Test func randomDatagramsAndStreamsAreEachCountedAndTheCollectorGoesOn() throws {
        let seed = UInt64.random(in: .min ... .max)
        print("seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        let location = try TestServers.database(.timescale)
        let collector = try CollectorProcess(["--database", TestServers.url(location)])

        let frames = try Programs.run(["encode", "--generate", "all", "--count", "200", "--seed", "5"]).output
        let datagrams = try Self.connected(collector.address("udp"), SOCK_DGRAM)
        defer { close(datagrams) }
        let count = 100_000
        for index in 0..<count {
            var bytes: [UInt8]
            if index % 2 == 0 {
                let length = Int.random(in: 0...300, using: &generator)
                bytes = (0..<length).map { _ in .random(in: 0...255, using: &generator) }
            } else {
                // A frame with a few bytes changed, which passes further.
                bytes = Array(frames.prefix(Int.random(in: 1...1_400, using: &generator)))
                bytes[Int.random(in: 0..<bytes.count, using: &generator)] ^= .random(in: 1...255, using: &generator)
            }
            _ = bytes.withUnsafeBytes { send(datagrams, $0.baseAddress, $0.count, 0) }
            if index % 500 == 0 { usleep(2_000) }
        }
        let after = try collector.waitForStats { $0["datagrams_received"] + $0["kernel_drops"] >= count }
        #expect(after["datagrams_received"] + after["kernel_drops"] == count)
        let refused = after.frames_refused.values.reduce(0, +)
        #expect(refused == after["datagrams_received"], "a changed frame cannot be sound: \(after.frames_refused)")
        #expect(after["records_received"] == 0)

        let streams = 1_000
        for _ in 0..<streams {
            let stream = try Self.connected(collector.address("tcp"), SOCK_STREAM)
            let bytes: [UInt8] = (0..<Int.random(in: 1...2_000, using: &generator)).map { _ in
                .random(in: 0...255, using: &generator)
            }
            _ = bytes.withUnsafeBytes { send(stream, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            shutdown(stream, Int32(SHUT_WR))
            // Until the collector has closed it.
            var reply = [UInt8](repeating: 0, count: 4_096)
            while recv(stream, &reply, reply.count, 0) > 0 {}
            close(stream)
        }
        let last = try collector.waitForStats { $0.frames_refused.values.reduce(0, +) >= refused + streams }
        #expect(last.frames_refused.values.reduce(0, +) == refused + streams)
        #expect(last["connections_accepted"] == streams)

        let sent = try Programs.run([
            "send", "--to", "tcp://\(collector.address("tcp"))", "--generate", "all", "--count", "900",
        ])
        #expect(sent.status == 0, "\(sent.errors)")
        let end = try collector.waitForStats { $0["records_committed"] == 900 }
        #expect(end.unaccounted == 0)
        #expect(collector.stop() == 0)
    }

    /// Faults of the header that are found before it is known whether the frame is for this side.
    private static let reasonsBeforeType: Set<String> = [
        "truncated_header", "bad_magic", "unsupported_version", "unknown_type", "unknown_flag", "bad_header_length",
        "frame_too_large", "truncated_payload", "checksum_mismatch", "record_count_mismatch", "time_out_of_range",
    ]

    @Test func everyMustRejectVectorIsRefusedByTheCollectorForItsReason() throws {
        let vectors = try RejectVector.load()
        #expect(vectors.count >= 60)
        let collector = try CollectorProcess(["--database", "discard"])
        let datagrams = try Self.connected(collector.address("udp"), SOCK_DGRAM)
        defer { close(datagrams) }
        var sent = 0
        var expected: [String: Int] = [:]
        for vector in vectors where !vector.bytes.isEmpty && vector.bytes.count <= 65_507 {
            _ = vector.bytes.withUnsafeBytes { send(datagrams, $0.baseAddress, $0.count, 0) }
            sent += 1
            // What only collectors send is not taken from a client, whatever is in it.
            let isReply =
                vector.bytes.count >= 52 && vector.bytes[6] >= 16 && !Self.reasonsBeforeType.contains(vector.reason)
            expected[isReply ? "unknown_type" : vector.reason, default: 0] += 1
            usleep(500)
        }
        let stats = try collector.waitForStats { $0.frames_refused.values.reduce(0, +) >= sent }
        #expect(stats.frames_refused.values.reduce(0, +) == sent)
        #expect(stats.frames_refused.filter { $0.value > 0 } == expected)
        #expect(stats.unaccounted == 0)
        #expect(collector.stop() == 0)
    }

    @Test func aRowThatTheServerRefusesBecomesADeadLetterBesideItsCleanSiblings() throws {
        for flavour in TestFlavour.allCases {
            let location = try TestServers.database(flavour)
            let connection = try DatabaseConnection(location)
            _ = try SchemaManager(connection).apply()
            try connection.execute(
                "ALTER TABLE metrics.routing_metrics ADD CONSTRAINT picky CHECK (query_id NOT LIKE '%7')")
            let collector = try CollectorProcess(["--database", TestServers.url(location)])
            let sent = try Programs.run([
                "send", "--to", "tcp://\(collector.address("tcp"))", "--generate", "routing", "--count", "1000",
                "--seed", "3",
            ])
            #expect(sent.status == 0, "\(sent.errors)")
            let stats = try collector.waitForStats {
                $0["records_committed"] + $0["records_dead_lettered"] == 1_000
            }
            #expect(stats.unaccounted == 0)
            #expect(stats["records_dead_lettered"] > 0)
            #expect(collector.stop() == 0)
            let counts = try connection.query(
                """
                SELECT (SELECT count(*) FROM metrics.routing_metrics), count(*),
                       count(*) FILTER (WHERE sqlstate = '23514' AND reason LIKE '%picky%' AND kind = 'routing'
                                        AND at > now() - interval '1 hour')
                FROM spillway.dead_letters
                """
            )[0]
            #expect(counts == ["\(stats["records_committed"])", "\(stats["records_dead_lettered"])", counts[1]])

            // The frames of the dead letters are whole frames with the record.
            let hex = try connection.query("SELECT encode(frame, 'hex') FROM spillway.dead_letters").compactMap {
                $0[0]
            }
            let file = try Programs.temporaryFile("frames")
            defer { unlink(file.path) }
            try Data(hex.joined().hexBytes).write(to: file)
            let decoded = try Programs.run(["decode", file.path])
            #expect(decoded.status == 0, "\(decoded.errors)")
            let lines = decoded.text.split(separator: "\n")
            #expect(lines.count == hex.count)
            #expect(lines.allSatisfy { $0.contains("7\",\"query_text\"") || $0.contains("7\"") })
        }
    }
}
