// Says who sent what was refused and why, at most a line a second for each reason: a flood of garbage must not become a
// flood of log. The accounting has the exact numbers.

import Accounting
import FrameCodec
import LinuxSystem
import Logging
import Synchronization

/// A log whose lines are limited by their subject. Safe from any thread.
final class RefusalLog: Sendable {
    /// Between two lines on the same subject.
    static let intervalNanoseconds: UInt64 = 1_000_000_000

    /// What limits of its own a line has. Few, and known before: the table cannot grow by what comes in.
    private enum Subject: Hashable {
        case frame(FrameError.Reason)
        case connection(ConnectionRefusal)
        case ringFull
        case receive
    }

    private struct Limit {
        var nextNanoseconds: UInt64 = 0
        var suppressed = 0
    }

    private let logger: Logger
    private let limits = Mutex<[Subject: Limit]>([:])

    init(_ logger: Logger) {
        self.logger = logger
    }

    /// - Parameter offset: of the byte at fault, in the datagram or the frame.
    func refused(_ error: FrameError, at offset: Int, peer: PeerAddress, transport: String) {
        warn(.frame(error.reason)) {
            (
                "refused a frame from \(peer): \(error.reason.name) at byte \(offset): \(error.reason.explanation)",
                [
                    "peer": "\(peer)", "reason": "\(error.reason.name)", "offset": "\(offset)",
                    "transport": "\(transport)",
                ]
            )
        }
    }

    func refused(_ reason: ConnectionRefusal, peer: PeerAddress) {
        warn(.connection(reason)) {
            ("closed the connection of \(peer): \(reason.name)", ["peer": "\(peer)", "reason": "\(reason.name)"])
        }
    }

    func ringFull(records: Int) {
        warn(.ringFull) {
            ("the ring is full: dropped \(records) records; the spill is slower than the senders", [:])
        }
    }

    func receiveFailed(_ error: SystemCallError) {
        warn(.receive) { ("cannot receive datagrams: \(error); trying again", [:]) }
    }

    private func warn(_ subject: Subject, _ line: () -> (text: String, metadata: Logger.Metadata)) {
        let now = monotonicNanoseconds()
        let suppressed: Int? = limits.withLock { limits in
            var limit = limits[subject] ?? Limit()
            defer { limits[subject] = limit }
            guard now >= limit.nextNanoseconds else {
                limit.suppressed &+= 1
                return nil
            }
            defer { limit = Limit(nextNanoseconds: now &+ Self.intervalNanoseconds) }
            return limit.suppressed
        }
        guard let suppressed else { return }
        var (text, metadata) = line()
        if suppressed > 0 {
            text += " (and \(suppressed) like it since the last such line)"
            metadata["suppressed"] = "\(suppressed)"
        }
        logger.warning("\(text)", metadata: metadata)
    }
}
