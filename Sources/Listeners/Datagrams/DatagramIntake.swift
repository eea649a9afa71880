// From the bytes of a batch of datagrams to frames in the ring: admission, the accounting, one claim.
//
// Limits: those of `DatagramArrivals`; a batch that has more is handed over in parts.

import Accounting
import Admission
import FrameCodec
import FrameRing
import LinuxSystem

/// Takes frames out of datagrams. One for each receiver; used by its thread alone.
struct DatagramIntake: ~Copyable {
    private let accounting: Accounting
    private let log: RefusalLog
    private var arrivals: DatagramArrivals

    init(ring: FrameRing, accounting: Accounting, log: RefusalLog) {
        arrivals = DatagramArrivals(ring: ring, accounting: accounting)
        self.accounting = accounting
        self.log = log
    }

    /// Takes all frames of the batch.
    mutating func take(_ batch: borrowing DatagramBatch, nowMicroseconds: Int64) {
        accounting.count(batch.count, as: .datagramsReceived)
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
                accounting.heartbeat(frame, header, peer: datagram.peer, nowMicroseconds: nowMicroseconds)
            } else {
                if !arrivals.hasRoom(forFrameBytes: header.frameLength) {
                    handOver(from: batch, nowMicroseconds: nowMicroseconds)
                }
                arrivals.append(
                    FrameArrival(
                        header, at: offset, inBuffer: index, beginsDatagram: offset == 0, peer: datagram.peer))
            }
            offset += header.frameLength
        } while offset < bytes.byteCount
    }

    private func refuse(
        _ error: FrameError, at offset: Int, _ peer: PeerAddress, source: UInt64?, _ nowMicroseconds: Int64
    ) {
        accounting.refused(error.reason, source: source, peer: peer, nowMicroseconds: nowMicroseconds)
        log.refused(error, at: offset + error.offset, peer: peer, transport: "udp")
    }

    /// Counts the frames collected so far and puts those that are not resent into the ring.
    private mutating func handOver(from batch: borrowing DatagramBatch, nowMicroseconds: Int64) {
        let droppedRecords = arrivals.handOver(from: batch, nowMicroseconds: nowMicroseconds)
        if droppedRecords > 0 { log.ringFull(records: droppedRecords) }
    }
}

extension DatagramBatch: FrameBytes {
    package func withFrame<Result>(_ arrival: FrameArrival, _ body: (RawSpan) -> Result) -> Result {
        withBytes(
            arrival.offset..<arrival.offset + Int(arrival.frameBytes), ofDatagramAt: Int(arrival.buffer), body)
    }
}
