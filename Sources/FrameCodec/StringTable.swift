// The dictionary of a frame that is being made: finds a string's index, and can take back the newest strings.
//
// A dictionary of some hundred strings does not fit in the first cache beside all else, and each place that has to be looked
// at is waited for: a slot leads straight to the string's own bytes.

/// Strings in the order of their first use, each once.
@usableFromInline
struct StringTable {
    /// The strings as they go on the wire: length and bytes, one behind the other.
    @usableFromInline var wire = ByteBuffer(capacity: 4_096)
    @usableFromInline var count = 0
    /// By index: the string, if it is as short as that.
    @usableFromInline let shorts: UnsafeMutablePointer<ShortText>
    /// Open addressing.
    @usableFromInline let slots: UnsafeMutablePointer<Slot>
    /// Slots in use less one; as many as the frame before needed, and grows.
    @usableFromInline var slotMask = slotsMin - 1
    @usableFromInline let seed: UInt64
    /// For the hashes of short strings.
    @usableFromInline let shortState: UInt64

    /// All that there is to know of a string, in a word.
    ///
    /// | bits | content |
    /// |---|---|
    /// | 0 ..< 15 | index and 1; 0 where there is none |
    /// | 15 ..< 41 | where its bytes begin in `wire` |
    /// | 41 ..< 58 | how many there are |
    /// | 58 ..< 64 | of its hash |
    @usableFromInline
    struct Slot: BitwiseCopyable {
        @usableFromInline let word: UInt64

        @usableFromInline static var empty: Slot { Slot(word: 0) }
        /// A frame and one more record of nothing but texts.
        static let offsetMax = 1 << 26 - 1

        @inlinable
        init(word: UInt64) { self.word = word }

        init(index: Int, offset: Int, count: Int, hash: UInt64) {
            word = UInt64(index + 1) | UInt64(offset) << 15 | Self.traits(count: count, hash: hash) << 41
        }

        /// Length and hash, as far as it is in a slot.
        @inlinable @inline(__always)
        static func traits(count: Int, hash: UInt64) -> UInt64 {
            UInt64(truncatingIfNeeded: count) | (hash &>> 58) &<< 17
        }

        @inlinable @inline(__always)
        var traits: UInt64 { word &>> 41 }
        @inlinable @inline(__always)
        var index: Int { Int(truncatingIfNeeded: word & 0x7FFF) &- 1 }
        @inlinable @inline(__always)
        var offset: Int { Int(truncatingIfNeeded: word &>> 15) & (1 << 26 - 1) }
        @inlinable @inline(__always)
        var isEmpty: Bool { word == 0 }
    }

    /// Of the varint of `count`.
    @usableFromInline static var countBytesMax: Int { 3 }
    private static let slotsMin = 64
    private static let slotsMax = FrameLimits.stringsPerDictionaryMax * 2

    @usableFromInline
    init() {
        shorts = .allocate(capacity: FrameLimits.stringsPerDictionaryMax)
        slots = .allocate(capacity: Self.slotsMax)
        slots.update(repeating: .empty, count: slotMask + 1)
        seed = UInt64.random(in: .min ... .max)
        shortState = stringState(0, seed: seed)
    }

    @usableFromInline
    func deallocate() {
        wire.deallocate()
        shorts.deallocate()
        slots.deallocate()
    }

    // MARK: Finding

    /// Where a string is, or where it would go.
    @usableFromInline
    enum Finding {
        case at(Int)
        case free(slot: Int)
    }

    /// Looks for a string of at most `ShortText.bytesMax` bytes. O(1).
    @inlinable @inline(__always)
    func find(_ text: ShortText, count: Int, hash: UInt64) -> Finding {
        let traits = Slot.traits(count: count, hash: hash)
        var position = Int(truncatingIfNeeded: hash) & slotMask
        while true {
            let slot = slots[position]
            guard !slot.isEmpty else { return .free(slot: position) }
            if slot.traits == traits {
                let found = shorts + slot.index
                if (found.pointee.low ^ text.low) | (found.pointee.high ^ text.high) == 0 { return .at(slot.index) }
            }
            position = (position &+ 1) & slotMask
        }
    }

    /// Looks for a longer string, of at most `FrameLimits.stringBytesMax` bytes. O(length).
    @inlinable @inline(__always)
    func find(_ text: UnsafeRawBufferPointer, hash: UInt64) -> Finding {
        let traits = Slot.traits(count: text.count, hash: hash)
        var position = Int(truncatingIfNeeded: hash) & slotMask
        while true {
            let slot = slots[position]
            guard !slot.isEmpty else { return .free(slot: position) }
            // As many bytes lie there.
            if slot.traits == traits, equalBytes(wire.base + slot.offset, text.baseAddress, text.count) {
                return .at(slot.index)
            }
            position = (position &+ 1) & slotMask
        }
    }

    // MARK: Changing

    /// Adds a string of at most `FrameLimits.stringBytesMax` bytes that `find` did not find; nil if the table is full.
    mutating func add(_ text: UnsafeRawBufferPointer, hash: UInt64, slot: Int) -> Int? {
        guard count < FrameLimits.stringsPerDictionaryMax else { return nil }
        wire.reserve(text.count + 10)
        wire.putVarint(UInt64(text.count))
        precondition(
            wire.count <= Slot.offsetMax && text.count <= FrameLimits.stringBytesMax,
            "a record's texts are no more and no longer than they may be")
        if text.count <= ShortText.bytesMax {
            shorts[count] = text.baseAddress.map { ShortText($0, count: text.count) } ?? ShortText.empty
        }
        slots[slot] = Slot(index: count, offset: wire.count, count: text.count, hash: hash)
        wire.putShort(text)
        count += 1
        if count * 2 > slotMask, slotMask + 1 < Self.slotsMax { rehash(slotCount: (slotMask + 1) * 4) }
        return count - 1
    }

    /// The strings from an index on, which begin at `start` in `wire`.
    private func forEach(
        from index: Int, at start: Int, _ body: (_ index: Int, _ offset: Int, _ count: Int, _ hash: UInt64) -> Void
    ) {
        var offset = start
        for index in index..<count {
            let length = wire.varint(at: &offset)
            let text = UnsafeRawBufferPointer(start: wire.base + offset, count: length)
            body(index, offset, length, stringHash(text, seed: seed))
            offset += length
        }
    }

    private mutating func rehash(slotCount: Int) {
        slotMask = min(slotCount, Self.slotsMax) - 1
        slots.update(repeating: .empty, count: slotMask + 1)
        forEach(from: 0, at: 0) { index, offset, count, hash in
            var position = Int(truncatingIfNeeded: hash) & slotMask
            while !slots[position].isEmpty { position = (position + 1) & slotMask }
            slots[position] = Slot(index: index, offset: offset, count: count, hash: hash)
        }
    }

    /// Takes back all strings from index `newCount` on, of which the first begins at `wireCount`: nothing that was there
    /// before them lies behind them in a chain.
    @usableFromInline
    mutating func truncate(count newCount: Int, wireCount: Int) {
        forEach(from: newCount, at: wireCount) { index, _, _, hash in
            var position = Int(truncatingIfNeeded: hash) & slotMask
            while slots[position].index != index { position = (position + 1) & slotMask }
            slots[position] = .empty
        }
        count = newCount
        wire.count = wireCount
    }

    mutating func removeAll() {
        // The next frame is most likely like this one.
        slotMask = min(max(nextPowerOfTwo(count * 2 + 1), Self.slotsMin), Self.slotsMax) - 1
        slots.update(repeating: .empty, count: slotMask + 1)
        count = 0
        wire.count = 0
    }
}
