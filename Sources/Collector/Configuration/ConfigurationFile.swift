// The configuration file: lines `key = value`, comments behind `#`, nothing else. Values may stand in double quotes.
//
// Limits: `bytesMax`. A key that is not a setting is an error with its line, so that a slip of the pen does not pass.

import Glibc

/// The settings of a file, each with its line.
struct ConfigurationFile {
    struct Entry {
        let value: String
        let line: Int
    }

    static let bytesMax = 1 << 20

    let path: String
    private(set) var entries: [Setting: [Entry]] = [:]
    /// Whether others than its owner may read or write it.
    private(set) var isForOthers = false

    init(path: String) throws(ConfigurationError) {
        let (text, mode) = try Self.read(path)
        try self.init(path: path, text: text)
        isForOthers = mode & 0o077 != 0
    }

    init(path: String, text: String) throws(ConfigurationError) {
        self.path = path
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        for (index, line) in lines.enumerated() {
            let place = "\(path):\(index + 1)"
            let content = Self.trim(Self.withoutComment(line))
            guard !content.isEmpty else { continue }
            guard let equals = content.firstIndex(of: "=") else {
                throw ConfigurationError("\(place): a line is 'key = value'")
            }
            let key = Self.trim(content[..<equals])
            guard let setting = Setting(rawValue: String(key)) else {
                // A key that cannot be one may be a URL with a password in it.
                let isWord = key.allSatisfy { $0.isLetter || $0.isNumber || $0 == "-" || $0 == "_" }
                let name = isWord ? "there is no setting '\(key)'" : "what stands before '=' is no setting"
                throw ConfigurationError("\(place): \(name); see 'spillway serve --help'")
            }
            var value = Self.trim(content[content.index(after: equals)...])
            if value.count >= 2, value.first == "\"", value.last == "\"" { value = value.dropFirst().dropLast() }
            guard setting.isList || entries[setting] == nil else {
                throw ConfigurationError("\(place): '\(key)' stands there twice")
            }
            entries[setting, default: []].append(Entry(value: String(value), line: index + 1))
        }
    }

    /// A `#` inside of double quotes begins no comment: passwords have them.
    private static func withoutComment(_ line: Substring) -> Substring {
        var inQuotes = false
        for index in line.indices {
            if line[index] == "\"" { inQuotes.toggle() }
            if line[index] == "#", !inQuotes { return line[..<index] }
        }
        return line
    }

    private static func trim(_ text: Substring) -> Substring {
        let start = text.drop { $0 == " " || $0 == "\t" || $0 == "\r" }
        guard let last = start.lastIndex(where: { $0 != " " && $0 != "\t" && $0 != "\r" }) else { return "" }
        return start[...last]
    }

    private static func read(_ path: String) throws(ConfigurationError) -> (text: String, mode: mode_t) {
        func refuse(_ call: String) -> ConfigurationError {
            ConfigurationError("configuration file \(path): \(call): \(String(cString: strerror(errno)))")
        }
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw refuse("open") }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw refuse("stat") }
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = Glibc.read(descriptor, &piece, piece.count)
            if count == 0 { break }
            if count < 0 {
                if errno == EINTR { continue }
                throw refuse("read")
            }
            bytes += piece[..<count]
            guard bytes.count <= bytesMax else {
                throw ConfigurationError("configuration file \(path): it has over \(bytesMax) bytes")
            }
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw ConfigurationError("configuration file \(path): it is not UTF-8")
        }
        return (text, status.st_mode)
    }
}
