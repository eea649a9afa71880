// A program that sends records as they come, at an even pace over TCP, each with the time at which it is due.
//
// Latency counts from when a record should be sent, not from when the sender came to it: if the collector makes it wait, the
// wait counts into the latency of every record that is late for it.

import FrameCodec
import Glibc
import Synchronization

/// The records that are looked for, by their time in microseconds since the Unix epoch, in order.
final class Probes: Sendable {
    private let sent = Mutex<[Int64]>([])
    private let isOver = Atomic(false)

    func add(_ time: Int64) { sent.withLock { $0.append(time) } }
    /// All so far, from the given one on.
    func sent(from index: Int) -> ArraySlice<Int64> { sent.withLock { $0[index...] } }
    /// Pairs with the acquiring load in `hasEnded`: all probes are there.
    func end() { isOver.store(true, ordering: .releasing) }
    var hasEnded: Bool { isOver.load(ordering: .acquiring) }
}

struct LiveSender {
    /// What has come in so long is sent together, at its end.
    static let tickMicroseconds: Int64 = 10_000
    /// For so long it sends on behind the last probe: that one would wait for a batch that nothing fills any more.
    private static let behindSeconds = 0.4
    let recordsPerSecond: Double
    let seconds: Double
    let port: UInt16

    /// Sends on this thread. The last record of each tick is a probe: its time is when it is due.
    func run(_ records: [RoutingRecord], _ probes: Probes) throws(BenchError) {
        defer { probes.end() }
        let socket = try LoopbackSocket(port: port)
        var encoder = FrameEncoder(frameBytesTarget: 32 << 10, recordsMax: FrameLimits.recordsPerFrameMax)
        var identity = FrameIdentity(source: 1, session: UInt64.random(in: 1...UInt64.max), sequence: 0)
        var replies = [UInt8](repeating: 0, count: 65_536)
        func flush() throws(BenchError) {
            identity.sequence += 1
            _ = try encoder.finish(identity) { (frame) throws(BenchError) in
                try frame.withUnsafeBytes { (bytes) throws(BenchError) in try socket.write(bytes) }
            }
        }
        let perTick = max(1, Int(recordsPerSecond * Double(Self.tickMicroseconds) / 1e6))
        let ticks = Int64(seconds * 1e6) / Self.tickMicroseconds
        let ticksBehind = Int64(Self.behindSeconds * 1e6) / Self.tickMicroseconds
        let start = wallMicroseconds()
        var next = 0
        for tick in 1...ticks + ticksBehind {
            let due = start + tick * Self.tickMicroseconds
            let early = due - wallMicroseconds()
            if early > 0 { usleep(UInt32(early)) }
            func time(_ index: Int) -> Int64 {
                due - Self.tickMicroseconds * Int64(perTick - index) / Int64(perTick)
            }
            for index in 1...perTick {
                var record = records[next]
                next = next + 1 == records.count ? 0 : next + 1
                record.time = time(index)
                while !expect("a record fits", { () throws(RecordError) in try encoder.append(record) }) {
                    try flush()
                }
            }
            try flush()
            if tick <= ticks {
                probes.add(due)
            }
            socket.dropReplies(&replies)
        }
        // What the collector has not acknowledged yet must not be cut off by a close with replies unread.
        shutdown(socket.descriptor, Int32(SHUT_WR))
        while recv(socket.descriptor, &replies, replies.count, 0) > 0 {}
    }
}

/// Microseconds since the Unix epoch.
func wallMicroseconds() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1_000
}
