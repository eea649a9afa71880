// Protobuf, by its wire format: a tag of one byte (field numbers up to 15) or two, varints, fixed32, length-delimited
// bytes.
//
// One message each, and length-delimited ones behind each other in a stream or a datagram:
//
//     message Routing {                              message Batch {
//       optional int64 time = 1;  // us since 1970     int64 base_time = 1;
//       optional string query_id = 2;                  repeated string symbols = 2;
//       optional string query_text = 3;                repeated Row rows = 3;
//       optional float complexity_score = 4;         }
//       ... the fields in order, to number 14;       message Row {
//       map<string, string> tags = 15;                 sint64 time_delta = 1;  // to the row before
//       optional string metadata = 16;                 optional string query_id = 2;
//     }                                                ... as Routing, but query_text, model_selected, user_intent and
//                                                      domain_detected are uint32 indices into `symbols`
//                                                    }
//
// Fields are `optional`, since absent is not zero: a zero that is present takes its bytes, but time_delta and base_time
// are not optional, so that a zero there takes none. A batch has no source, sequence or checksum: that is to its
// advantage.

import FrameCodec
import MetricKinds

private func tagBytes(_ field: Int) -> Int { varintBytes(UInt64(field) << 3) }

/// Fields of a record from number 2 on; `text` sizes what stands behind the tag of a text.
private func fieldsBytes(_ record: AnyRecord, text: (String, MetricColumn) -> Int) -> Int {
    precondition(record.tags == nil && record.metadata == nil, "the reference records have neither")
    var bytes = 0
    for (position, (value, column)) in zip(record.values, record.kind.columns).enumerated() {
        guard let value else { continue }
        bytes += tagBytes(position + 2)
        switch value {
        case .text(let string): bytes += text(string, column)
        case .bool: bytes += 1
        case .int32(let number): bytes += varintBytes(UInt64(bitPattern: Int64(number)))
        case .int64(let number): bytes += varintBytes(UInt64(bitPattern: number))
        case .float32: bytes += 4
        case .float64: bytes += 8
        }
    }
    return bytes
}

private func delimited(_ bytes: Int) -> Int { varintBytes(UInt64(bytes)) + bytes }

/// A message for each record, with the length that a stream or a datagram of several needs.
struct ProtobufMessages: SizeForm {
    let name = "protobuf, a message each"
    private var bytes = 0

    mutating func reset() { bytes = 0 }

    mutating func add(_ record: AnyRecord, at index: Int) -> Int {
        let time = tagBytes(1) + varintBytes(UInt64(bitPattern: record.time))
        bytes += delimited(time + fieldsBytes(record) { text, _ in delimited(text.utf8.count) })
        return bytes
    }
}

/// A message with a table of its symbols.
struct ProtobufBatch: SizeForm {
    let name = "protobuf, batch with symbol table"
    private var bytes = 0
    private var symbols: [String: Int] = [:]
    private var lastTime: Int64?

    mutating func reset() {
        bytes = 0
        symbols.removeAll(keepingCapacity: true)
        lastTime = nil
    }

    mutating func add(_ record: AnyRecord, at index: Int) -> Int {
        if lastTime == nil { bytes += tagBytes(1) + varintBytes(UInt64(bitPattern: record.time)) }
        let delta = record.time - (lastTime ?? record.time)
        lastTime = record.time
        var row = delta == 0 ? 0 : tagBytes(1) + varintBytes(zigzag(delta))
        row += fieldsBytes(record) { text, column in
            guard column.coding == .dictionary else { return delimited(text.utf8.count) }
            if let symbol = symbols[text] { return varintBytes(UInt64(symbol)) }
            symbols[text] = symbols.count
            bytes += tagBytes(2) + delimited(text.utf8.count)
            return varintBytes(UInt64(symbols.count - 1))
        }
        bytes += tagBytes(3) + delimited(row)
        return bytes
    }
}
