// From the bytes of a batch of datagrams to frames in the ring: admission, the ledger, one claim.
//
// Limits: `framesPerClaimMax` frames and a ring's largest claim; a batch that has more is handed over in parts.

import FrameCodec
import FrameRing
import LinuxSystem

/// What a listener does with a heartbeat: its header, the whole frame, and who sent it. Called on the receiver's
/// thread, which does not receive meanwhile.
public typealias HeartbeatHook = @Sendable (FrameHeader, RawSpan, PeerAddress) -> Void

/// Takes frames out of datagrams. One for each receiver; used by its thread alone.
struct DatagramIntake: ~Copyable {
    /// Frames handed over together.
    static let framesPerClaimMax = 4_096

    private let ring: FrameRing
    private let ledger: ConservationLedger
    private let log: RefusalLog
    private let heartbeat: HeartbeatHook
    private var arrivals: [FrameArrival] = []
    private var arrivalBytes = 0

    init(ring: FrameRing, ledger: ConservationLedger, log: RefusalLog, heartbeat: @escaping HeartbeatHook) {
        self.ring = ring
        self.ledger = ledger
        self.log = log
        self.heartbeat = heartbeat
        arrivals.reserveCapacity(Self.framesPerClaimMax)
    }

    /// Takes all frames of the batch.
    mutating func take(_ batch: borrowing DatagramBatch, nowMicroseconds: Int64) {
        ledger.count(batch.count, as: .datagramsReceived)
        for index in 0..<batch.count {
            let datagram = batch.datagram(at: index)
            batch.withBytes(of: datagram) { bytes in
                take(bytes, of: datagram, at: index, in: batch, nowMicroseconds: nowMicroseconds)
            }
        }
        handOver(from: batch, nowMicroseconds: nowMicroseconds)
    }

    private mutating func take(
        _ bytes: RawSpan, of datagram: Datagram, at index: Int, in batch: borrowing DatagramBatch,
        nowMicroseconds: Int64
    ) {
        guard !datagram.isTruncated else {
            let error = FrameError(.truncatedDatagram, at: bytes.byteCount)
            return refuse(error, at: 0, datagram.peer, source: nil, nowMicroseconds)
        }
        var offset = 0
        // An empty datagram has no frame: it is refused as a header that is cut off at its first byte.
        repeat {
            let rest = bytes.extracting(offset..<bytes.byteCount)
            let header: FrameHeader
            switch FrameCut(at: rest) {
            case .frame(let admitted): header = admitted
            case .refused(let error, let identity, let frameBytes):
                // Its lengths and checksum are sound: the frames behind it have nothing to do with it.
                refuse(error, at: offset, datagram.peer, source: identity.source, nowMicroseconds)
                offset += frameBytes
                continue
            case .broken(let error):
                return refuse(error, at: offset, datagram.peer, source: nil, nowMicroseconds)
            case .incomplete:
                return refuse(FrameCut.truncation(of: rest), at: offset, datagram.peer, source: nil, nowMicroseconds)
            }
            if header.type == .heartbeat {
                // What came before it is counted before it: its totals include it.
                handOver(from: batch, nowMicroseconds: nowMicroseconds)
                let frame = rest.extracting(0..<header.frameLength)
                ledger.heartbeat(frame, header, peer: datagram.peer, nowMicroseconds: nowMicroseconds)
                heartbeat(header, frame, datagram.peer)
            } else {
                if !hasRoom(forFrameBytes: header.frameLength) {
                    handOver(from: batch, nowMicroseconds: nowMicroseconds)
                }
                arrivals.append(
                    FrameArrival(
                        header, at: offset, inBuffer: index, beginsDatagram: offset == 0, peer: datagram.peer))
                arrivalBytes += header.frameLength
            }
            offset += header.frameLength
        } while offset < bytes.byteCount
    }

    private func refuse(
        _ error: FrameError, at offset: Int, _ peer: PeerAddress, source: UInt64?, _ nowMicroseconds: Int64
    ) {
        ledger.refused(error.reason, source: source, peer: peer, nowMicroseconds: nowMicroseconds)
        log.refused(error, at: offset + error.offset, peer: peer, transport: "udp")
    }

    private func hasRoom(forFrameBytes frameBytes: Int) -> Bool {
        let frames = arrivals.count + 1
        return frames <= Self.framesPerClaimMax
            && ring.isClaimable(recordCount: frames, payloadBytes: arrivalBytes + frameBytes)
    }

    /// Counts the frames collected so far and puts those that are not resent into the ring, in one claim.
    private mutating func handOver(from batch: borrowing DatagramBatch, nowMicroseconds: Int64) {
        guard !arrivals.isEmpty else { return }
        defer {
            arrivals.removeAll(keepingCapacity: true)
            arrivalBytes = 0
        }
        ledger.receive(&arrivals, nowMicroseconds: nowMicroseconds)
        var frames = 0
        var frameBytes = 0
        for arrival in arrivals where arrival.isAccepted {
            frames += 1
            frameBytes += Int(arrival.frameBytes)
        }
        guard frames > 0 else { return }
        do throws(ClaimFailure) {
            var claim = try ring.claim(recordCount: frames, payloadBytes: frameBytes, tag: FrameTag.datagram)
            for arrival in arrivals where arrival.isAccepted {
                batch.withFrame(arrival) { claim.append($0) }
            }
            claim.publish()
        } catch {
            precondition(error == .full, "more is collected than the ring's largest claim")
            appendOneByOne(from: batch)
        }
    }

    /// The ring has no room for all: what fits goes in, in order; the rest is lost and counted.
    private func appendOneByOne(from batch: borrowing DatagramBatch) {
        var droppedRecords = 0
        for arrival in arrivals where arrival.isAccepted {
            let fits = batch.withFrame(arrival) { frame in
                do throws(ClaimFailure) {
                    try ring.append(frame)
                    return true
                } catch {
                    return false
                }
            }
            guard !fits else { continue }
            ledger.ringFull(source: arrival.identity.source, frames: 1, records: Int(arrival.recordCount))
            droppedRecords += Int(arrival.recordCount)
        }
        if droppedRecords > 0 { log.ringFull(records: droppedRecords) }
    }
}

extension DatagramBatch {
    fileprivate func withFrame<Result>(_ arrival: FrameArrival, _ body: (RawSpan) -> Result) -> Result {
        withBytes(
            arrival.offset..<arrival.offset + Int(arrival.frameBytes), ofDatagramAt: Int(arrival.buffer), body)
    }
}
