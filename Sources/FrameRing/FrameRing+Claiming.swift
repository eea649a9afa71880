/// Why there is no room for a claim. The ring is as it was; callers count their refusals.
public enum ClaimFailure: Error, Equatable, Sendable {
    /// The consumer has not released enough yet. The same claim can succeed later.
    case full
    /// The claim is over `FrameRing.claimBytesMaximum`. It can never succeed: claim less.
    case tooLarge
}

extension FrameRing {
    /// Claims room for a batch of records, to be appended and then published together.
    ///
    /// - Parameters:
    ///   - recordCount: the most records to come.
    ///   - payloadBytes: the most that they have together; lengths and alignment are added here.
    ///   - tag: a word that the consumer gets with each of the records, for example their connection.
    /// - Throws: `ClaimFailure`, without a trace in the ring. A negative number traps.
    /// - Complexity: O(1) without contention; lock-free: a producer that has to try again lost to one that did not.
    @inlinable
    public func claim(recordCount: Int, payloadBytes: Int, tag: UInt64 = 0) throws(ClaimFailure) -> Claim {
        guard
            let extentBytes = ClaimLayout.extentBytes(
                recordCount: recordCount, payloadBytes: payloadBytes, maximumBytes: claimBytesMaximum)
        else { throw .tooLarge }
        return try claim(extentBytes: extentBytes, recordCount: recordCount, tag: tag)
    }

    /// Claims room for a batch of records of one length, or nearly so. For short ones that is less than where only the bytes
    /// of all together are known, by up to 15 bytes for each record; where lengths differ it is more.
    ///
    /// - Parameters:
    ///   - recordCount: the most records to come.
    ///   - recordBytes: the most that each of them has; a longer one takes the room of those behind it.
    ///   - tag: a word that the consumer gets with each of the records.
    /// - Throws: `ClaimFailure`, without a trace in the ring. A negative number traps.
    /// - Complexity: as `claim(recordCount:payloadBytes:tag:)`.
    @inlinable
    public func claim(recordCount: Int, recordBytes: Int, tag: UInt64 = 0) throws(ClaimFailure) -> Claim {
        guard
            let extentBytes = ClaimLayout.extentBytes(
                recordCount: recordCount, recordBytes: recordBytes, maximumBytes: claimBytesMaximum)
        else { throw .tooLarge }
        return try claim(extentBytes: extentBytes, recordCount: recordCount, tag: tag)
    }

    @inlinable
    func claim(extentBytes: Int, recordCount: Int, tag: UInt64) throws(ClaimFailure) -> Claim {
        let position = try reserve(extentBytes: extentBytes)
        storage.write(tag: tag, at: position)
        return Claim(storage: storage, position: position, extentBytes: extentBytes, recordCount: recordCount)
    }

    /// Whether a claim for so many records of so many bytes together is small enough to ever succeed, see
    /// `ClaimFailure.tooLarge`. O(1).
    @inlinable
    public func isClaimable(recordCount: Int, payloadBytes: Int) -> Bool {
        ClaimLayout.extentBytes(
            recordCount: recordCount, payloadBytes: payloadBytes, maximumBytes: claimBytesMaximum) != nil
    }

    /// Claims, copies and publishes one record.
    ///
    /// - Throws: `ClaimFailure`, without a trace in the ring.
    /// - Complexity: O(bytes of the record), and as `claim`.
    @inlinable
    public func append(_ record: RawSpan, tag: UInt64 = 0) throws(ClaimFailure) {
        guard record.byteCount <= claimBytesMaximum else { throw .tooLarge }
        let position = try reserve(extentBytes: ClaimLayout.extentBytes(max(record.byteCount, 1)))
        storage.write(tag: tag, at: position)
        storage.claimBytes(at: position, extentBytes: record.byteCount).write(record, atByteOffset: 0)
        storage.publish(.record, lengthBytes: record.byteCount, at: position)
    }

    /// Moves the tail over `extentBytes` of contiguous room, and over the rest of the lap where they do not fit in it.
    /// Returns the position; the caller owns those bytes and must publish there.
    @inlinable
    func reserve(extentBytes: Int) throws(ClaimFailure) -> UInt64 {
        let extent = UInt64(truncatingIfNeeded: extentBytes)
        var tail = storage.loadTail()
        while true {
            let lapRest = storage.capacityBytes &- storage.offset(of: tail)
            let padding = lapRest < extent ? lapRest : 0
            let newTail = tail &+ padding &+ extent
            // No subtraction: a stale tail may lie below a head that moved on, and then the exchange fails.
            if newTail > storage.loadHeadSeen() &+ storage.capacityBytes {
                guard newTail <= storage.refreshHeadSeen() &+ storage.capacityBytes else { throw .full }
            }
            let (exchanged, original) = storage.exchangeTail(from: tail, to: newTail)
            guard exchanged else {
                tail = original
                continue
            }
            if padding > 0 {
                storage.publish(.padding, lengthBytes: Int(truncatingIfNeeded: padding), at: tail)
            }
            return tail &+ padding
        }
    }
}
