extension FrameRing {
    /// The one reader of a ring. It may move between threads, but is used by one at a time, which `~Copyable` and
    /// `mutating` see to.
    public struct Consumer: ~Copyable, Sendable {
        @usableFromInline let ring: FrameRing
        /// The position of the first claim that is not released; equal to the stored head.
        @usableFromInline var head: UInt64 = 0
        /// Of the batch at `head`: the records taken already, and where the next one starts.
        @usableFromInline var takenRecords = 0
        @usableFromInline var takenBytes = 0
        /// Whether this consumer said that it waits.
        @usableFromInline var isWaiting = false

        init(ring: FrameRing) {
            self.ring = ring
        }

        /// Hands out published records in order, until nothing more is published, `maximumRecords` were taken, or
        /// `body` refuses one; a call looks at one lap of the ring at most.
        ///
        /// Stopping is by record: one that `body` refuses, by returning false or by throwing, is the first of the next
        /// call. Space is by claim: that of a claim is free for producers once the last of its records was taken, so
        /// copy what must last out of `record`, which is valid during the call of `body` only.
        ///
        /// - Parameters:
        ///   - maximumRecords: over zero.
        ///   - body: gets the record and its claim's tag, and returns whether it took the record.
        /// - Returns: the records taken.
        /// - Throws: what `body` throws.
        /// - Complexity: O(records handed out) beyond `body`; never allocates, never waits.
        @inlinable
        public mutating func consume<Failure: Error>(
            maximumRecords: Int, _ body: (_ record: RawSpan, _ tag: UInt64) throws(Failure) -> Bool
        ) throws(Failure) -> Int {
            precondition(maximumRecords > 0, "a consumer takes at least one record")
            stopWaiting()
            let storage = ring.storage
            let lapEnd = head &+ storage.capacityBytes
            var records = 0
            var claims = 0
            var abandoned = 0
            defer {
                storage.add(records, to: .consumedRecords)
                storage.add(claims, to: .consumedClaims)
                storage.add(abandoned, to: .abandonedClaims)
            }
            while head < lapEnd, let word = storage.publishedWord(at: head) {
                let extent = word.extentBytes
                // With it, whatever lies inside the extent lies inside the data (R2).
                precondition(
                    extent <= storage.capacityBytes &- storage.offset(of: head), "a claim crosses the end of the data")
                switch word.kind {
                case .record:
                    guard records < maximumRecords else { return records }
                    let tag = storage.readTag(at: head)
                    let bytes = storage.claimBytes(at: head, extentBytes: Int(truncatingIfNeeded: extent))
                    let isTaken = try bytes.withRecord(atByteOffset: 0, byteCount: word.lengthBytes) {
                        (record) throws(Failure) in try body(record, tag)
                    }
                    guard isTaken else { return records }
                    records &+= 1
                    claims &+= 1
                case .batch:
                    guard
                        try consumeBatch(
                            extentBytes: Int(truncatingIfNeeded: extent), records: &records,
                            maximumRecords: maximumRecords, body)
                    else { return records }
                    takenRecords = 0
                    takenBytes = 0
                    claims &+= 1
                case .abandoned:
                    abandoned &+= 1
                case .padding:
                    break
                }
                head &+= extent
                storage.storeHead(head)
            }
            return records
        }

        /// Hands out what is left of the batch at the head. Returns whether all of it was taken; otherwise the next
        /// call goes on behind what was.
        @inlinable
        @inline(__always)
        mutating func consumeBatch<Failure: Error>(
            extentBytes: Int, records: inout Int, maximumRecords: Int, _ body: (RawSpan, UInt64) throws(Failure) -> Bool
        ) throws(Failure) -> Bool {
            let tag = ring.storage.readTag(at: head)
            let bytes = ring.storage.claimBytes(at: head, extentBytes: extentBytes)
            guard let recordCount = bytes.readRecordCount() else {
                preconditionFailure("a claim's lengths do not fit in its extent")
            }
            let recordsEnd = ClaimLayout.recordsEnd(extentBytes: extentBytes, recordCount: recordCount)
            let first = takenRecords
            var index = first
            var offset = takenBytes
            // However `body` ends.
            defer {
                takenRecords = index
                takenBytes = offset
                records &+= index &- first
            }
            let last = first &+ min(recordCount &- first, maximumRecords &- records)
            while index < last {
                let byteCount = bytes.readLength(ofRecord: index)
                precondition(byteCount <= recordsEnd &- offset, "a record is longer than its claim")
                guard
                    try bytes.withRecord(
                        atByteOffset: offset, byteCount: byteCount,
                        { (record) throws(Failure) in try body(record, tag) })
                else { return false }
                index &+= 1
                offset &+= ClaimLayout.aligned(byteCount)
            }
            return index == recordCount
        }
    }
}
