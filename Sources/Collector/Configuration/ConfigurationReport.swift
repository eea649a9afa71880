// `serve --print-configuration`: what holds, and where each value came from.

import FrameCodec
import Text

extension CollectorSettings {
    /// Lines of `setting = value   # origin`, which a configuration file takes as they are.
    package var reportText: String {
        let lines = report.map { ("\($0.setting.rawValue) = \($0.values.joined(separator: ", "))", $0.origin) }
        let width = lines.map(\.0.count).max() ?? 0
        return lines.map { line, origin in
            line + String(repeating: " ", count: width - line.count) + "  # " + origin + "\n"
        }.joined()
    }

    /// The same as one JSON object.
    package var reportJSON: String {
        let members = report.map { entry in
            let values = entry.values.map(jsonString).joined(separator: ", ")
            let value = entry.setting.isList ? "[\(values)]" : jsonString(entry.value)
            let key = jsonString(entry.setting.rawValue)
            return "  \(key): {\"value\": \(value), \"origin\": \(jsonString(entry.origin))}"
        }
        return "{\n" + members.joined(separator: ",\n") + "\n}\n"
    }
}
