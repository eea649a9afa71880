// What `/metrics` says of single sources.
//
// Limit: the first `sourcesMax` sources that got a name. There may be ten thousand sources, and each label value is a series
// of its own: a monitoring system must not pay for what any sender can make up.

import Accounting
import FrameCodec
import Listeners
import Text

/// Samples with the label `source`.
struct SourceMetrics {
    static let sourcesMax = 1_000

    private let sources: [AccountingSnapshot.Source]

    init(_ accounting: AccountingSnapshot) {
        sources = accounting.sources.filter { $0.name.map { $0.number < Self.sourcesMax } ?? false }
    }

    /// With the names, so that a changed name does not begin another series of the numbers.
    var names: [(labels: String, value: String)] {
        sources.map { source in
            let name = Self.labelValue(source.name?.text ?? "")
            return ("{source=\"\(hexadecimal(source.source))\",name=\"\(name)\"}", "1")
        }
    }

    var recordsReceived: [(labels: String, value: String)] {
        sources.map { ("{source=\"\(hexadecimal($0.source))\"}", "\($0.counts[.recordsReceived])") }
    }

    /// A text as the format writes a label's value: a backslash, a quote and a newline are escaped. Other control characters
    /// are replaced, for the sake of terminals that show them.
    static func labelValue(_ text: String) -> String {
        var value = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": value += "\\\\"
            case "\"": value += "\\\""
            case "\n": value += "\\n"
            default: value.unicodeScalars.append(scalar.isShownAsItIs ? scalar : "\u{FFFD}")
            }
        }
        return value
    }
}
