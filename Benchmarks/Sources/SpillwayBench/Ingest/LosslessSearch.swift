// The highest rate that arrives whole, by halving the range between one that does and one that does not.

/// What a receiver can take from one sender.
struct Capacity {
    /// As fast as the sender can, whatever is lost.
    let flatOut: Trial
    /// The fastest trial without a loss; nil when even the slowest lost something.
    let lossless: Trial?

    /// Whether the sender, not the receiver, set the limit: it sent as fast as it could, and all of it arrived.
    var isBoundBySender: Bool { flatOut.isLossless }

    /// Steps of halving between half the flat-out rate and all of it, where the rate mostly lies; and between nothing and
    /// that half if all of those lost something.
    private static let steps = 4
    /// A sender that stays below this part of the rate that it was asked for has reached its own limit.
    private static let paceKept = 0.97

    /// - Parameter trial: sends at a rate in datagrams per second, 0 for flat out.
    init(_ trial: (Double) throws(IngestError) -> Trial) throws(IngestError) {
        flatOut = try trial(0)
        // Nothing faster can be asked for.
        guard !flatOut.isLossless else {
            lossless = flatOut
            return
        }
        var best: Trial?
        for range in [(low: flatOut.rate / 2, high: flatOut.rate), (low: 0, high: flatOut.rate / 2)] where best == nil {
            var (low, high) = range
            for _ in 0..<Self.steps {
                let rate = (low + high) / 2
                let tried = try trial(rate)
                if tried.isLossless, tried.rate >= rate * Self.paceKept {
                    low = rate
                    if tried.rate > best?.rate ?? 0 { best = tried }
                } else {
                    high = rate
                }
            }
        }
        lossless = best
    }
}
