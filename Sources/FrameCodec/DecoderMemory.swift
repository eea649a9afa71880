// What a decoder remembers while it reads one frame: the dictionary, the last values of texts with a shared prefix, the
// tags of a record. Allocated once, at the size that the protocol's limits allow, and never larger.

import Glibc
import MetricKinds

/// A string of the dictionary: where it lies in the frame.
@usableFromInline
struct DictionaryEntry {
    @usableFromInline let offset: UInt32
    @usableFromInline let length: UInt32

    @inlinable
    init(offset: UInt32, length: UInt32) {
        self.offset = offset
        self.length = length
    }
}

/// The memory of one decoder, about 600 KiB of which a frame touches what it needs.
@usableFromInline
struct DecoderMemory: ~Copyable {
    /// The dictionary's strings; `dictionaryCount` of them hold.
    @usableFromInline let entries: UnsafeMutablePointer<DictionaryEntry>
    /// Whether a record refers to the string of the same index.
    @usableFromInline let used: UnsafeMutablePointer<Bool>
    /// Open addressing by a string's hash: its index and 1, or 0. A power of two of them is in use, four times the strings
    /// at least, so that most strings find theirs free.
    private let slots: UnsafeMutablePointer<UInt16>
    /// `prefixSlotsMax` values of `stringBytesMax` bytes each.
    @usableFromInline let prefixBytes: UnsafeMutableRawPointer
    @usableFromInline let prefixLengths: UnsafeMutablePointer<Int>
    /// Keys and values of one record's tags, as indices.
    @usableFromInline let tagIndices: UnsafeMutablePointer<UInt32>
    /// Random for each decoder, so that nobody can choose strings that collide.
    private let seed: UInt64

    private static let slotsMax = FrameLimits.stringsPerDictionaryMax * 4
    /// So many bytes of each value in `prefixBytes` can be read, however short the value is.
    @usableFromInline static var prefixBytesMadeZero: Int { 64 }

    @usableFromInline
    init() {
        entries = .allocate(capacity: FrameLimits.stringsPerDictionaryMax)
        used = .allocate(capacity: FrameLimits.stringsPerDictionaryMax)
        slots = .allocate(capacity: Self.slotsMax)
        prefixBytes = .allocate(byteCount: MetricKind.prefixSlotsMax * FrameLimits.stringBytesMax, alignment: 8)
        for slot in 0..<MetricKind.prefixSlotsMax {
            memset(prefixBytes + slot * FrameLimits.stringBytesMax, 0, Self.prefixBytesMadeZero)
        }
        prefixLengths = .allocate(capacity: MetricKind.prefixSlotsMax)
        tagIndices = .allocate(capacity: FrameLimits.tagsPerRecordMax * 2)
        seed = UInt64.random(in: .min ... .max)
    }

    deinit {
        entries.deallocate()
        used.deallocate()
        slots.deallocate()
        prefixBytes.deallocate()
        prefixLengths.deallocate()
        tagIndices.deallocate()
    }

    /// Reads a frame's dictionary from `wire`.
    ///
    /// - Returns: how many strings it has.
    /// - Complexity: O(bytes of the dictionary).
    @usableFromInline
    func readDictionary(_ wire: inout WireReader) throws(FrameError) -> Int {
        let count = try wire.count(limit: FrameLimits.stringsPerDictionaryMax, .tooManyStrings)
        // Each string takes a byte at least: a count that cannot be true clears no more memory than the frame has bytes.
        let plausible = min(count, wire.end - wire.position)
        let slotMask = nextPowerOfTwo(plausible * 4) - 1
        slots.update(repeating: 0, count: slotMask + 1)
        used.update(repeating: false, count: plausible)
        for index in 0..<count {
            let start = wire.position
            let length = try wire.count(limit: FrameLimits.stringBytesMax, .stringTooLong)
            let offset = wire.position
            let text = try wire.bytes(length)
            let plain: Bool
            let hash: UInt64
            if length <= ShortText.bytesMax, wire.end - offset >= ShortText.bytesMax {
                let short = ShortText(startOf: wire.base + offset, count: length)
                plain = short.isPlain(count: length)
                hash = short.hash(seed: seed)
            } else {
                plain = false
                hash = stringHash(text, seed: seed)
            }
            if !plain, let fault = TextCheck.fault(in: text) {
                throw FrameError(fault.reason, at: offset + fault.offset)
            }
            entries[index] = DictionaryEntry(
                offset: UInt32(truncatingIfNeeded: offset), length: UInt32(truncatingIfNeeded: length))
            var slot = Int(truncatingIfNeeded: hash) & slotMask
            while slots[slot] != 0 {
                let other = entries[Int(slots[slot]) - 1]
                if Int(other.length) == text.count,
                    text.count == 0 || equalBytes(wire.base + Int(other.offset), text.baseAddress, text.count)
                {
                    throw FrameError(.duplicateString, at: start)
                }
                slot = (slot + 1) & slotMask
            }
            slots[slot] = UInt16(index + 1)
        }
        return count
    }

    /// The first string that no record refers to, as the offset of its length, or nil. O(count).
    @usableFromInline
    func firstUnused(count: Int) -> Int? {
        for index in 0..<count where !used[index] {
            let entry = entries[index]
            return Int(entry.offset) - varintLength(UInt64(entry.length))
        }
        return nil
    }
}
