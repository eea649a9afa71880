// The dictionary of a frame that is being made: finds a string's index, and can take back the newest strings.

/// Strings in the order of their first use, each once.
@usableFromInline
struct StringTable {
    /// The strings as they go on the wire: length and bytes, one behind the other.
    @usableFromInline var wire = ByteBuffer(capacity: 4_096)
    @usableFromInline var count = 0
    /// Where a string's bytes begin in `wire`, how many there are, its hash, and the string itself if it is short.
    @usableFromInline let entries: UnsafeMutablePointer<Entry>
    /// Open addressing: index and 1, or 0.
    @usableFromInline let slots: UnsafeMutablePointer<UInt32>
    /// Slots in use less one; grows with the table so that a small frame clears little.
    @usableFromInline var slotMask = 63
    @usableFromInline let seed: UInt64

    @usableFromInline
    struct Entry {
        @usableFromInline var offset: UInt32
        @usableFromInline var length: UInt32
        @usableFromInline var hash: UInt64
        @usableFromInline var short: ShortText

        @inlinable
        init(offset: UInt32, length: UInt32, hash: UInt64, short: ShortText) {
            self.offset = offset
            self.length = length
            self.hash = hash
            self.short = short
        }
    }

    @usableFromInline static var slotsMax: Int { FrameLimits.stringsPerDictionaryMax * 2 }

    @usableFromInline
    init() {
        entries = .allocate(capacity: FrameLimits.stringsPerDictionaryMax)
        slots = .allocate(capacity: Self.slotsMax)
        slots.update(repeating: 0, count: 64)
        seed = UInt64.random(in: .min ... .max)
    }

    @usableFromInline
    func deallocate() {
        wire.deallocate()
        entries.deallocate()
        slots.deallocate()
    }

    var isFull: Bool { count >= FrameLimits.stringsPerDictionaryMax }

    /// Where a string is, or where it would go.
    @usableFromInline
    enum Place {
        case at(Int)
        case free(slot: Int)
    }

    /// Looks for a string of at most `ShortText.bytesMax` bytes. O(1).
    @inlinable @inline(__always)
    func find(_ text: ShortText, count: Int, hash: UInt64) -> Place {
        var slot = Int(truncatingIfNeeded: hash) & slotMask
        while slots[slot] != 0 {
            let index = Int(slots[slot]) &- 1
            let entry = entries + index
            let difference = (entry.pointee.short.low ^ text.low) | (entry.pointee.short.high ^ text.high)
            if difference == 0, Int(entry.pointee.length) == count {
                return .at(index)
            }
            slot = (slot &+ 1) & slotMask
        }
        return .free(slot: slot)
    }

    /// Looks for a longer string. O(length).
    @inlinable @inline(__always)
    func find(_ text: UnsafeRawBufferPointer, hash: UInt64) -> Place {
        var slot = Int(truncatingIfNeeded: hash) & slotMask
        while slots[slot] != 0 {
            let index = Int(slots[slot]) &- 1
            let entry = entries + index
            if entry.pointee.hash == hash, Int(entry.pointee.length) == text.count,
                equalBytes(wire.base + Int(entry.pointee.offset), text.baseAddress, text.count)
            {
                return .at(index)
            }
            slot = (slot &+ 1) & slotMask
        }
        return .free(slot: slot)
    }

    /// Adds a string that `find` did not find; nil if the table is full.
    @usableFromInline
    mutating func add(_ text: UnsafeRawBufferPointer, hash: UInt64, slot: Int) -> Int? {
        guard count < FrameLimits.stringsPerDictionaryMax else { return nil }
        wire.reserve(text.count + 10)
        wire.putVarint(UInt64(text.count))
        let short = text.baseAddress.map { ShortText($0, count: min(text.count, ShortText.bytesMax)) }
        entries[count] = Entry(
            offset: UInt32(wire.count), length: UInt32(text.count), hash: hash, short: short ?? ShortText.empty)
        wire.put(text)
        slots[slot] = UInt32(count + 1)
        count += 1
        if count * 2 > slotMask, slotMask + 1 < Self.slotsMax { rehash(slotCount: (slotMask + 1) * 4) }
        return count - 1
    }

    private mutating func rehash(slotCount: Int) {
        slotMask = min(slotCount, Self.slotsMax) - 1
        slots.update(repeating: 0, count: slotMask + 1)
        for index in 0..<count {
            var slot = Int(truncatingIfNeeded: entries[index].hash) & slotMask
            while slots[slot] != 0 { slot = (slot + 1) & slotMask }
            slots[slot] = UInt32(index + 1)
        }
    }

    /// Takes back all strings from index `newCount` on, newest first: their slots are the ends of their chains then.
    @usableFromInline
    mutating func truncate(count newCount: Int, wireCount: Int) {
        while count > newCount {
            count -= 1
            var slot = Int(truncatingIfNeeded: entries[count].hash) & slotMask
            while Int(slots[slot]) != count + 1 { slot = (slot + 1) & slotMask }
            slots[slot] = 0
        }
        wire.count = wireCount
    }

    mutating func removeAll() {
        count = 0
        wire.count = 0
        slotMask = 63
        slots.update(repeating: 0, count: 64)
    }
}
