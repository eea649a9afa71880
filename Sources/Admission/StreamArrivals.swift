// The frames of a stream on their way into the ring: judged, counted, handed over or dropped.
//
// Limits: the frames of one chunk.
// Invariant: a frame is counted as received once and then either goes into the ring or is counted as dropped.

import Accounting
import Delivery
import FrameCodec
import FrameRing

/// Frames of one connection that passed admission. Used by one thread.
package struct StreamArrivals {
    /// What became of the frames that were judged.
    package struct Judgement {
        /// Their sequences are not ones that can be kept.
        package var refused: [FrameIdentity] = []
        /// There was no room to remember one of them. They may come again.
        package var isCrowded = false
        /// They came before, and go no further.
        package var duplicates = 0
    }

    /// What went into the ring.
    package struct Receipt {
        package var frames: UInt64 = 0
        package var records: UInt64 = 0
    }

    private let ring: FrameRing
    private let registry: SessionRegistry
    private let accounting: Accounting
    private var arrivals: [FrameArrival] = []

    package init(ring: FrameRing, registry: SessionRegistry, accounting: Accounting) {
        self.ring = ring
        self.registry = registry
        self.accounting = accounting
    }

    package var isEmpty: Bool { arrivals.isEmpty }

    package mutating func append(_ arrival: FrameArrival) { arrivals.append(arrival) }

    /// Leaves of the frames those that are new. O(frames).
    package mutating func judge(nowMicroseconds: Int64) -> Judgement {
        var judgement = Judgement()
        guard !arrivals.isEmpty else { return judgement }
        (judgement.refused, judgement.isCrowded) = registry.judge(&arrivals)
        accounting.receive(&arrivals, nowMicroseconds: nowMicroseconds)
        arrivals.removeAll { arrival in
            if !arrival.isAccepted { judgement.duplicates += 1 }
            return !arrival.isAccepted
        }
        return judgement
    }

    /// Puts the frames into the ring, all or none. O(bytes).
    ///
    /// - Parameter forEachFrame: gives the bytes of the frames, in their order.
    /// - Returns: nil when the ring has no room for them; then they wait here.
    package mutating func handOver(_ forEachFrame: ([FrameArrival], (RawSpan) -> Void) -> Void) -> Receipt? {
        guard !arrivals.isEmpty else { return Receipt() }
        let frameBytes = arrivals.reduce(0) { $0 + Int($1.frameBytes) }
        do throws(ClaimFailure) {
            var claim = try ring.claim(
                recordCount: arrivals.count, payloadBytes: frameBytes, tag: FrameTag.acknowledged)
            forEachFrame(arrivals) { claim.append($0) }
            claim.publish()
        } catch {
            // One frame and one chunk always fit in an empty ring: `TCPListener` has seen to its size.
            precondition(error == .full, "a chunk's frames are larger than the ring's largest claim")
            return nil
        }
        var receipt = Receipt()
        for arrival in arrivals {
            receipt.frames += 1
            receipt.records += UInt64(arrival.recordCount)
        }
        arrivals.removeAll(keepingCapacity: true)
        return receipt
    }

    /// Counts the frames that wait as dropped, and lets go of them.
    ///
    /// - Returns: their records.
    package mutating func drop() -> Int {
        var records = 0
        for arrival in arrivals {
            accounting.ringFull(source: arrival.identity.source, frames: 1, records: Int(arrival.recordCount))
            records += Int(arrival.recordCount)
        }
        registry.withdraw(arrivals.map(\.identity))
        arrivals.removeAll()
        return records
    }
}
