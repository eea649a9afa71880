// What the encoder keeps of a kind while a frame is made.

import MetricKinds

/// The last value of a text with a shared prefix, for each such field of a kind.
@usableFromInline
struct PrefixState {
    @usableFromInline var value = ByteBuffer(capacity: 64)

    @usableFromInline init() {}
}

/// The block of one kind in the frame that is being made.
@usableFromInline
struct BlockState {
    @usableFromInline var records = ByteBuffer(capacity: 2_048)
    @usableFromInline var recordCount = 0
    @usableFromInline var lastTime: Int64 = 0
    @usableFromInline let prefixes: UnsafeMutablePointer<PrefixState>

    /// Kind, version, bits, and the varints of counts that a frame can have.
    @usableFromInline static var headBytesMax: Int { 3 + 3 + 3 }

    /// Of the block in the frame, its head included.
    var bytes: Int {
        3 + varintLength(UInt64(recordCount)) + varintLength(UInt64(records.count)) + records.count
    }

    @usableFromInline
    init() {
        prefixes = .allocate(capacity: MetricKind.prefixSlotsMax)
        for slot in 0..<MetricKind.prefixSlotsMax { (prefixes + slot).initialize(to: PrefixState()) }
    }

    @usableFromInline
    func deallocate() {
        records.deallocate()
        for slot in 0..<MetricKind.prefixSlotsMax { prefixes[slot].value.deallocate() }
        prefixes.deallocate()
    }
}
