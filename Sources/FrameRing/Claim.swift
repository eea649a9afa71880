extension FrameRing {
    /// Room in the ring that belongs to one producer until it is published.
    ///
    /// `publish()` hands over what was appended; the rest of the room is skipped. A claim that is dropped instead is
    /// abandoned: the consumer skips and counts it, so that it never holds up those behind it.
    ///
    /// A claim holds no reference, which would cost two updates of a count that all producers share: keep the ring
    /// until the claim is closed. `FrameRing.deinit` traps on one that is open, but cannot see one that another thread
    /// is just closing.
    @frozen  // `discard self` in an inlinable function asks for it.
    public struct Claim: ~Copyable {
        @usableFromInline let storage: RingStorage
        /// The position of the first unit.
        @usableFromInline let position: UInt64
        @usableFromInline let bytes: RingStorage.ClaimBytes
        /// The records there is room for.
        public let recordCountMaximum: Int
        /// The records appended so far.
        @inlinable public var recordCount: Int { appendedRecords }
        @usableFromInline var appendedRecords = 0
        /// Where the next record starts: a multiple of 16.
        @usableFromInline var usedBytes = 0
        /// Where the room for records ends.
        @usableFromInline let recordsEnd: Int

        @inlinable
        init(storage: RingStorage, position: UInt64, extentBytes: Int, recordCount: Int) {
            self.storage = storage
            self.position = position
            bytes = storage.claimBytes(at: position, extentBytes: extentBytes)
            recordCountMaximum = recordCount
            recordsEnd = ClaimLayout.recordsEnd(extentBytes: extentBytes, recordCount: recordCount)
        }

        deinit {
            storage.publish(.abandoned, lengthBytes: bytes.extentBytes, at: position)
        }

        /// The longest record that can still be appended, in bytes, if `recordCountMaximum` is not reached.
        @inlinable
        public var remainingBytes: Int { recordsEnd &- usedBytes }

        /// Copies `record` into the claim, behind those before it. An empty record is a record.
        ///
        /// Traps if it does not fit: the claim was made too small, see `remainingBytes` and `recordCountMaximum`.
        /// - Complexity: O(bytes of the record); never allocates.
        @inlinable
        public mutating func append(_ record: RawSpan) {
            precondition(appendedRecords < recordCountMaximum, "more records than were claimed")
            // The end is a multiple of 16, so a record that fits still fits with its alignment.
            precondition(record.byteCount <= remainingBytes, "the record does not fit in what was claimed")
            bytes.writeLength(record.byteCount, ofRecord: appendedRecords)
            bytes.write(record, atByteOffset: usedBytes)
            usedBytes &+= ClaimLayout.aligned(record.byteCount)
            appendedRecords &+= 1
        }

        /// Hands the records over to the consumer, all at once, and wakes it if it waits.
        /// - Complexity: O(1).
        @inlinable
        public consuming func publish() {
            bytes.write(recordCount: appendedRecords)
            storage.publish(.batch, lengthBytes: bytes.extentBytes, at: position)
            discard self
        }
    }
}
