// Generated from protocol/kinds.json by `swift run kinds-generator`: change it there.
// swift-format-ignore-file

import MetricKinds

/// One named value. Every field may be absent; see `MetricKind.point` for the table.
public struct PointRecord: MetricRecord, Equatable {
    public static var kind: MetricKind { .point }

    /// Microseconds since the Unix epoch, UTC.
    public var time: Int64
    /// The kind of record that the value belongs to. Known values: routing, memory, attention, compute, execution, agent_evolution, rag, system.
    public var metricType: String?
    /// Name of the value.
    public var metricName: String?
    /// The value as a number.
    public var value: Double?
    /// The value as a text.
    public var valueText: String?
    /// How important it is. Known values: debug, info, warning, error, critical.
    public var level: String?
    public var tags: Tags?
    public var metadata: Metadata?

    /// A record with only its time set, or with the fields given.
    public init(
        time: Int64,
        metricType: String? = nil,
        metricName: String? = nil,
        value: Double? = nil,
        valueText: String? = nil,
        level: String? = nil,
        tags: Tags? = nil,
        metadata: Metadata? = nil
    ) {
        self.time = time
        self.metricType = metricType
        self.metricName = metricName
        self.value = value
        self.valueText = valueText
        self.level = level
        self.tags = tags
        self.metadata = metadata
    }

    @inlinable
    public func write(to writer: inout RecordWriter) throws(RecordError) {
        var fields = writer.beginFields()
        defer { writer.fields = fields }
        if let metricType {
            try writer.text(metricType, bit: 2, &fields)
        }
        if let metricName {
            try writer.text(metricName, bit: 3, &fields)
        }
        if let value {
            fields.float64(value, bit: 4)
        }
        if let valueText {
            try writer.text(valueText, bit: 5, &fields)
        }
        if let level {
            try writer.text(level, bit: 6, &fields)
        }
    }
}
