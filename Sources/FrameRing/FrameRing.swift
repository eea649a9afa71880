/// A bounded, lock-free ring of variable-length byte records for many producers and one consumer.
///
/// A producer claims room for a batch of records with one compare-and-exchange, copies them in and publishes them
/// at once; the consumer takes whole claims in the order they were claimed. Nothing is allocated after `init`.
///
/// Shape: `capacityBytes` of data, divided in units of 64 bytes, and beside them one commit word per unit. Positions
/// are byte counts since the start that only grow; `position % capacityBytes` is the place in the data. A claim starts
/// at a unit and is contiguous: where it would cross the end of the data, the rest of the lap is claimed with it as
/// padding. It counts as published once the commit word of its first unit holds the lap it belongs to, so nothing is
/// zeroed between laps, and no payload can look like a publication.
///
/// A producer that is descheduled between claim and publication holds up all that claimed after it;
/// `StalledClaimGauge` shows for how long. What always holds is listed in `FrameRing+Invariants.swift`.
public final class FrameRing: Sendable {
    /// The data's unit: a claim starts at a multiple of it, so that two producers never write to one cache line.
    public static let unitBytes = 64
    public static let capacityBytesMinimum = 1 << 10
    public static let capacityBytesMaximum = 1 << 30
    /// A claim may take this part of the capacity, so that a claim and its padding always fit in an empty ring.
    public static let claimsPerCapacityMinimum = 4
    /// How long a consumer waits before it looks again: see `Consumer.prepareToWait()`.
    public static let waitMillisecondsEmpty = 1_000
    public static let waitMillisecondsOpenClaim = 10

    @usableFromInline
    let storage: RingStorage

    /// Makes an empty ring.
    ///
    /// - Parameters:
    ///   - capacityBytes: a power of two from `capacityBytesMinimum` to `capacityBytesMaximum`; anything else is
    ///     refused by a precondition.
    ///   - wake: called on a producer's thread, after a publication, when the consumer has said that it waits; once
    ///     per wait. It must not block.
    /// - Complexity: O(`capacityBytes`): every page is touched here, not on the hot path.
    public init(capacityBytes: Int, wake: @escaping @Sendable () -> Void = {}) {
        precondition(
            capacityBytes >= Self.capacityBytesMinimum && capacityBytes <= Self.capacityBytesMaximum
                && capacityBytes & (capacityBytes - 1) == 0,
            "a ring's capacity is a power of two from 1 KiB to 1 GiB")
        storage = RingStorage(capacityBytes: capacityBytes, wake: wake)
    }

    /// Frees the memory; traps if a claim is still open, because that claim would write to freed memory.
    deinit {
        precondition(!hasOpenClaim, "a claim must be published or dropped before its ring is released")
        storage.deallocate()
    }

    /// The room for records, their lengths and padding, in bytes.
    public var capacityBytes: Int { Int(storage.capacityBytes) }

    /// The most that one claim may take, lengths included, in bytes.
    @inlinable
    public var claimBytesMaximum: Int { Int(storage.capacityBytes) / Self.claimsPerCapacityMinimum }

    /// The ring's only consumer. Taking it a second time traps.
    public func takeConsumer() -> Consumer {
        precondition(storage.markConsumerTaken(), "a ring has one consumer, and it was taken already")
        return Consumer(ring: self)
    }
}
