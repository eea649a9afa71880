extension RingStorage {
    /// The bytes of one claim, laid out as `ClaimLayout` says. A single record lies at the beginning, and nothing looks at
    /// the end of its claim: `extentBytes` is at least the record's.
    ///
    /// Sound because a claim is contiguous (R2), and because each caller has checked what it asks for against the
    /// claim's extent; they belong to one thread at a time, see `RingStorage`.
    @usableFromInline
    struct ClaimBytes: BitwiseCopyable {
        @usableFromInline let start: UnsafeMutableRawPointer
        @usableFromInline let extentBytes: Int

        @inlinable
        init(start: UnsafeMutableRawPointer, extentBytes: Int) {
            self.start = start
            self.extentBytes = extentBytes
        }

        // MARK: Writing, by the producer that owns the claim

        @inlinable
        func write(recordCount: Int) {
            start.storeBytes(
                of: UInt32(truncatingIfNeeded: recordCount),
                toByteOffset: ClaimLayout.countOffset(extentBytes: extentBytes), as: UInt32.self)
        }

        /// The caller has checked that `index` is below the number of records claimed.
        @inlinable
        func writeLength(_ byteCount: Int, ofRecord index: Int) {
            start.storeBytes(
                of: UInt32(truncatingIfNeeded: byteCount),
                toByteOffset: ClaimLayout.lengthOffset(ofRecord: index, extentBytes: extentBytes), as: UInt32.self)
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
                // is written twice and no byte needs a loop. No frame is shorter.
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

        /// The records appended; nil where their lengths do not fit in the extent.
        @inlinable
        func readRecordCount() -> Int? {
            let count = Int(
                start.load(fromByteOffset: ClaimLayout.countOffset(extentBytes: extentBytes), as: UInt32.self))
            return ClaimLayout.trailerBytes(recordCount: count) <= extentBytes ? count : nil
        }

        /// The caller has checked that `index` is below the number of records appended.
        @inlinable
        func readLength(ofRecord index: Int) -> Int {
            Int(
                start.load(
                    fromByteOffset: ClaimLayout.lengthOffset(ofRecord: index, extentBytes: extentBytes),
                    as: UInt32.self))
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
