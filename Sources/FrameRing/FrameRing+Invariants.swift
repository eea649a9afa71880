/// What holds of a ring at any time:
///
/// - R1. `head <= tail <= head + capacityBytes`, and both are multiples of `unitBytes`.
/// - R2. A claim starts at a unit and does not cross the end of the data; padding ends exactly there.
/// - R3. A claim's bytes are written by its producer alone, and its commit word once, after all of them.
/// - R4. A commit word names its lap; a word of another lap publishes nothing, whatever else it says.
/// - R5. Only the consumer moves the head, and only past claims of which it needs no byte any more.
/// - R6. The producers' copy of the head is never above the head.
/// - R7. The claims published from the head on lie end to end and stop at the tail at the latest; inside a batch,
///   records and lengths lie within the extent and do not overlap.
/// - R8. Every claim is closed exactly once: published, or abandoned by its `deinit`.
/// - R9. Memory is freed only when no claim is open and the consumer is gone. The consumer holds a reference to see to
///   it; of a claim the producer does, and `deinit` traps if it did not.
/// - R10. A ring has one consumer.
///
/// R3, R5 and R8 speak of steps, not of a state: types and the exhaustive model in the tests see to them.
extension FrameRing {
    /// Traps where R1, R2, R4, R6 or R7 does not hold.
    ///
    /// For the consumer's thread, between two of its calls; producers may be at work.
    /// - Complexity: O(claims and records in the ring).
    package func checkInvariants() {
        // In this order: the producers' copy first, because the head may move on after it was copied, but not back.
        let headSeen = storage.load(.headSeen)
        let head = storage.loadHead()
        let unit = UInt64(Self.unitBytes)
        precondition(headSeen <= head, "R6: producers saw a head that was not stored")
        precondition(head % unit == 0 && storage.loadTail() % unit == 0, "R1: a position inside a unit")
        var position = head
        while position < head + storage.capacityBytes, let word = storage.publishedWord(at: position) {
            let extent = word.extentBytes
            let lapRest = storage.capacityBytes - storage.offset(of: position)
            precondition(extent <= lapRest, "R2: a claim crosses the end")
            switch word.kind {
            case .padding: precondition(extent == lapRest, "R2: padding stops before the end")
            case .abandoned, .record: break
            case .batch: checkBatch(at: position, extentBytes: Int(extent))
            }
            position += extent
        }
        let tail = storage.loadTail()
        precondition(position <= tail, "R7: published beyond the tail")
        precondition(tail <= head + storage.capacityBytes, "R1: more claimed than there is")
    }

    private func checkBatch(at position: UInt64, extentBytes: Int) {
        let bytes = storage.claimBytes(at: position, extentBytes: extentBytes)
        guard let recordCount = bytes.readRecordCount() else {
            preconditionFailure("R7: the lengths do not fit in the extent")
        }
        let recordsEnd = ClaimLayout.recordsEnd(extentBytes: extentBytes, recordCount: recordCount)
        var offset = 0
        for index in 0..<recordCount {
            let byteCount = bytes.readLength(ofRecord: index)
            precondition(byteCount <= recordsEnd - offset, "R7: a record is longer than its claim")
            offset += ClaimLayout.aligned(byteCount)
        }
    }

    /// Whether a claim between head and tail is not closed. Exact only when nobody claims or consumes.
    var hasOpenClaim: Bool {
        var position = storage.loadHead()
        let tail = storage.loadTail()
        while position < tail {
            guard let word = storage.publishedWord(at: position) else { return true }
            position += word.extentBytes
        }
        return false
    }
}
