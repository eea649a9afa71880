extension FrameRing.Consumer {
    /// Says that this consumer is about to wait for the ring's `wake` hook.
    ///
    /// Over an empty ring the wake-up cannot be lost: either this sees the claim that a producer made, or that
    /// producer, publishing it, sees this wait. Such a wait may last. Where a claim is open, its publication and our look
    /// at it can miss each other by the time a store takes to become visible; closing that gap would cost each producer a
    /// full barrier per claim. Such a wait is a short one.
    ///
    /// The wait ends with the next call of `consume`.
    /// - Returns: how long to wait at most, in milliseconds; nil: there is something to consume, do not wait.
    /// - Complexity: O(1).
    public mutating func prepareToWait() -> Int? {
        isWaiting = true
        ring.storage.setWaiting()
        if ring.storage.loadTailAfterWaiting() == head { return FrameRing.waitMillisecondsEmpty }
        if ring.storage.publishedWord(at: head) == nil { return FrameRing.waitMillisecondsOpenClaim }
        stopWaiting()
        return nil
    }

    /// Takes the wait back, after a time-out too, so that producers are not asked to wake one who is awake.
    @inlinable
    mutating func stopWaiting() {
        guard isWaiting else { return }
        isWaiting = false
        ring.storage.clearWaiting()
    }
}
