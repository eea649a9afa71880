/// How a claim for a batch lies in the data: a header, the length of each record, then the records.
///
/// | bytes | content |
/// |---|---|
/// | 0 ..< 4 | the records claimed, n |
/// | 4 ..< 8 | the records appended |
/// | 8 ..< 8 + 4 n | the length of each record |
/// | from the next unit on, each from a multiple of 16 on | the records' bytes |
///
/// The lengths stand together, not each before its record, so that where a record starts does not depend on a load from
/// the cache line before it: the consumer's misses overlap. A single record, appended by `FrameRing.append`, lies
/// there without any header; its length is in the commit word. Records start at multiples of 16, the first one
/// at a unit: of the words of 16 bytes in which a short record is copied only the last one can lie across two cache lines,
/// which costs twice.
/// Numbers are in the machine's order: they never leave its memory.
@usableFromInline
enum ClaimLayout {
    @usableFromInline static let headerBytes = 8
    @usableFromInline static let lengthBytes = 4
    @usableFromInline static let recordAlignment = 16

    /// `bytes` rounded up to where the next record may start.
    @inlinable
    static func aligned(_ bytes: Int) -> Int {
        (bytes &+ (recordAlignment - 1)) & ~(recordAlignment - 1)
    }

    /// `bytes` rounded up to where the next claim may start.
    @inlinable
    static func extentBytes(_ bytes: Int) -> Int {
        (bytes &+ (FrameRing.unitBytes - 1)) & ~(FrameRing.unitBytes - 1)
    }

    /// Where the first record starts in a claim for `recordCount`, in bytes: at a unit.
    @inlinable
    static func recordsOffset(recordCount: Int) -> Int {
        extentBytes(headerBytes &+ recordCount &* lengthBytes)
    }

    /// The extent that is enough for `recordCount` records of `payloadBytes` together, however long each of them is.
    /// In bytes; nil where it is over `maximumBytes`.
    @inlinable
    static func extentBytes(recordCount: Int, payloadBytes: Int, maximumBytes: Int) -> Int? {
        precondition(recordCount >= 0 && payloadBytes >= 0, "a claim's record count and bytes cannot be negative")
        // Both are held against the maximum before any arithmetic, so that the sum below cannot overflow.
        guard recordCount <= maximumBytes / lengthBytes, payloadBytes <= maximumBytes else { return nil }
        // Alignment takes up to 15 bytes for each record, and their sum is a multiple of 16.
        let paddedBytes = (payloadBytes &+ recordCount &* (recordAlignment - 1)) & ~(recordAlignment - 1)
        let bytes = extentBytes(recordsOffset(recordCount: recordCount) &+ paddedBytes)
        return bytes <= maximumBytes ? bytes : nil
    }
}

/// The header of a published batch.
@usableFromInline
struct ClaimHeader: BitwiseCopyable {
    @usableFromInline let claimedRecords: UInt32
    @usableFromInline let appendedRecords: UInt32

    @inlinable
    init(claimedRecords: Int, appendedRecords: Int) {
        self.claimedRecords = UInt32(truncatingIfNeeded: claimedRecords)
        self.appendedRecords = UInt32(truncatingIfNeeded: appendedRecords)
    }
}
