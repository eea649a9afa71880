// One trial over TCP: prepared frames go to a collector as fast as it takes them, and its count of stored records is looked
// at until all of them are there.

import CFloor
import Glibc
import Synchronization

/// When the records of a stream were committed.
struct StreamTrial {
    let records: Double
    let bytes: Double
    /// From the first byte sent to when the last record was seen committed.
    let seconds: Double
    /// Records behind those that count as the start, and the time from then to the last: the pace without the start.
    let steadyRecords: Double
    let steadySeconds: Double
    let collectorCPUSeconds: Double
    let senderCPUSeconds: Double
    let replyBytes: UInt64

    var rate: Double { records / seconds }
    var steadyRate: Double { steadySeconds > 0 ? steadyRecords / steadySeconds : rate }

    static let pollMilliseconds: UInt32 = 10
    /// A collector that stores nothing more for so long has failed.
    private static let patienceSeconds = 30.0

    private final class Sent: Sendable {
        let result = Mutex<floor_streamed?>(nil)
    }

    /// - Parameter startRecords: with several lanes one batch for each of them, since all of them begin together: the
    ///   first commit alone would not count what the others have done by then.
    init(_ collector: borrowing CollectorProcess, _ stream: FrameStream, startRecords: UInt64 = 1) throws {
        let before = try collector.total("records_committed")
        let cpuBefore = try collector.cpuSeconds()
        let expected = UInt64(stream.recordCount)
        let sent = Sent()
        let port = collector.tcpPort
        let start = nowNanoseconds()
        let writer = try Worker { sent.result.withLock { $0 = stream.write(to: port) } }
        var first: (time: UInt64, count: UInt64)?
        var last = (time: start, count: UInt64(0))
        var failure: (any Error)?
        do {
            while last.count < expected {
                usleep(Self.pollMilliseconds * 1_000)
                let count = try collector.total("records_committed") - before
                let now = nowNanoseconds()
                if count > last.count { last = (now, count) }
                if first == nil, count >= startRecords { first = last }
                if Double(now - last.time) / 1e9 > Self.patienceSeconds {
                    throw BenchError("the collector stored \(last.count) of \(expected) records and then no more")
                }
            }
        } catch {
            failure = error
        }
        let cpuAfter = try collector.cpuSeconds()
        // A writer whose collector has failed waits for room: the collector's end ends it, and this function's caller
        // ends the collector. Without that the thread is left alone.
        if let failure { throw failure }
        writer.join()
        guard let streamed = sent.result.withLock({ $0 }), streamed.error == 0 else {
            throw BenchError("writing to the collector failed")
        }
        records = Double(expected)
        bytes = Double(stream.bytes.count)
        seconds = Double(last.time - start) / 1e9
        let begun = first ?? last
        steadyRecords = Double(last.count - begun.count)
        steadySeconds = Double(last.time - begun.time) / 1e9
        collectorCPUSeconds = cpuAfter - cpuBefore
        senderCPUSeconds = Double(streamed.cpu_ns) / 1e9
        replyBytes = streamed.reply_bytes
    }
}
