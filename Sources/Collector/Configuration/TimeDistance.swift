// How far from the present times may lie, as operators write it: 90d, 1h, off.

/// A length of time with its unit, or none at all. A bare number could be seconds as well as days: it is refused.
package struct TimeDistance: Equatable, Sendable {
    /// Nil for 'off'.
    package let microseconds: Int64?

    private static let seconds = 1...365_250 * 86_400

    /// What is allowed, for an error.
    package static let allowed =
        "'off' or a length of time with its unit, from \(Quantity.seconds.text(seconds.lowerBound)) to "
        + "\(Quantity.seconds.text(seconds.upperBound)), for example 1h or 90d"

    package init?(_ text: String) {
        if text.lowercased() == "off" {
            microseconds = nil
            return
        }
        guard Int(text) == nil, let value = Quantity.seconds.value(text), Self.seconds.contains(value) else {
            return nil
        }
        microseconds = Int64(value) * 1_000_000
    }
}
