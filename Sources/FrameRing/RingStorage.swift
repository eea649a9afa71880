import Glibc
import Synchronization

/// The ring's memory and every access to it: with `RingStorage+ClaimBytes.swift` the one place with pointers and atomics.
///
/// Bounds are settled before a pointer is made: `init` takes a capacity that `FrameRing.init` checked, slots and the
/// beginnings of claims are `position & mask` and so inside, `FrameRing.claim` never lets a claim cross the data's end
/// (R2), and inside of a claim `Claim.append` checks a record against the claim's room and `Consumer` what it reads against
/// the claim's extent.
///
/// Trivial on purpose: a claim carries a copy, because a reference would cost two atomic updates of one shared count
/// per claim. `FrameRing` owns the memory and does not free it under an open claim (R9).
///
/// `@unchecked Sendable` holds because every word that two threads may touch at once is an `Atomic`, and because the
/// bytes of a claim belong to one thread at a time: to the producer from its exchange of the tail to its store of
/// the commit word, to the consumer from its load of that word to its store of the head.
@usableFromInline
struct RingStorage: BitwiseCopyable, @unchecked Sendable {
    @usableFromInline typealias AtomicWord = UnsafeMutablePointer<Atomic<UInt64>>

    /// The control words stand 128 bytes apart: a line each, and no neighbour that the prefetcher drags along.
    @usableFromInline
    enum ControlWord: Int {
        /// Where the next claim starts. Producers exchange it.
        case tail = 0
        /// The head as a producer last saw it: spares the producers the consumer's line while there is room.
        case headSeen = 128
        /// Up to where the consumer is done. Only the consumer stores it.
        case head = 256
        /// 1 while the consumer waits to be woken.
        case waiting = 384
        /// Rarely touched, and by the consumer only.
        case consumerTaken = 512
        case consumedRecords = 520
        case consumedClaims = 528
        case abandonedClaims = 536

        @usableFromInline static let allBytes = 640
        @usableFromInline static let alignment = 128
    }

    /// Beside each unit of data: its commit word, then the tag of the claim that starts there.
    @usableFromInline static let slotBytes = 16
    @usableFromInline static let tagOffset = 8

    @usableFromInline let data: UnsafeMutableRawPointer
    @usableFromInline let slots: UnsafeMutableRawPointer
    @usableFromInline let control: UnsafeMutableRawPointer
    @usableFromInline let wake: UnsafeMutablePointer<@Sendable () -> Void>
    @usableFromInline let capacityBytes: UInt64

    init(capacityBytes: Int, wake: @escaping @Sendable () -> Void) {
        data = Self.allocateZeroed(byteCount: capacityBytes, alignment: FrameRing.unitBytes)
        slots = Self.allocateZeroed(
            byteCount: capacityBytes / FrameRing.unitBytes * Self.slotBytes, alignment: FrameRing.unitBytes)
        control = Self.allocateZeroed(byteCount: ControlWord.allBytes, alignment: ControlWord.alignment)
        self.wake = .allocate(capacity: 1)
        self.wake.initialize(to: wake)
        self.capacityBytes = UInt64(capacityBytes)
    }

    /// Zero bytes are an `Atomic<UInt64>` of zero: it has the layout of its value.
    private static func allocateZeroed(byteCount: Int, alignment: Int) -> UnsafeMutableRawPointer {
        // In large pages where the system has them: the ring walks through all of its memory, lap by lap, and the processor
        // keeps the places of so many pages only.
        let isLarge = byteCount >= largePageBytes
        let memory = UnsafeMutableRawPointer.allocate(
            byteCount: byteCount, alignment: isLarge ? largePageBytes : alignment)
        // Advice: where it is not taken, the ring is slower and no less right.
        if isLarge { _ = madvise(memory, byteCount, MADV_HUGEPAGE) }
        memory.initializeMemory(as: UInt8.self, repeating: 0, count: byteCount)
        return memory
    }

    private static let largePageBytes = 2 << 20

    /// Frees everything. Sound only when no claim is open and the consumer is gone: `FrameRing.deinit` sees to it.
    func deallocate() {
        wake.deinitialize(count: 1)
        wake.deallocate()
        // Atomic words have nothing to deinitialise.
        control.deallocate()
        slots.deallocate()
        data.deallocate()
    }

    // MARK: Places

    @inlinable
    func controlWord(_ word: ControlWord) -> AtomicWord {
        (control + word.rawValue).assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    /// Where `position` is in its lap, in bytes.
    @inlinable
    func offset(of position: UInt64) -> UInt64 { position & (capacityBytes &- 1) }

    @inlinable
    func lap(of position: UInt64) -> UInt64 {
        position &>> UInt64(truncatingIfNeeded: capacityBytes.trailingZeroBitCount)
    }

    /// The bytes of the claim that starts at `position`; it does not cross the end of the data.
    @inlinable
    func claimBytes(at position: UInt64, extentBytes: Int) -> ClaimBytes {
        ClaimBytes(start: data + Int(truncatingIfNeeded: offset(of: position)), extentBytes: extentBytes)
    }

    @inlinable
    func slot(of position: UInt64) -> UnsafeMutableRawPointer {
        // The offset in the slots is the data's by the ratio of the two: one shift and one mask, since the consumer's next
        // load waits for it.
        let dataBytesPerSlotByte = UInt64(truncatingIfNeeded: FrameRing.unitBytes / Self.slotBytes)
        let mask = capacityBytes / dataBytesPerSlotByte &- UInt64(truncatingIfNeeded: Self.slotBytes)
        return slots + Int(truncatingIfNeeded: position / dataBytesPerSlotByte & mask)
    }

    @inlinable
    func commitWord(at position: UInt64) -> AtomicWord {
        slot(of: position).assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    // MARK: Claiming, by producers

    /// Relaxed: a stale tail makes `exchangeTail` fail and nothing else.
    @inlinable
    func loadTail() -> UInt64 { controlWord(.tail).pointee.load(ordering: .relaxed) }

    /// Claims the bytes from `tail` to `newTail`; on failure returns the tail that another producer stored.
    ///
    /// Sequentially consistent for the sake of waiting alone: together with `isConsumerWaiting` it is one half of a
    /// store-then-load on both sides, of which `setWaiting` and `loadTailAfterWaiting` are the other. It costs nothing:
    /// the exchange is a full barrier on x86-64 anyway. Of the data it orders nothing; the commit word does that.
    @inlinable
    func exchangeTail(from tail: UInt64, to newTail: UInt64) -> (exchanged: Bool, original: UInt64) {
        controlWord(.tail).pointee.weakCompareExchange(
            expected: tail, desired: newTail, successOrdering: .sequentiallyConsistent, failureOrdering: .relaxed)
    }

    /// Acquire, pairs with the release store in `refreshHeadSeen`: hands on what that producer acquired, the end of
    /// the consumer's reads below this position.
    @inlinable
    func loadHeadSeen() -> UInt64 { controlWord(.headSeen).pointee.load(ordering: .acquiring) }

    /// Looks at the consumer's head and leaves what was seen for the other producers.
    ///
    /// A slower producer may overwrite a newer head with an older one: that only makes somebody look again.
    @inlinable
    func refreshHeadSeen() -> UInt64 {
        // Acquire, pairs with the release store in `storeHead`: the consumer's reads happen before our writes.
        let head = controlWord(.head).pointee.load(ordering: .acquiring)
        // Release, pairs with the acquire load in `loadHeadSeen`.
        controlWord(.headSeen).pointee.store(head, ordering: .releasing)
        return head
    }

    // MARK: Publishing, by the producer that owns the claim

    @inlinable
    func write(tag: UInt64, at position: UInt64) {
        slot(of: position).storeBytes(of: tag, toByteOffset: Self.tagOffset, as: UInt64.self)
    }

    /// Closes the claim at `position`, and wakes the consumer if it waits.
    @inlinable
    @inline(__always)
    func publish(_ kind: CommitWord.Kind, lengthBytes: Int, at position: UInt64) {
        let word = CommitWord(kind: kind, lengthBytes: lengthBytes, lap: lap(of: position))
        // Release, pairs with the acquire load in `publishedWord(at:)`: tag and bytes happen before their reading.
        commitWord(at: position).pointee.store(word.bits, ordering: .releasing)
        if isConsumerWaiting {
            wakeConsumer()
        }
    }

    // MARK: Reading, by the consumer

    /// The word published at `position` in its lap, if any.
    /// Acquire, pairs with the release store in `publish`.
    @inlinable
    func publishedWord(at position: UInt64) -> CommitWord? {
        let word = CommitWord(bits: commitWord(at: position).pointee.load(ordering: .acquiring))
        return word.belongs(toLap: lap(of: position)) ? word : nil
    }

    @inlinable
    func readTag(at position: UInt64) -> UInt64 {
        slot(of: position).load(fromByteOffset: Self.tagOffset, as: UInt64.self)
    }

    /// Release, pairs with the acquire load in `refreshHeadSeen`: our reads happen before the bytes are claimed again.
    @inlinable
    func storeHead(_ head: UInt64) { controlWord(.head).pointee.store(head, ordering: .releasing) }

    // MARK: Waiting

    /// Sequentially consistent, pairs with `exchangeTail`: its comment has the whole of it.
    @inlinable
    var isConsumerWaiting: Bool {
        controlWord(.waiting).pointee.load(ordering: .sequentiallyConsistent) != 0
    }

    /// Calls the hook if the wait is still on. An exchange, so that one producer of many does; relaxed, because the
    /// hook brings its own ordering and the consumer looks at commit words afterwards.
    @usableFromInline
    func wakeConsumer() {
        guard controlWord(.waiting).pointee.exchange(0, ordering: .relaxed) != 0 else { return }
        wake.pointee()
    }

    /// Sequentially consistent, pairs with `isConsumerWaiting`.
    func setWaiting() { controlWord(.waiting).pointee.store(1, ordering: .sequentiallyConsistent) }

    /// Relaxed: a producer that misses this calls the hook once too often.
    @usableFromInline
    func clearWaiting() { controlWord(.waiting).pointee.store(0, ordering: .relaxed) }

    /// Sequentially consistent, pairs with `exchangeTail`.
    func loadTailAfterWaiting() -> UInt64 { controlWord(.tail).pointee.load(ordering: .sequentiallyConsistent) }

    // MARK: Gauges and set-up

    /// Acquire, pairs with `storeHead`, for gauges: a tail or commit word loaded after it is not older than this head.
    func loadHead() -> UInt64 { controlWord(.head).pointee.load(ordering: .acquiring) }

    /// Relaxed: a counter that only the consumer stores.
    @usableFromInline
    func add(_ count: Int, to counter: ControlWord) {
        let word = controlWord(counter)
        word.pointee.store(word.pointee.load(ordering: .relaxed) &+ UInt64(count), ordering: .relaxed)
    }

    /// Relaxed: read by gauges, orders nothing.
    func load(_ counter: ControlWord) -> UInt64 { controlWord(counter).pointee.load(ordering: .relaxed) }

    /// Whether this call was the first. Relaxed: the exchange itself decides, nothing else is handed on.
    func markConsumerTaken() -> Bool { controlWord(.consumerTaken).pointee.exchange(1, ordering: .relaxed) == 0 }
}
