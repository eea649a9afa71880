extension FrameRing {
    /// The one reader of a ring. It may move between threads, but is used by one at a time, which `~Copyable` and
    /// `mutating` see to.
    public struct Consumer: ~Copyable, Sendable {
        @usableFromInline let ring: FrameRing
        /// The position of the first claim that is not released; equal to the stored head.
        @usableFromInline var head: UInt64 = 0
        /// Of the batch at `head`: the records taken already, and where the next one starts; 0 where none is taken.
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
                // With it, whatever lies inside the extent lies inside the data (R2).
                precondition(
                    UInt64(truncatingIfNeeded: word.extentBytes) <= storage.capacityBytes &- storage.offset(of: head),
                    "a claim crosses the end of the data")
                switch word.kind {
                case .record:
                    guard records < maximumRecords else { return records }
                    let tag = storage.readTag(at: head)
                    let isTaken = try storage.withRecord(at: head, byteCount: word.lengthBytes) {
                        (record) throws(Failure) in try body(record, tag)
                    }
                    guard isTaken else { return records }
                    records &+= 1
                    claims &+= 1
                case .batch:
                    guard
                        try consumeBatch(
                            extentBytes: word.extentBytes, records: &records, maximumRecords: maximumRecords, body)
                    else { return records }
                    claims &+= 1
                case .abandoned:
                    abandoned &+= 1
                case .padding:
                    break
                }
                head &+= UInt64(truncatingIfNeeded: word.extentBytes)
                storage.storeHead(head)
            }
            return records
        }

        /// Hands out what is left of the batch at the head. Returns whether all of it was taken; otherwise the next
        /// call goes on behind what was.
        @inlinable
        mutating func consumeBatch<Failure: Error>(
            extentBytes: Int, records: inout Int, maximumRecords: Int, _ body: (RawSpan, UInt64) throws(Failure) -> Bool
        ) throws(Failure) -> Bool {
            let storage = ring.storage
            let tag = storage.readTag(at: head)
            let header = storage.readHeader(at: head)
            let recordCount = Int(header.appendedRecords)
            let recordsOffset = ClaimLayout.recordsOffset(recordCount: Int(header.claimedRecords))
            precondition(
                header.appendedRecords <= header.claimedRecords && recordsOffset <= extentBytes,
                "a claim's lengths do not fit in its extent")
            var index = takenRecords
            var offset = index == 0 ? recordsOffset : takenBytes
            while index < recordCount {
                let byteCount = storage.readLength(ofRecord: index, inClaimAt: head)
                precondition(byteCount <= extentBytes &- offset, "a record is longer than its claim")
                // Kept before `body` runs, so that it is right however that ends.
                takenRecords = index
                takenBytes = offset
                guard
                    records < maximumRecords,
                    try storage.withRecord(
                        at: head &+ UInt64(truncatingIfNeeded: offset), byteCount: byteCount,
                        { (record) throws(Failure) in try body(record, tag) })
                else { return false }
                index &+= 1
                offset &+= ClaimLayout.aligned(byteCount)
                records &+= 1
            }
            takenRecords = 0
            return true
        }
    }
}
