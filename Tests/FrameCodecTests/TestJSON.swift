// Reads the JSON of vectors, keeping numbers as they are written and the text of every value.

import MetricKinds

/// A JSON value of a file that is known to be valid.
struct TestJSON {
    enum Value {
        case object([(name: String, value: TestJSON)])
        case array([TestJSON])
        case string(String)
        /// As written.
        case number(String)
        case bool(Bool)
        case null
    }

    let value: Value
    /// The bytes that it was read from.
    let text: [UInt8]

    struct Fault: Error {
        let what: String
    }

    init(_ bytes: [UInt8]) throws {
        var reader = Reader(bytes: bytes)
        self = try reader.value()
    }

    subscript(name: String) -> TestJSON? {
        guard case .object(let members) = value else { return nil }
        return members.first { $0.name.utf8.elementsEqual(name.utf8) }?.value
    }

    func array() throws -> [TestJSON] {
        guard case .array(let values) = value else { throw Fault(what: "not an array: \(self)") }
        return values
    }

    func object() throws -> [(name: String, value: TestJSON)] {
        guard case .object(let members) = value else { throw Fault(what: "not an object: \(self)") }
        return members
    }

    func string() throws -> String {
        guard case .string(let text) = value else { throw Fault(what: "not a string: \(self)") }
        return text
    }

    func bool() throws -> Bool {
        guard case .bool(let flag) = value else { throw Fault(what: "not a bool: \(self)") }
        return flag
    }

    func number<Number: LosslessStringConvertible>(_ type: Number.Type = Number.self) throws -> Number {
        switch value {
        case .number(let text):
            if let number = Number(text) { return number }
        case .string("NaN"): if let number = Number("nan") { return number }
        case .string("Infinity"): if let number = Number("inf") { return number }
        case .string("-Infinity"): if let number = Number("-inf") { return number }
        default: break
        }
        throw Fault(what: "not a \(type): \(self)")
    }

    /// Bytes in hexadecimal, in an array of strings.
    func bytes() throws -> [UInt8] {
        let digits = try array().flatMap { Array(try $0.string().utf8) }.map { digit in
            digit <= UInt8(ascii: "9") ? digit - UInt8(ascii: "0") : digit - UInt8(ascii: "a") + 10
        }
        return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
    }

    private init(value: Value, text: [UInt8]) {
        self.value = value
        self.text = text
    }

    private struct Reader {
        let bytes: [UInt8]
        var position = 0

        mutating func peek() throws -> UInt8 {
            while position < bytes.count, bytes[position] <= 0x20 { position += 1 }
            guard position < bytes.count else { throw Fault(what: "the JSON ends early") }
            return bytes[position]
        }

        mutating func expect(_ byte: UInt8) throws {
            guard try peek() == byte else { throw Fault(what: "at \(position)") }
            position += 1
        }

        mutating func value() throws -> TestJSON {
            let first = try peek()
            let start = position
            let value: Value
            switch first {
            case UInt8(ascii: "{"):
                var members: [(name: String, value: TestJSON)] = []
                try list(UInt8(ascii: "}")) { reader in
                    _ = try reader.peek()
                    let name = try reader.string()
                    try reader.expect(UInt8(ascii: ":"))
                    members.append((name, try reader.value()))
                }
                value = .object(members)
            case UInt8(ascii: "["):
                var values: [TestJSON] = []
                try list(UInt8(ascii: "]")) { values.append(try $0.value()) }
                value = .array(values)
            case UInt8(ascii: "\""): value = .string(try string())
            default:
                let delimiters: [UInt8] = [0x20, 0x0A, UInt8(ascii: ","), UInt8(ascii: "]"), UInt8(ascii: "}")]
                while position < bytes.count, !delimiters.contains(bytes[position]) { position += 1 }
                let word = String(decoding: bytes[start..<position], as: UTF8.self)
                switch word {
                case "true": value = .bool(true)
                case "false": value = .bool(false)
                case "null": value = .null
                default: value = .number(word)
                }
            }
            return TestJSON(value: value, text: Array(bytes[start..<position]))
        }

        mutating func list(_ end: UInt8, _ item: (inout Reader) throws -> Void) throws {
            position += 1
            while try peek() != end {
                try item(&self)
                if try peek() == UInt8(ascii: ",") { position += 1 }
            }
            position += 1
        }

        mutating func string() throws -> String {
            position += 1
            var units: [UInt8] = []
            while bytes[position] != UInt8(ascii: "\"") {
                var byte = bytes[position]
                position += 1
                if byte == UInt8(ascii: "\\") {
                    byte = bytes[position]
                    position += 1
                    switch byte {
                    case UInt8(ascii: "n"): byte = 0x0A
                    case UInt8(ascii: "t"): byte = 0x09
                    case UInt8(ascii: "r"): byte = 0x0D
                    case UInt8(ascii: "b"): byte = 0x08
                    case UInt8(ascii: "f"): byte = 0x0C
                    case UInt8(ascii: "u"):
                        let digits = String(decoding: bytes[position..<position + 4], as: UTF8.self)
                        position += 4
                        guard let unit = UInt16(digits, radix: 16) else { throw Fault(what: "escape \(digits)") }
                        // Metadata, whose text is compared as it is, may have halves of pairs: they become U+FFFD.
                        units += Array(String(decoding: [unit], as: UTF16.self).utf8)
                        continue
                    default: break
                    }
                }
                units.append(byte)
            }
            position += 1
            return String(decoding: units, as: UTF8.self)
        }
    }
}

// MARK: Records as JSON lines

extension CollectedRecord {
    init(_ json: TestJSON) throws {
        let members = try json.object()
        guard let name = try json["kind"]?.string(), let kind = MetricKind(name: name), let time = json["time"] else {
            throw TestJSON.Fault(what: "no kind or time")
        }
        self.init(kind: kind, time: try microseconds(try time.string()))
        let names = ["kind", "time"] + kind.columns.map(\.name) + ["tags", "metadata"]
        let places = members.compactMap { member in names.firstIndex(of: member.name) }
        guard places.count == members.count, places == places.sorted() else {
            throw TestJSON.Fault(what: "unknown fields or wrong order: \(members.map(\.name))")
        }
        values = try kind.columns.map { column in
            guard let value = json[column.name] else { return nil }
            return switch column.type {
            case .text: .text(Array(try value.string().utf8))
            case .bool: .bool(try value.bool())
            case .int32: .int32(try value.number())
            case .int64: .int64(try value.number())
            case .float32: .float32(try value.number(Float.self).bitPattern)
            case .float64: .float64(try value.number(Double.self).bitPattern)
            }
        }
        tags = try json["tags"]?.object().flatMap { [Array($0.name.utf8), Array(try $0.value.string().utf8)] }
        metadata = json["metadata"]?.text
    }
}

/// The time of a text such as `2026-11-22T20:05:00.123456Z`, whose year may have a sign and more digits.
private func microseconds(_ text: String) throws -> Int64 {
    let parts = text.split(separator: "T")
    let sign: Int64 = text.hasPrefix("-") ? -1 : 1
    let date = parts[0].split(separator: "-").compactMap { Int64($0.drop { $0 == "+" }) }
    let clock = parts[1].dropLast().split(whereSeparator: { $0 == ":" || $0 == "." }).compactMap { Int64($0) }
    guard date.count == 3, clock.count == 4, text.hasSuffix("Z"), parts[1].count == 16 else {
        throw TestJSON.Fault(what: "time \(text)")
    }
    // Days by counting from 1 March of year 0, so that leap days come last.
    let year = sign * date[0] - (date[1] <= 2 ? 1 : 0)
    let month = (date[1] + 9) % 12
    func floor(_ value: Int64, _ divisor: Int64) -> Int64 { (value - (value < 0 ? divisor - 1 : 0)) / divisor }
    let days = 365 * year + floor(year, 4) - floor(year, 100) + floor(year, 400) + (153 * month + 2) / 5 + date[2] - 1
    let seconds = (days - 719_468) * 86_400 + clock[0] * 3_600 + clock[1] * 60 + clock[2]
    // The earliest times are reached from below only, so the last step may pass the edge on its way.
    return seconds &* 1_000_000 &+ clock[3]
}
