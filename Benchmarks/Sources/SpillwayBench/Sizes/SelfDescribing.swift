// MessagePack and Avro, by their specifications.

import FrameCodec
import MetricKinds

/// MessagePack: a map with the fields' names, without those that are absent, or an array with nil for them.
struct MessagePack: SizeForm {
    let asMap: Bool
    var name: String { asMap ? "MessagePack, map" : "MessagePack, array" }
    private var bytes = 0

    init(asMap: Bool) { self.asMap = asMap }

    mutating func reset() { bytes = 0 }

    mutating func add(_ record: AnyRecord, at index: Int) -> Int {
        precondition(record.tags == nil && record.metadata == nil, "the reference records have neither")
        // Time as an integer of microseconds: eight bytes and a type.
        var size = 9 + (asMap ? Self.text("time") : 0)
        var entries = 1
        for (value, column) in zip(record.values, record.kind.columns) {
            guard let value else {
                if !asMap { (size, entries) = (size + 1, entries + 1) }
                continue
            }
            entries += 1
            if asMap { size += Self.text(column.name) }
            size += Self.bytes(value)
        }
        // Tags and metadata: nil in the array, left out of the map.
        if !asMap { (size, entries) = (size + 2, entries + 2) }
        bytes += size + (entries < 16 ? 1 : 3)
        return bytes
    }

    private static func bytes(_ value: FieldValue) -> Int {
        switch value {
        case .text(let string): text(string)
        case .bool: 1
        case .int32(let number): integer(Int64(number))
        case .int64(let number): integer(number)
        case .float32: 5
        case .float64: 9
        }
    }

    private static func text(_ string: String) -> Int {
        let count = string.utf8.count
        return count + (count < 32 ? 1 : count < 256 ? 2 : count < 65_536 ? 3 : 5)
    }

    private static func integer(_ value: Int64) -> Int {
        switch value {
        case -32...127: 1
        case -128...255: 2
        case -32_768...65_535: 3
        case -2_147_483_648...4_294_967_295: 5
        default: 9
        }
    }
}

/// Avro, the binary encoding of a record whose fields are unions with null; the schema and the container's blocks are
/// left out, which is to its advantage.
struct Avro: SizeForm {
    let name = "Avro, schema known"
    private var bytes = 0

    mutating func reset() { bytes = 0 }

    mutating func add(_ record: AnyRecord, at index: Int) -> Int {
        precondition(record.tags == nil && record.metadata == nil, "the reference records have neither")
        // One byte for the branch of each union, those of tags and metadata too.
        bytes += varintBytes(zigzag(record.time)) + record.values.count + 2
        for value in record.values {
            switch value {
            case nil: break
            case .text(let string): bytes += varintBytes(zigzag(Int64(string.utf8.count))) + string.utf8.count
            case .bool: bytes += 1
            case .int32(let number): bytes += varintBytes(zigzag(Int64(number)))
            case .int64(let number): bytes += varintBytes(zigzag(number))
            case .float32: bytes += 4
            case .float64: bytes += 8
            }
        }
        return bytes
    }
}
