extension FrameRing {
    /// The bytes claimed and not yet released, lengths and padding included. A snapshot, for any thread.
    public var usedBytes: Int {
        // The head first: the tail, loaded later, is not below it. Both may move meanwhile, hence the upper bound.
        let head = storage.loadHead()
        return min(Int(storage.loadTail() - head), capacityBytes)
    }

    /// The records taken by the consumer so far, as of the end of its last call.
    public var consumedRecords: UInt64 { storage.load(.consumedRecords) }

    /// The claims taken to their end so far; abandoned ones are not among them.
    public var consumedClaims: UInt64 { storage.load(.consumedClaims) }

    /// The claims that were dropped without being published, as far as the consumer has come upon them.
    public var abandonedClaims: UInt64 { storage.load(.abandonedClaims) }

    /// The position of the claim at the head, if it is not published yet.
    var unpublishedHead: UInt64? {
        let head = storage.loadHead()
        guard storage.loadTail() > head, storage.publishedWord(at: head) == nil else { return nil }
        // The consumer may have gone on between the loads, and a later lap's word stand there. Then it is not stalled.
        return storage.loadHead() == head ? head : nil
    }
}
