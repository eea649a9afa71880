/// How a claim for a batch lies in the data: the records from its beginning on, their lengths from its end back.
///
/// | bytes | content |
/// |---|---|
/// | from the first on, each record from a multiple of 16 on | the records' bytes |
/// | the last 4 | the records appended |
/// | the 4 before these, the 4 before those and so on | the length of the first record, of the second and so on |
///
/// The lengths stand together, not each before its record, so that where a record starts does not depend on a load from
/// the cache line before it: the consumer's misses overlap. They stand behind the records, because a producer comes back
/// to their lines with every record: at the claim's beginning a consumer that has caught up, whose processor fetches
/// ahead of what it reads, takes these lines away again and again, and the producer's stores wait in order.
/// A single record, appended by `FrameRing.append`, lies there without any of this; its length is in the commit word.
/// Records start at multiples of 16, the first one at a unit: a word of 16 bytes that lies across two cache lines
/// costs twice, and of a short record only those that are counted from its end can.
/// Numbers are in the machine's order: they never leave its memory.
@usableFromInline
enum ClaimLayout {
    @usableFromInline static let countBytes = 4
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

    /// What the lengths of `recordCount` records and their count take, in bytes.
    @inlinable
    static func trailerBytes(recordCount: Int) -> Int { countBytes &+ recordCount &* lengthBytes }

    /// Where the room for records ends in a claim for `recordCount`, in bytes: at a multiple of 16.
    @inlinable
    static func recordsEnd(extentBytes: Int, recordCount: Int) -> Int {
        (extentBytes &- trailerBytes(recordCount: recordCount)) & ~(recordAlignment - 1)
    }

    /// Where the count lies in a claim of `extentBytes`.
    @inlinable
    static func countOffset(extentBytes: Int) -> Int { extentBytes &- countBytes }

    /// Where the length of the record `index` lies.
    @inlinable
    static func lengthOffset(ofRecord index: Int, extentBytes: Int) -> Int {
        extentBytes &- trailerBytes(recordCount: index &+ 1)
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
        return extentBytes(recordCount: recordCount, paddedBytes: paddedBytes, maximumBytes: maximumBytes)
    }

    /// The extent that is enough for `recordCount` records of at most `recordBytes` each. In bytes; nil where it is over
    /// `maximumBytes`.
    @inlinable
    static func extentBytes(recordCount: Int, recordBytes: Int, maximumBytes: Int) -> Int? {
        precondition(recordCount >= 0 && recordBytes >= 0, "a claim's record count and bytes cannot be negative")
        guard recordCount <= maximumBytes / lengthBytes, recordBytes <= maximumBytes else { return nil }
        // At most 2^26 records of 2^28 bytes: their product does not overflow.
        let paddedBytes = recordCount &* aligned(recordBytes)
        return extentBytes(recordCount: recordCount, paddedBytes: paddedBytes, maximumBytes: maximumBytes)
    }

    @inlinable
    static func extentBytes(recordCount: Int, paddedBytes: Int, maximumBytes: Int) -> Int? {
        let bytes = extentBytes(paddedBytes &+ trailerBytes(recordCount: recordCount))
        return bytes <= maximumBytes ? bytes : nil
    }
}
