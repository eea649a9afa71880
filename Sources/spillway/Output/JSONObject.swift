// JSON for scripts.

import FrameCodec
import Text

/// A small JSON object that is written member by member.
struct JSONObject {
    private var members = ""

    var text: String { "{\(members)}" }

    mutating func add(_ name: String, _ value: UInt64) { add(name, raw: "\(value)") }

    /// A number with so many decimals.
    mutating func add(_ name: String, _ value: Double, decimals: Int) { add(name, raw: decimal(value, decimals)) }

    mutating func add(_ name: String, _ value: Int64?) { add(name, raw: value.map { "\($0)" } ?? "null") }
    mutating func add(_ name: String, _ value: Bool) { add(name, raw: "\(value)") }
    mutating func add(_ name: String, _ value: String?) { add(name, raw: value.map(jsonString) ?? "null") }
    mutating func add(_ name: String, _ list: [String]) {
        add(name, raw: "[" + list.map(jsonString).joined(separator: ",") + "]")
    }
    mutating func add(_ name: String, _ list: [JSONObject]) {
        add(name, raw: "[" + list.map(\.text).joined(separator: ",") + "]")
    }
    mutating func add(_ name: String, _ object: JSONObject) { add(name, raw: object.text) }

    /// - Parameter raw: JSON already.
    mutating func add(_ name: String, raw: String) {
        if !members.isEmpty { members += "," }
        members += "\(jsonString(name)):\(raw)"
    }
}
