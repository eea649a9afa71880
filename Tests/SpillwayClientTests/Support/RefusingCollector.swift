// A collector's side that refuses frames with reason 44, and notes what comes: each frame with its session and sequence, what is in
// it, and each heartbeat.

import Synchronization
import Testing

@testable import SpillwayClient

/// Takes connections one after the other, on each of them any number of sessions.
final class RefusingCollector: Sendable {
    struct Frame: Equatable {
        let connection: Int
        let identity: FrameIdentity
        /// Those of its records.
        let values: [Double]
    }

    struct Heartbeat: Equatable {
        let connection: Int
        let identity: FrameIdentity
        let totals: HeartbeatFrame
    }

    struct Log {
        var frames: [Frame] = []
        var heartbeats: [Heartbeat] = []
        /// Record frames by session, without what was resent: their sequences, and their bytes in all.
        var sequences: [UInt64: [UInt64]] = [:]
        var bytes: [UInt64: Int] = [:]
        /// In the order of their first frame or heartbeat.
        var sessions: [UInt64] = []
    }

    enum Verdict {
        case acknowledge
        case refuse(reason: UInt64)
        case silence
        /// The connection ends at once.
        case cut
    }

    private let log: Box
    private let peer: ScriptedPeer
    var address: CollectorAddress { peer.address }

    private final class Box: Sendable {
        let log = Mutex(Log())
    }

    /// - Parameter verdict: on a record frame, by the number of the connection, the place of its session among all that
    ///   came, and its sequence.
    init(_ verdict: @escaping @Sendable (_ connection: Int, _ session: Int, _ sequence: UInt64) -> Verdict) throws {
        let box = Box()
        log = box
        peer = try ScriptedPeer { connection, number in
            let isCut = Self.serve(connection, number, box, verdict)
            return .init(taken: [], isCut: isCut)
        }
    }

    /// - Returns: whether the connection was cut.
    private static func serve(
        _ connection: ScriptedPeer.Connection, _ number: Int, _ box: Box,
        _ verdict: (Int, Int, UInt64) -> Verdict
    ) -> Bool {
        var welcomed: Set<UInt64> = []
        while let (header, bytes) = connection.nextFrame() {
            let identity = header.identity
            let place = note(header, bytes, number, box)
            guard header.type == .records else {
                if welcomed.insert(identity.session).inserted {
                    let welcome = WelcomeFrame(
                        frameBytesMax: 1_048_576, recordsPerFrameMax: 16_384, durable: SequenceRanges())
                    connection.send(welcome, FrameIdentity(source: identity.source, session: identity.session))
                }
                continue
            }
            #expect(welcomed.contains(identity.session), "a frame came before its session's welcome")
            switch verdict(number, place, identity.sequence) {
            case .acknowledge:
                let durable = SequenceRanges([identity.sequence..<identity.sequence + 1])
                connection.send(AcknowledgementFrame(durable: durable), identity)
            case .refuse(let reason):
                connection.send(RefusalFrame(reasonCode: reason, offset: 32, text: "refused"), identity)
            case .silence: continue
            case .cut: return true
            }
        }
        return false
    }

    /// - Returns: the place of the session.
    private static func note(_ header: FrameHeader, _ bytes: [UInt8], _ number: Int, _ box: Box) -> Int {
        box.log.withLock { log in
            let session = header.identity.session
            if !log.sessions.contains(session) { log.sessions.append(session) }
            do throws(FrameError) {
                if header.type == .heartbeat {
                    let totals = try HeartbeatFrame(frame: bytes.span.bytes, header: header)
                    log.heartbeats.append(Heartbeat(connection: number, identity: header.identity, totals: totals))
                } else {
                    var decoder = FrameDecoder()
                    var collector = RecordCollector()
                    try decoder.decode(bytes.span.bytes, header: header, &collector)
                    let values = collector.records.flatMap(\.values).compactMap { value -> Double? in
                        if case .float64(let number)? = value { number } else { nil }
                    }
                    log.frames.append(Frame(connection: number, identity: header.identity, values: values))
                    if log.sequences[session, default: []].last ?? 0 < header.identity.sequence {
                        log.sequences[session, default: []].append(header.identity.sequence)
                        log.bytes[session, default: 0] += bytes.count
                    }
                }
            } catch {
                Issue.record("\(error)")
            }
            return log.sessions.firstIndex(of: session) ?? 0
        }
    }

    /// Waits for the client's end.
    func finish() -> Log {
        _ = peer.finish()
        return log.log.withLock { $0 }
    }
}
