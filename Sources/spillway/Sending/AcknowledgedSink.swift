// Where `send --acknowledged` puts its frames: a session that ends when every frame is durable at the collector.

import Glibc
import LinuxSystem
import SpillwayClient
import Synchronization
import Text

/// A session with acknowledgements. Frames must be numbered, and of this session.
struct AcknowledgedSink: FrameSink, ~Copyable {
    private var sender: AcknowledgedSender
    /// Whether frames that an earlier run stored are as good as those of this run.
    private let resumes: Bool
    private let log: AcknowledgementLog?
    private static let refusalsShownMax = 5

    /// - Parameters:
    ///   - isOwnSession: the session was drawn for this run. One that the user names may be stored in part already: it is
    ///     never renewed.
    ///   - resumes: the frames of the session are those of an earlier run, as far as it came.
    ///   - log: a file that gets a line for each range of sequences that became durable.
    init(
        to address: CollectorAddress, identity: SourceIdentity, isOwnSession: Bool, resumes: Bool,
        timeoutSeconds: Int, log: AcknowledgementLog?
    ) {
        self.resumes = resumes
        self.log = log
        sender = AcknowledgedSender(
            to: address, identity: identity, timeoutMilliseconds: timeoutSeconds * 1_000, renewsSession: isOwnSession)
        if let log { sender.onAcknowledged = { log.write($1, session: $0) } }
    }

    var statistics: SendStatistics {
        var statistics = SendStatistics()
        statistics.frames = sender.statistics.frames
        statistics.records = sender.statistics.records
        statistics.bytes = sender.statistics.bytes
        return statistics
    }

    mutating func send(_ frame: RawSpan, recordCount: Int) throws(CommandError) {
        // The sink makes its own heartbeats.
        guard recordCount > 0 else { return sender.sendHeartbeat() }
        let header: FrameHeader
        do throws(FrameError) { header = try FrameHeader.read(frame) } catch {
            throw CommandError(.badData, "\(error)")
        }
        let own = sender.identity
        guard header.identity.sequence > 0, header.identity.source == own.source,
            header.identity.session == own.session
        else {
            throw CommandError(
                .usage, "--acknowledged: frames of a file have identities of their own; send its records as lines")
        }
        do throws(ClientError) {
            try sender.send(frame, sequence: header.identity.sequence, recordCount: recordCount)
        } catch {
            throw failure(error)
        }
    }

    mutating func flush() throws(CommandError) {
        do throws(ClientError) { try sender.progress(waitMilliseconds: 0) } catch { throw failure(error) }
    }

    mutating func finish() throws(CommandError) -> SendOutcome {
        var outcome = SendOutcome()
        do throws(ClientError) {
            try sender.waitUntilAcknowledged()
            outcome.receipt = try sender.finish()
        } catch {
            outcome.failure = failure(error)
        }
        outcome.acknowledgements = sender.statistics
        for (sequence, refusal) in sender.refusals.prefix(Self.refusalsShownMax) {
            outcome.refusals.append("frame \(sequence) was refused: \(refusal.text)")
        }
        if outcome.failure == nil, sender.statistics.framesRefused > 0 {
            outcome.failure = CommandError(
                .badData,
                "the collector refused \(counted(UInt64(sender.statistics.framesRefused), "frame")) with "
                    + counted(UInt64(sender.statistics.recordsRefused), "record"))
        }
        if outcome.failure == nil, !resumes { outcome.failure = storedEarlier(outcome.receipt) }
        if outcome.failure == nil, let error = log?.error { outcome.failure = CommandError(writing: error) }
        return outcome
    }

    /// Frames of this session that another run stored. Its records are not known to be those of this run.
    private func storedEarlier(_ receipt: ReceiptFrame?) -> CommandError? {
        let statistics = sender.statistics
        // Those that were written before the collector's database had answered were recognised when they came.
        let duplicates = receipt?.framesDuplicate ?? 0
        let frames =
            statistics.framesStoredEarlier + (max(duplicates, statistics.framesResent) - statistics.framesResent)
        guard frames > 0 else { return nil }
        return CommandError(
            .badData,
            "\(frames) frames of this session were stored by an earlier run, with the records that it had: those of this "
                + "run were not stored in their place. If both have the same input, use --resume; else use another --session"
        )
    }

    private func failure(_ error: ClientError) -> CommandError {
        CommandError(
            .unavailable,
            "\(sender.statistics.recordsAcknowledged) records are acknowledged and \(sender.recordsOpen) are not: "
                + "\(error)")
    }
}

/// What became durable, line by line: `source session first end`. Each line is with the kernel when the call returns, so
/// that it survives this process.
final class AcknowledgementLog: Sendable {
    private let descriptor: Int32
    private let path: String
    private let source: String
    private let failure = Mutex<SystemCallError?>(nil)

    /// Why the first line was not written. The sending goes on without.
    var error: SystemCallError? { failure.withLock { $0 } }

    init(path: String, identity: SourceIdentity) throws(CommandError) {
        let opened = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard opened >= 0 else {
            throw CommandError(.cannotCreate, "\(path): \(String(cString: strerror(errno)))")
        }
        descriptor = opened
        self.path = path
        source = hexadecimal(identity.source)
    }

    deinit { close(descriptor) }

    func write(_ sequences: SequenceRanges, session: UInt64) {
        let prefix = "\(source) \(hexadecimal(session))"
        var text = ""
        for range in sequences.ranges { text += "\(prefix) \(range.lowerBound) \(range.upperBound)\n" }
        guard error == nil else { return }
        let bytes = Array(text.utf8)
        var written = 0
        do throws(SystemCallError) {
            while written < bytes.count {
                written += try checkedCall("write", object: path) {
                    bytes.withUnsafeBytes {
                        Glibc.write(descriptor, $0.baseAddress.map { $0 + written }, $0.count - written)
                    }
                }
            }
        } catch {
            failure.withLock { $0 = error }
        }
    }
}
