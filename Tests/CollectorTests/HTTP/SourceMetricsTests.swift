// What `/metrics` says of single sources, whatever they are called.

import FrameCodec
import Listeners
import Testing

@testable import Collector

@Suite struct SourceMetricsTests {
    @Test(arguments: [
        ("import", "import"), (#"a"b\c"#, #"a\"b\\c"#), ("a\nb", #"a\nb"#), ("\u{1B}[2J", "\u{FFFD}[2J"),
        ("größe", "größe"), ("x\"} 1\nspillway_forged 1", #"x\"} 1\nspillway_forged 1"#),
    ])
    func aLabelValueIsEscaped(_ text: String, _ value: String) {
        #expect(SourceMetrics.labelValue(text) == value)
    }
}
