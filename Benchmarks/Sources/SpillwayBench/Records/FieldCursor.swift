// Hands out the values of a record in the order of its kind's fields, with the types that typed records want.

import FrameCodec

/// Walks the fields of a record.
struct FieldCursor {
    private let values: [FieldValue?]
    private var next = 0

    init(_ record: AnyRecord) { values = record.values }

    private mutating func take() -> FieldValue? {
        next += 1
        return values[next - 1]
    }

    mutating func text() -> String? {
        guard let value = take() else { return nil }
        guard case .text(let text) = value else { preconditionFailure("not a text") }
        return text
    }

    mutating func bool() -> Bool? {
        guard let value = take() else { return nil }
        guard case .bool(let bool) = value else { preconditionFailure("not a bool") }
        return bool
    }

    mutating func i32() -> Int32? {
        guard let value = take() else { return nil }
        guard case .int32(let number) = value else { preconditionFailure("not an i32") }
        return number
    }

    mutating func i64() -> Int64? {
        guard let value = take() else { return nil }
        guard case .int64(let number) = value else { preconditionFailure("not an i64") }
        return number
    }

    mutating func f32() -> Float? {
        guard let value = take() else { return nil }
        guard case .float32(let number) = value else { preconditionFailure("not an f32") }
        return number
    }

    mutating func f64() -> Double? {
        guard let value = take() else { return nil }
        guard case .float64(let number) = value else { preconditionFailure("not an f64") }
        return number
    }
}
