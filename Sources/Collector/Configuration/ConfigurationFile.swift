// The configuration file: lines `key = value`, comments after `#`, nothing else. Values may be in double quotes. Lines end with LF,
// CR LF or CR, and a byte order mark may come first: the file is read by bytes.
//
// Limits: `bytesMax`. A key that is not a setting is an error with its line, so that a misspelling does not pass.

import Glibc
import LinuxSystem

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
        for (index, line) in textLines(text).enumerated() {
            let place = "\(path):\(index + 1)"
            let content = Self.trim(Self.withoutComment(line.utf8))
            guard !content.isEmpty else { continue }
            guard let equals = content.firstIndex(of: UInt8(ascii: "=")) else {
                throw ConfigurationError("\(place): a line is 'key = value'")
            }
            let key = String(Substring(Self.trim(content[..<equals])))
            guard let setting = Setting(rawValue: key) else { throw Self.unknown(key, place) }
            var value = Self.trim(content[content.index(after: equals)...])
            if value.count >= 2, value.first == Self.quote, value.last == Self.quote {
                value = value.dropFirst().dropLast()
            }
            guard setting.isList || entries[setting] == nil else {
                throw ConfigurationError("\(place): '\(key)' is given twice")
            }
            entries[setting, default: []].append(Entry(value: String(Substring(value)), line: index + 1))
        }
    }

    private static let quote = UInt8(ascii: "\"")

    private static func unknown(_ key: String, _ place: String) -> ConfigurationError {
        // A key that cannot be one may be a URL with a password in it.
        let isWord = key.allSatisfy { $0.isLetter || $0.isNumber || $0 == "-" || $0 == "_" }
        guard isWord, !key.isEmpty else {
            return ConfigurationError("\(place): what is before '=' is not a setting; see 'spillway serve --help'")
        }
        let known = Setting.allCases.map(\.rawValue)
        let advice = nearestName(key, of: known).map { "did you mean '\($0)'?" } ?? "see 'spillway serve --help'"
        return ConfigurationError("\(place): there is no setting '\(key.prefix(64))'; \(advice)")
    }

    /// A `#` inside of double quotes begins no comment: passwords have them.
    private static func withoutComment(_ line: Substring.UTF8View) -> Substring.UTF8View {
        var inQuotes = false
        for index in line.indices {
            if line[index] == quote { inQuotes.toggle() }
            if line[index] == UInt8(ascii: "#"), !inQuotes { return line[..<index] }
        }
        return line
    }

    private static func trim(_ text: Substring.UTF8View) -> Substring.UTF8View {
        let start = text.drop { $0 == 0x20 || $0 == 0x09 }
        guard let last = start.lastIndex(where: { $0 != 0x20 && $0 != 0x09 }) else { return start }
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
        if let fault = foreignText(bytes) { throw ConfigurationError("configuration file \(path): \(fault)") }
        guard let text = String(validating: bytes, as: UTF8.self), !bytes.contains(0) else {
            throw ConfigurationError("configuration file \(path): it is not text in UTF-8")
        }
        return (text, status.st_mode)
    }
}
