// What a query may name. Identifiers in SQL come from `MetricKinds` alone; a tag's key is a parameter.

import MetricKinds

extension MetricKind {
    /// The kind that a query names.
    public static func named(_ name: String) throws(QueryError) -> MetricKind {
        guard let kind = MetricKind(name: name) else { throw .unknownKind(name) }
        return kind
    }
}

/// A field of a kind, or one of its tags.
public struct QueryField: Equatable, Sendable {
    public enum Source: Equatable, Sendable {
        /// The position in the kind's `columns`.
        case column(Int)
        case tags
        case metadata
        case tag(key: String)
    }

    public let kind: MetricKind
    public let source: Source
    /// The column's name, or `tags.KEY`.
    public let name: String

    /// - Parameter name: a column of the kind, `tags`, `metadata`, `tags.KEY` or `tags."KEY"`, which may be any text, with `""` for
    ///   a quote.
    public init(_ name: String, of kind: MetricKind) throws(QueryError) {
        self.kind = kind
        self.name = name
        let tagPrefix = "tags."
        if let index = kind.columnIndex(named: name) {
            source = .column(index)
        } else if name == "tags" {
            source = .tags
        } else if name == "metadata" {
            source = .metadata
        } else if name.utf8.starts(with: tagPrefix.utf8) {
            guard name != tagPrefix else { throw .emptyTagKey }
            let key = Self.key(name.utf8.dropFirst(tagPrefix.utf8.count))
            guard let key, !key.utf8.contains(0) else { throw .unknownField(name, kind: kind) }
            source = .tag(key: key)
        } else {
            throw name == "time" ? .timeIsNoField : .unknownField(name, kind: kind)
        }
    }

    private static let quote = UInt8(ascii: "\"")

    /// A tag's key as it is written or in quotes; nil where the closing quote is not at its end.
    private static func key(_ text: Substring.UTF8View) -> String? {
        guard text.first == quote else { return String(decoding: text, as: UTF8.self) }
        guard quotedEnd(text) == text.endIndex else { return nil }
        let inner = String(decoding: text.dropFirst().dropLast(), as: UTF8.self)
        return inner.replacing("\"\"", with: "\"")
    }

    /// The end of the quoted text that `text` begins with; nil where it has none.
    private static func quotedEnd(_ text: Substring.UTF8View) -> String.Index? {
        var isOpen = false
        for index in text.indices {
            if text[index] == quote {
                isOpen.toggle()
            } else if !isOpen {
                return index
            }
        }
        return isOpen ? nil : text.endIndex
    }

    /// The end of the name at the beginning of a text, which goes up to the first of `signs` that is not in quotes.
    static func nameEnd(_ text: Substring, before signs: String) -> String.Index? {
        let prefix = "tags.\""
        var rest = text.utf8
        if rest.starts(with: prefix.utf8) {
            guard let end = quotedEnd(text.utf8.dropFirst(prefix.utf8.count - 1)) else { return nil }
            rest = text.utf8[end...]
        }
        return rest.firstIndex { signs.utf8.contains($0) }
    }

    /// The names in a list with commas. A comma in quotes is of a key.
    public static func names(_ list: String) -> [String] {
        var names: [String] = []
        var rest = list[...]
        while let end = nameEnd(rest, before: ",") {
            names.append(String(rest[..<end]))
            rest = rest[rest.utf8.index(after: end)...]
        }
        return names + [String(rest)]
    }

    /// Every field of the kind, tags and metadata in their order in the table.
    public static func all(of kind: MetricKind) -> [QueryField] {
        let columns = kind.columns.enumerated().map { QueryField(kind, .column($0), $1.name) }
        return columns + [QueryField(kind, .tags, "tags"), QueryField(kind, .metadata, "metadata")]
    }

    private init(_ kind: MetricKind, _ source: Source, _ name: String) {
        (self.kind, self.source, self.name) = (kind, source, name)
    }

    /// The type of its values; nil for the JSON ones.
    public var type: ColumnType? {
        switch source {
        case .column(let index): kind.columns[index].type
        case .tag: .text
        case .tags, .metadata: nil
        }
    }

    /// The value in SQL, of a row `r`.
    func sql(_ parameters: inout SQLParameters) -> String {
        switch source {
        case .column(let index): "r.\(kind.columns[index].name)"
        case .tags: "r.tags"
        case .metadata: "r.metadata"
        case .tag(let key): "(r.tags ->> \(parameters.bind(key, as: "text")))"
        }
    }
}

/// The values of a statement, collected while its text is written.
struct SQLParameters {
    private(set) var values: [String?] = []

    /// - Parameter type: a type's name in SQL, never from outside.
    /// - Returns: what stands for the value in the text.
    mutating func bind(_ value: String, as type: String) -> String {
        values.append(value)
        return "$\(values.count)::\(type)"
    }
}
