// What every typed record has; the records themselves are generated from protocol/kinds.json.

import MetricKinds

/// A typed record of one kind.
public protocol MetricRecord: Sendable {
    static var kind: MetricKind { get }
    /// Microseconds since the Unix epoch, UTC.
    var time: Int64 { get set }
    var tags: Tags? { get set }
    var metadata: Metadata? { get set }
    /// Writes the fields that are present, in their order. Time, tags and metadata are written by the encoder.
    func write(to writer: inout RecordWriter) throws(RecordError)
}
