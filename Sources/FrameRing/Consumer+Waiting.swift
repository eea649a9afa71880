extension FrameRing.Consumer {
    /// Says that this consumer is about to wait for the ring's `wake` hook.
    ///
    /// Over an empty ring the wake-up cannot be lost: either this sees the claim that a producer made, or that
    /// producer, publishing it, sees this wait. Where a claim is open, its publication and our look at it can miss
    /// each other by the time a store takes to become visible; closing that gap would cost each producer a full
    /// barrier per claim. So wait, but for `FrameRing.waitMillisecondsMaximum` at the most.
    ///
    /// The wait ends with the next call of `consume`.
    /// - Returns: true: wait now; false: there is something to consume, do not wait.
    /// - Complexity: O(1).
    public mutating func prepareToWait() -> Bool {
        isWaiting = true
        ring.storage.setWaiting()
        if ring.storage.loadTailAfterWaiting() == head || ring.storage.publishedWord(at: head) == nil {
            return true
        }
        stopWaiting()
        return false
    }

    /// Takes the wait back, after a time-out too, so that producers are not asked to wake one who is awake.
    @inlinable
    mutating func stopWaiting() {
        guard isWaiting else { return }
        isWaiting = false
        ring.storage.clearWaiting()
    }
}
