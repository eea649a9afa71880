extension RingStorage {
    /// The bytes of one claim, laid out as `ClaimLayout` says.
    ///
    /// Sound because a claim is contiguous (R2), and because each caller has checked what it asks for against the
    /// claim's extent; they belong to one thread at a time, see `RingStorage`.
    @usableFromInline
    struct ClaimBytes: BitwiseCopyable {
        @usableFromInline let start: UnsafeMutableRawPointer
        @usableFromInline let byteCount: Int

        @inlinable
        init(start: UnsafeMutableRawPointer, byteCount: Int) {
            self.start = start
            self.byteCount = byteCount
        }

        // MARK: Writing, by the producer that owns the claim

        @inlinable
        func write(recordCount: Int) {
            start.storeBytes(
                of: UInt32(truncatingIfNeeded: recordCount),
                toByteOffset: byteCount &- ClaimLayout.trailerBytes(recordCount: 0), as: UInt32.self)
        }

        /// The caller has checked that so many lengths and more fit in the claim.
        @inlinable
        func writeLength(_ byteCount: Int, ofRecord index: Int) {
            start.storeBytes(
                of: UInt32(truncatingIfNeeded: byteCount),
                toByteOffset: self.byteCount &- ClaimLayout.trailerBytes(recordCount: index &+ 1), as: UInt32.self)
        }

        /// The caller has checked that the record lies inside its claim.
        @inlinable
        @inline(__always)
        func write(_ record: RawSpan, atByteOffset offset: Int) {
            record.withUnsafeBytes { bytes in
                guard let source = bytes.baseAddress else { return }
                let target = start + offset
                let count = bytes.count
                // The call of memmove would cost more than so few bytes. From both ends, so that what overlaps in the middle
                // is written twice and no byte needs a loop.
                switch count {
                case 16...32:
                    Self.copyBothEnds(target, source, count, SIMD2<UInt64>.self)
                case 33...64:
                    Self.copyBothEnds(target, source, count, SIMD4<UInt64>.self)
                case 65...128:
                    Self.copyBothEnds(target, source, count, SIMD8<UInt64>.self)
                default:
                    target.copyMemory(from: source, byteCount: count)
                }
            }
        }

        /// Copies `count` bytes, from one to two times as many as `Part` has.
        @inlinable
        static func copyBothEnds<Part: BitwiseCopyable>(
            _ target: UnsafeMutableRawPointer, _ source: UnsafeRawPointer, _ count: Int, _: Part.Type
        ) {
            let end = count &- MemoryLayout<Part>.size
            let first = source.loadUnaligned(as: Part.self)
            let last = source.loadUnaligned(fromByteOffset: end, as: Part.self)
            target.storeBytes(of: first, as: Part.self)
            target.storeBytes(of: last, toByteOffset: end, as: Part.self)
        }

        // MARK: Reading, by the consumer

        /// The records appended, if they and their lengths can be in a claim of so many bytes; nil: they cannot.
        @inlinable
        func readRecordCount() -> Int? {
            let count = Int(
                start.load(fromByteOffset: byteCount &- ClaimLayout.trailerBytes(recordCount: 0), as: UInt32.self))
            return ClaimLayout.trailerBytes(recordCount: count) <= byteCount ? count : nil
        }

        /// The caller has checked that so many lengths and more are in the claim.
        @inlinable
        func readLength(ofRecord index: Int) -> Int {
            Int(
                start.load(
                    fromByteOffset: byteCount &- ClaimLayout.trailerBytes(recordCount: index &+ 1), as: UInt32.self))
        }

        /// The caller has checked that the record lies inside a published claim that it has not released yet.
        @inlinable
        func withRecord<Result, Failure: Error>(
            atByteOffset offset: Int, byteCount: Int, _ body: (RawSpan) throws(Failure) -> Result
        ) throws(Failure) -> Result {
            try body(UnsafeRawBufferPointer(start: start + offset, count: byteCount).bytes)
        }
    }
}
