// The frames of datagrams on their way into the ring: counted, handed over in one claim, or dropped.
//
// Limits: `framesPerClaimMax` frames and a ring's largest claim.

import Accounting
import Delivery
import FrameCodec
import FrameRing

/// Where the bytes of frames are until they are in the ring.
package protocol FrameBytes: ~Copyable {
    /// Gives `body` the frame's bytes.
    func withFrame<Result>(_ arrival: FrameArrival, _ body: (RawSpan) -> Result) -> Result
}

/// Frames of one receiver that passed admission. Used by one thread.
package struct DatagramArrivals: ~Copyable {
    /// Frames handed over together.
    package static let framesPerClaimMax = 4_096

    private let ring: FrameRing
    private let accounting: Accounting
    private var arrivals: [FrameArrival] = []
    private var arrivalBytes = 0

    package init(ring: FrameRing, accounting: Accounting) {
        self.ring = ring
        self.accounting = accounting
        arrivals.reserveCapacity(Self.framesPerClaimMax)
    }

    /// Whether another frame can go into the same claim.
    package func hasRoom(forFrameBytes frameBytes: Int) -> Bool {
        let frames = arrivals.count + 1
        return frames <= Self.framesPerClaimMax
            && ring.isClaimable(recordCount: frames, payloadBytes: arrivalBytes + frameBytes)
    }

    package mutating func append(_ arrival: FrameArrival) {
        arrivals.append(arrival)
        arrivalBytes += Int(arrival.frameBytes)
    }

    /// Counts the frames and puts those that are not resent into the ring, in one claim.
    ///
    /// - Returns: the records of frames that the ring had no room for.
    package mutating func handOver(
        from source: borrowing some FrameBytes & ~Copyable, nowMicroseconds: Int64
    ) -> Int {
        guard !arrivals.isEmpty else { return 0 }
        defer {
            arrivals.removeAll(keepingCapacity: true)
            arrivalBytes = 0
        }
        accounting.receive(&arrivals, nowMicroseconds: nowMicroseconds)
        var frames = 0
        var frameBytes = 0
        for arrival in arrivals where arrival.isAccepted {
            frames += 1
            frameBytes += Int(arrival.frameBytes)
        }
        guard frames > 0 else { return 0 }
        do throws(ClaimFailure) {
            var claim = try ring.claim(recordCount: frames, payloadBytes: frameBytes, tag: FrameTag.datagram)
            for arrival in arrivals where arrival.isAccepted {
                source.withFrame(arrival) { claim.append($0) }
            }
            claim.publish()
            return 0
        } catch {
            precondition(error == .full, "more is collected than the ring's largest claim")
            return appendOneByOne(from: source)
        }
    }

    /// The ring has no room for all: what fits goes in, in order; the rest is lost and counted.
    private func appendOneByOne(from source: borrowing some FrameBytes & ~Copyable) -> Int {
        var droppedRecords = 0
        for arrival in arrivals where arrival.isAccepted {
            let fits = source.withFrame(arrival) { frame in
                do throws(ClaimFailure) {
                    try ring.append(frame)
                    return true
                } catch {
                    return false
                }
            }
            guard !fits else { continue }
            accounting.ringFull(source: arrival.identity.source, frames: 1, records: Int(arrival.recordCount))
            droppedRecords += Int(arrival.recordCount)
        }
        return droppedRecords
    }
}
