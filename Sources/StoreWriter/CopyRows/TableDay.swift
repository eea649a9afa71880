// A chunk of the usual length.

import MetricKinds
import Text

/// A table and a day of UTC: one chunk, of the usual length.
public struct TableDay: Hashable, Sendable {
    package let kind: MetricKind
    package let day: Int64

    package init(_ kind: MetricKind, at time: Int64) {
        self.kind = kind
        day = UTCDay(microseconds: time).number
    }

    package init(_ kind: MetricKind, day: Int64) { (self.kind, self.day) = (kind, day) }
}
