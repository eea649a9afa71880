// Bytes that come at one end and go at the other, in one piece of memory that is used over again.
//
// Places are counted from the first byte ever appended, so that nothing has to be moved or renumbered when the front goes.
// Invariant: `start` <= `end`, and `end` - `start` <= capacity, which is a power of two.

/// A first-in, first-out run of bytes. Not bounded: its owner bounds it.
struct ByteRing {
    /// The place of the first byte that is held.
    private(set) var start = 0
    /// The place behind the last one.
    private(set) var end = 0
    private var storage: [UInt8]

    private static let capacityMin = 65_536

    init() { storage = [UInt8](repeating: 0, count: Self.capacityMin) }

    var byteCount: Int { end - start }

    /// Copies bytes behind the last one. O(bytes), amortised over the growth.
    mutating func append(_ bytes: RawSpan) {
        if byteCount + bytes.byteCount > storage.count { grow(to: byteCount + bytes.byteCount) }
        bytes.withUnsafeBytes { put($0, at: end) }
        end += bytes.byteCount
    }

    /// Lets go of the first bytes.
    mutating func removeFirst(_ count: Int) {
        precondition(count <= byteCount)
        start += count
    }

    /// Gives `body` the bytes from a place on that lie in one piece: at most `count`, at least 1 if `count` is.
    func withPiece<Result, Failure: Error>(
        from place: Int, count: Int, _ body: (RawSpan) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        precondition(place >= start && count >= 0 && place + count <= end)
        let index = place & (storage.count - 1)
        return try body(storage.span.bytes.extracting(index..<min(index + count, storage.count)))
    }

    /// Gives `body` bytes from a place on to change, in one piece wherever they lie. O(count).
    mutating func update(from place: Int, count: Int, _ body: (UnsafeMutableRawBufferPointer) -> Void) {
        precondition(place >= start && count >= 0 && place + count <= end)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count)
        while bytes.count < count {
            withPiece(from: place + bytes.count, count: count - bytes.count) { part in
                part.withUnsafeBytes { bytes.append(contentsOf: $0) }
            }
        }
        bytes.withUnsafeMutableBytes { body($0) }
        bytes.withUnsafeBytes { put($0, at: place) }
    }

    private mutating func grow(to count: Int) {
        var larger = ByteRing()
        var capacity = storage.count
        while capacity < count { capacity *= 2 }
        larger.storage = [UInt8](repeating: 0, count: capacity)
        var place = start
        while place < end {
            place += withPiece(from: place, count: end - place) { part in
                part.withUnsafeBytes { larger.put($0, at: place) }
                return part.byteCount
            }
        }
        storage = larger.storage
    }

    /// - Precondition: there is room, which `append` has seen to.
    private mutating func put(_ bytes: UnsafeRawBufferPointer, at place: Int) {
        let index = place & (storage.count - 1)
        let first = min(bytes.count, storage.count - index)
        storage.withUnsafeMutableBytes { storage in
            storage[index..<index + first].copyBytes(from: bytes[..<first])
            storage[..<(bytes.count - first)].copyBytes(from: bytes[first...])
        }
    }
}
