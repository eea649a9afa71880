// How large records become in a form: one at a time, together in a message, or as many as fit in a datagram.

import FrameCodec

/// A form of records on the wire, by its exact sizes. Values may be reset and used again.
protocol SizeForm {
    var name: String { get }
    /// Forgets the message in work.
    mutating func reset()
    /// Adds a record to the message in work.
    ///
    /// - Returns: the bytes of the message as it is now.
    mutating func add(_ record: AnyRecord, at index: Int) -> Int
    /// Sizes of the parts of each record that need no other one; nil where a record is whole or not there.
    var lines: [[Int]]? { get }
}

extension SizeForm {
    var lines: [[Int]]? { nil }
}

/// Records packed into messages.
struct Packing {
    var bytes = 0
    var messages = 0
    var records = 0
    var bytesPerRecord: Double { Double(bytes) / Double(records) }
    var recordsPerMessage: Double { Double(records) / Double(messages) }

    /// - Parameters:
    ///   - bytesMax: a message ends before it would be larger.
    ///   - recordsMax: a message ends when it has so many.
    /// Nil when a record alone is larger than a message.
    init?<Form: SizeForm>(_ form: Form, _ all: [AnyRecord], bytesMax: Int = .max, recordsMax: Int = .max) {
        var form = form
        form.reset()
        var size = 0
        var count = 0
        func closed(_ packing: inout Packing) {
            guard count > 0 else { return }
            packing.bytes += size
            packing.messages += 1
            packing.records += count
            count = 0
        }
        for (index, record) in all.enumerated() {
            var larger = count < recordsMax ? form.add(record, at: index) : .max
            if larger > bytesMax || count == recordsMax {
                closed(&self)
                form.reset()
                larger = form.add(record, at: index)
                guard larger <= bytesMax else { return nil }
            }
            size = larger
            count += 1
        }
        closed(&self)
    }

    /// Lines packed as they come, those of a record apart where it falls so. Nil when a line alone is larger than a message.
    init?(lines: [[Int]], bytesMax: Int) {
        var size = 0
        for line in lines.joined() {
            guard line <= bytesMax else { return nil }
            if messages == 0 || size + line > bytesMax {
                messages += 1
                size = 0
            }
            size += line
            bytes += line
        }
        records = lines.count
    }
}

/// Bytes of a varint of seven bits a byte, as protobuf and Avro have it too.
func varintBytes(_ value: UInt64) -> Int { max(1, (64 - value.leadingZeroBitCount + 6) / 7) }

func zigzag(_ value: Int64) -> UInt64 { UInt64(bitPattern: (value << 1) ^ (value >> 63)) }
