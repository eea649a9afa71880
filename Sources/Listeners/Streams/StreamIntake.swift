// From the bytes of a connection to frames in the ring: cut, judged, counted, handed over. How bytes become frames is in
// FrameCutter.
//
// Limits: one frame and one chunk.
// Invariant: a frame is counted as received once and then either goes into the ring or is counted as dropped.

import Accounting
import Admission
import Delivery
import FrameCodec
import FrameRing
import LinuxSystem
import NIOCore

/// Lives on its channel's event loop, as its handler does. Writes nothing: what is to be said is in the replies or given back.
struct StreamIntake {
    /// A frame that is refused while the stream goes on behind it.
    struct Refusal {
        let error: FrameError
        let identity: FrameIdentity
    }

    /// Why nothing more of the stream is taken.
    enum End {
        /// Where the next frame would begin cannot be known.
        case broken(FrameError)
        /// There was no room to remember one of its frames. Not a refusal: the client keeps the frame and comes again.
        case crowded
    }

    private let shared: ConnectionContext
    private var cutter = FrameCutter()
    /// Heartbeats of the chunk. They are counted after its frames: their totals include those that came before them.
    private var heartbeats: [(header: FrameHeader, bytes: [UInt8])] = []
    /// Frames of the chunk that are not in the ring yet.
    private var arrivals: StreamArrivals
    /// Set by the chunk that it stands in. What was whole before it still goes into the ring.
    private(set) var end: End?
    /// Since when a frame has been on its way that is not whole yet.
    private(set) var frameBegunNanoseconds: UInt64?

    init(_ shared: ConnectionContext) {
        self.shared = shared
        arrivals = StreamArrivals(ring: shared.ring, registry: shared.registry, accounting: shared.accounting)
    }

    var isBroken: Bool { if case .broken? = end { true } else { false } }

    /// Takes a chunk's frames, which then wait for `handOver`. O(bytes).
    ///
    /// - Parameter number: of the connection.
    mutating func cut(
        _ chunk: ByteBuffer, of number: UInt64, from peer: PeerAddress, _ replies: inout ConnectionReplies
    ) -> [Refusal] {
        var refusals: [Refusal] = []
        cutter.cut(chunk) { cut, frame, place, offset in
            switch cut {
            case .frame(let header):
                replies.lastIdentity = header.identity.withoutSequence
                if header.type == .heartbeat || header.identity.sequence > 0 {
                    guard replies.begin(SessionKey(header.identity), on: number) else {
                        end = end ?? .crowded
                        break
                    }
                }
                if header.type == .heartbeat {
                    replies.heartbeat(SessionKey(header.identity))
                    heartbeats.append((header, frame.withUnsafeBytes { Array($0) }))
                } else {
                    arrivals.append(
                        FrameArrival(
                            header, at: offset, inBuffer: place.rawValue, beginsDatagram: false, peer: peer))
                }
            case .refused(let error, let identity, _):
                replies.lastIdentity = identity.withoutSequence
                refusals.append(Refusal(error: error, identity: identity))
            case .broken(let error):
                end = .broken(error)
            case .incomplete:
                break
            }
        }
        judge(&refusals, &replies)
        for (header, bytes) in heartbeats {
            let frame = bytes.span.bytes
            shared.accounting.heartbeat(frame, header, peer: peer, nowMicroseconds: wallClockMicroseconds())
        }
        heartbeats.removeAll()
        return refusals
    }

    /// Leaves of the arrivals those that are new.
    private mutating func judge(_ refusals: inout [Refusal], _ replies: inout ConnectionReplies) {
        let judgement = arrivals.judge(nowMicroseconds: wallClockMicroseconds())
        if judgement.isCrowded, end == nil { end = .crowded }
        for identity in judgement.refused {
            refusals.append(
                Refusal(
                    error: FrameError(.sequenceRefused, at: FrameHeader.sequenceOffset), identity: identity))
        }
        replies.receipt.framesDuplicate += UInt64(judgement.duplicates)
    }

    /// Puts the chunk's frames into the ring, all or none.
    ///
    /// - Returns: false when the ring has no room for them; then they wait here.
    mutating func handOver(_ replies: inout ConnectionReplies) -> Bool {
        guard let receipt = arrivals.handOver(cutter.forEachFrame) else { return false }
        replies.receipt.framesAccepted += receipt.frames
        replies.receipt.recordsAccepted += receipt.records
        return true
    }

    /// Lets go of a chunk that is handed over or dropped; the beginning of a frame at its end is kept.
    mutating func finishChunk(cameAtNanoseconds: UInt64) {
        let splitFrames = cutter.splitFrames
        cutter.finishChunk()
        if cutter.partialBytes == 0 {
            frameBegunNanoseconds = nil
        } else if cutter.splitFrames != splitFrames || frameBegunNanoseconds == nil {
            frameBegunNanoseconds = cameAtNanoseconds
        }
    }

    /// The time until now was not the peer's: it had to wait.
    mutating func forgiveWaiting(nowNanoseconds: UInt64) {
        if frameBegunNanoseconds != nil { frameBegunNanoseconds = nowNanoseconds }
    }

    /// Counts the frames that wait as dropped, and lets go of them.
    mutating func dropWaiting() {
        let records = arrivals.drop()
        if records > 0 { shared.log.ringFull(records: records) }
    }

    /// What is wrong with the frame that is not whole; nil if there is none.
    var truncation: FrameError? { cutter.truncation }

    /// Lets go of a frame that is not whole. Nothing waits for `handOver`: it would be forgotten uncounted.
    mutating func forgetPartial() {
        precondition(arrivals.isEmpty, "what is not handed over is dropped first")
        cutter.removeAll()
        frameBegunNanoseconds = nil
    }
}
