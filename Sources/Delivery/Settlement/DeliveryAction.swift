// What the state of delivery wants done, in this order and without its lock: the accounting counts, the session registry
// acknowledges, and only then the plan lets go of what the work was about.

import Accounting
import FrameCodec

/// One thing that the owner of `DeliveryState` carries out.
package enum DeliveryAction: Sendable, Equatable {
    /// Records of a source come to rest, or pass a station.
    case count(Counter, source: UInt64, records: Int)
    /// Records of the spill of an earlier run: their source is known now. The totals have them already.
    case countRecovered(source: UInt64, records: Int)
    /// A frame was found malformed when it was decoded.
    case countRefused(FrameError.Reason, source: UInt64, records: Int)
    /// Records of a damaged batch, whose sources are not known.
    case countDamaged(records: Int)
    /// Frames that clients wait for were found malformed: their clients get refusals.
    case refuse([RefusedFrame])
    /// Frames are durable: their clients get acknowledgements.
    case acknowledge([SessionFrames])
    /// All before it is done: the plan may let go. Answered by `DeliveryState.finish`.
    case finish(DeliveryCompletion)
}

/// What the plan still holds on lease while the actions before it are carried out.
package enum DeliveryCompletion: Sendable, Equatable {
    /// The lane's batch is in the database, all of it.
    case stored(lane: Int)
    /// All of it but the rows of held tables.
    case storedInPart(lane: Int, StoredPart)
    /// These batches are durable in the spill.
    case spilled([SpilledSlot])
}
