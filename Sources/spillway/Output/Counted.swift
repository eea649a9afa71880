// A number with its noun.

import Collector
import Text

/// For example `1 segment`, `2 segments`, `1,000 batches`.
///
/// - Parameter isGrouped: false leaves the digits to programs that read the line.
func counted(_ count: UInt64, _ noun: String, isGrouped: Bool = true) -> String {
    if count == 1 { return "1 \(noun)" }
    let plural = noun.hasSuffix("ch") ? noun + "es" : noun.hasSuffix("ry") ? noun.dropLast() + "ies" : noun + "s"
    return "\(isGrouped ? grouped(count) : "\(count)") \(plural)"
}

func counted(_ count: some BinaryInteger, _ noun: String, isGrouped: Bool = true) -> String {
    counted(UInt64(clamping: count), noun, isGrouped: isGrouped)
}
