// In which order the rows of an answer come, where not newest first.

import MetricKinds

/// A name and a direction, as an operator gives them: `total_routing_time_ms`, `count:desc`, `time asc`.
public struct QueryOrder: Equatable, Sendable {
    /// Of a field, a bucket or a measure.
    public let name: String
    public let isDescending: Bool

    private static let endings: [(text: String, isDescending: Bool)] = [
        (":asc", false), (":desc", true), (" asc", false), (" desc", true),
    ]

    /// Ascending unless the text says otherwise. A tag's key may hold a colon: only the four endings count.
    public init(_ text: String) {
        let ending = Self.endings.first { text.lowercased().hasSuffix($0.text) }
        name = ending.map { String(text.dropLast($0.text.count)) } ?? text
        isDescending = ending?.isDescending ?? false
    }

    /// Rows without the value come last either way.
    func sql(_ expression: String) -> String { "\(expression)\(isDescending ? " DESC" : "") NULLS LAST" }
}
