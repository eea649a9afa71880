// One trial: send for a while, wait until the receiver has come to rest, compare what was sent with what it counted.

import CFloor
import Glibc

/// What became of the datagrams of one trial.
struct Trial {
    let sent: UInt64
    let sentRecords: UInt64
    let seconds: Double
    let senderCPUSeconds: Double
    let received: ReceiverCounts
    /// Every datagram arrived, and every record went the receiver's whole way if it knows of records, and that soon.
    let isLossless: Bool

    /// Datagrams sent per second.
    var rate: Double { Double(sent) / seconds }
    /// Datagrams per second that were not lost anywhere.
    var takenRate: Double { Double(received.datagrams - received.otherDrops) / seconds }

    /// A part of the datagrams sent.
    func percent(_ part: UInt64) -> Double { Double(part) * 100 / Double(sent) }

    /// After so long without any change, what has not arrived is lost. Longer than the collector's poll of the kernel's
    /// drops.
    private static let restMilliseconds = 700
    private static let pollMilliseconds = 10
    /// A receiver that is done so late has not kept up: what it had not taken lay in its buffers. Some of it is the poll, and
    /// the collector's last batch, which waits for `flushMilliseconds`.
    static let behindMillisecondsMax = 50
    static let flushMilliseconds = 10

    /// - Parameters:
    ///   - rate: in datagrams per second, 0 for flat out.
    ///   - seconds: how long to send.
    init<Receiver: Target & ~Copyable>(
        _ target: borrowing Receiver, _ supply: inout FrameSupply, sockets: Int, rate: Double, seconds: Double
    ) throws(IngestError) {
        let before = try target.counts()
        let result = try supply.send(to: target.port, sockets: sockets, rate: rate, seconds: seconds)
        let end = nowNanoseconds()
        var now = try target.counts() - before
        func isWhole(_ counts: ReceiverCounts) -> Bool {
            counts.datagrams == result.datagrams && counts.otherDrops == 0
                && (counts.records == nil || counts.records == result.records)
        }
        var doneAt = nowNanoseconds()
        var restMilliseconds = 0
        while !isWhole(now), restMilliseconds < Self.restMilliseconds {
            usleep(UInt32(Self.pollMilliseconds) * 1_000)
            let next = try target.counts() - before
            let isAtRest =
                next.datagrams == now.datagrams && next.records == now.records && next.kernelDrops == now.kernelDrops
            restMilliseconds = isAtRest ? restMilliseconds + Self.pollMilliseconds : 0
            now = next
            doneAt = nowNanoseconds()
        }
        sent = result.datagrams
        sentRecords = result.records
        self.seconds = Double(result.elapsed_ns) / 1e9
        senderCPUSeconds = Double(result.cpu_ns) / 1e9
        received = now
        isLossless = isWhole(now) && doneAt - end <= UInt64(Self.behindMillisecondsMax) * 1_000_000
    }
}
