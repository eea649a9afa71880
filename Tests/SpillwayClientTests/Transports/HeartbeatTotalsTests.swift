// What heartbeats report as sent: record frames, with their headers, and nothing else.

import Glibc
import Testing

@testable import SpillwayClient

@Suite(.timeLimit(.minutes(1))) struct HeartbeatTotalsTests {
    private func nextFrame(_ socket: TestSocket) throws -> (header: FrameHeader, bytes: [UInt8]) {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        let count = recv(socket.descriptor, &buffer, buffer.count, 0)
        try #require(count > 0)
        let bytes = Array(buffer[..<count])
        return (try FrameHeader.admit(bytes.span.bytes), bytes)
    }

    @Test func heartbeatsOverUDPReportTheBytesOfRecordFramesAlone() throws {
        let socket = try TestSocket(SOCK_DGRAM)
        let client = try MetricsClient(
            to: "udp://127.0.0.1:\(socket.port)", source: "totals",
            options: MetricsClientOptions(flushIntervalSeconds: 0.01))
        var sent = (frames: UInt64(0), bytes: UInt64(0))
        var heartbeats = 0
        // The second one would have the bytes of the first, and so on.
        while heartbeats < 3 {
            client.record(PointRecord(time: 1, value: 1))
            client.flush()
            let (header, bytes) = try nextFrame(socket)
            guard header.type == .heartbeat else {
                sent.frames += 1
                sent.bytes += UInt64(bytes.count)
                continue
            }
            heartbeats += 1
            let totals = try HeartbeatFrame(frame: bytes.span.bytes, header: header)
            #expect(totals.framesSent == sent.frames && totals.recordsSent == sent.frames)
            #expect(totals.bytesSent == sent.bytes)
            #expect(header.identity.sequence == sent.frames && totals.name == "totals")
        }
        client.close()
    }

    @Test func aStreamCountsTheBytesOfItsRecordFramesAlone() throws {
        let peer = try ScriptedPeer { connection, _ in
            connection.drain()
            return .init(taken: [], isCut: false)
        }
        var transport = try TCPTransport(to: peer.address)
        let frames = [UInt8](repeating: 1, count: 300)
        try transport.write(frames.span.bytes, frameCount: 2, recordCount: 7, controlBytes: 100)
        let statistics = transport.statistics
        #expect(statistics.frames == 2 && statistics.records == 7 && statistics.bytes == 200)
        try transport.finishWriting()
        _ = peer.finish()
    }
}
