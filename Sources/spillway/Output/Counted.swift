// A number with its noun.

import Collector

/// For example `1 segment`, `2 segments`, `1,000 batches`.
func counted(_ count: UInt64, _ noun: String) -> String {
    if count == 1 { return "1 \(noun)" }
    let plural = noun.hasSuffix("ch") ? noun + "es" : noun.hasSuffix("ry") ? noun.dropLast() + "ies" : noun + "s"
    return "\(grouped(count)) \(plural)"
}

func counted(_ count: some BinaryInteger, _ noun: String) -> String { counted(UInt64(clamping: count), noun) }
