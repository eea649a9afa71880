// The same data for a StatsD client in C: numbers, and texts that end with a zero, made before anything is timed.

import CStatsD
import FrameCodec
import Glibc

/// Records as the C client takes them. Owns their texts.
final class StatsDRecords {
    private(set) var records: [statsd_record] = []
    /// Each text once, as a program that holds them would have it.
    private var texts: [String: UnsafeMutablePointer<CChar>] = [:]

    /// Texts of a routing record that go along as tags. Its id and its query would make a series each.
    private static let routingTags: Set = ["model_selected", "user_intent", "domain_detected"]

    init(_ source: [AnyRecord]) {
        records.reserveCapacity(source.count)
        for record in source {
            switch record.kind {
            case .point: append(point: record)
            default: append(record)
            }
        }
    }

    deinit { for text in texts.values { free(text) } }

    var linesPerRecord: Double {
        Double(records.reduce(0) { $0 + $1.number_count }) / Double(max(records.count, 1))
    }

    /// A line for each number.
    private func append(_ record: AnyRecord) {
        var made = statsd_record()
        made.prefix = UnsafePointer(text(record.kind.name))
        for (value, column) in zip(record.values, record.kind.columns) {
            let type = column.unit == "milliseconds" ? "ms" : "g"
            switch value {
            case .text(let value):
                if Self.routingTags.contains(column.name) { add(column.name, value, to: &made) }
            case .int32(let number): add(column.name, type, Double(number), isWhole: true, to: &made)
            case .float32(let number): add(column.name, type, Double(number), isWhole: false, to: &made)
            default: break
            }
        }
        records.append(made)
    }

    /// One line, `metric_type.metric_name:value|g|#level:info`.
    private func append(point record: AnyRecord) {
        let typed = PointRecord(values: record)
        var made = statsd_record()
        made.prefix = UnsafePointer(text(typed.metricType ?? "point"))
        add(typed.metricName ?? "", "g", typed.value ?? 0, isWhole: false, to: &made)
        if let value = typed.level { add("level", value, to: &made) }
        if let value = typed.valueText { add("text", value, to: &made) }
        records.append(made)
    }

    private func add(
        _ name: String, _ type: String, _ value: Double, isWhole: Bool, to record: inout statsd_record
    ) {
        precondition(record.number_count < STATSD_NUMBERS_MAX)
        let number = statsd_number(
            name: UnsafePointer(text(name)), type: UnsafePointer(text(type)), value: value, is_whole: isWhole)
        Self.set(&record.numbers, Int(record.number_count), to: number)
        record.number_count += 1
    }

    private func add(_ name: String, _ value: String, to record: inout statsd_record) {
        precondition(record.tag_count < STATSD_TAGS_MAX)
        let tag = statsd_tag(name: UnsafePointer(text(name)), value: UnsafePointer(text(value)))
        Self.set(&record.tags, Int(record.tag_count), to: tag)
        record.tag_count += 1
    }

    /// Arrays of C are tuples here. The caller has checked the index.
    private static func set<Elements, Element>(_ elements: inout Elements, _ index: Int, to element: Element) {
        withUnsafeMutableBytes(of: &elements) {
            $0.storeBytes(of: element, toByteOffset: index * MemoryLayout<Element>.stride, as: Element.self)
        }
    }

    private func text(_ text: String) -> UnsafeMutablePointer<CChar>? {
        // With what stands between them, the tags of a record and the parts of a line fit.
        precondition(text.utf8.count <= Int(STATSD_TEXT_BYTES_MAX) / (2 * Int(STATSD_TAGS_MAX)) - 2)
        if let known = texts[text] { return known }
        let made = strdup(text)
        texts[text] = made
        return made
    }
}
