// The Swift that is generated: one function a file.

/// A generated file: its path below the package's folder, and its text.
struct GeneratedFile {
    let path: String
    let text: String
}

let generatedNotice = """
    // Generated from protocol/kinds.json by `swift run kinds-generator`: change it there.
    // swift-format-ignore-file


    """

func quoted(_ text: String) -> String { "\"\(text)\"" }

/// `MetricKind`: ids, names, tables, versions, columns.
func metricKindFile(_ file: KindsFile) -> GeneratedFile {
    var out = generatedNotice
    out += "/// The kinds of records. The raw value is the kind's id on the wire.\n"
    out += "public enum MetricKind: UInt8, Sendable, CaseIterable {\n"
    for kind in file.kinds {
        out += "    /// \(kind.about)\n    case \(kind.caseName) = \(kind.id)\n"
    }
    func property(_ about: String, _ name: String, _ type: String, _ value: (KindsFile.Kind) -> String) {
        out += "\n    /// \(about)\n    public var \(name): \(type) {\n        switch self {\n"
        for kind in file.kinds { out += "        case .\(kind.caseName): \(value(kind))\n" }
        out += "        }\n    }\n"
    }
    property("The kind's name in JSON.", "name", "String") { quoted($0.name) }
    property("The kind's table, without its schema.", "tableName", "String") { quoted($0.table) }
    property("What a record of the kind says.", "about", "String") { quoted($0.about) }
    out += "\n    /// The version of the kind's fields that this program writes.\n    @inlinable\n"
    out += "    public var version: UInt8 {\n        switch self {\n"
    for kind in file.kinds { out += "        case .\(kind.caseName): \(kind.version)\n" }
    out += "        }\n    }\n"
    out +=
        "\n    /// Presence bits of a record that was written with this version, or nil for a later version.\n    @inlinable\n"
    out += "    public func presenceBits(version: UInt8) -> UInt8? {\n        switch (self, version) {\n"
    for kind in file.kinds {
        for version in 1...kind.version {
            out += "        case (.\(kind.caseName), \(version)): \(kind.presenceBits(version: version))\n"
        }
    }
    out += "        default: nil\n        }\n    }\n"
    out +=
        "\n    /// Presence bits of a record of the present version.\n    @inlinable\n    public var presenceBits: UInt8 {\n"
    out += "        switch self {\n"
    for kind in file.kinds { out += "        case .\(kind.caseName): \(kind.presenceBits)\n" }
    out += "        }\n    }\n"
    out += "\n    /// How many fields the kind has; its table has time, tags and metadata besides.\n    @inlinable\n"
    out += "    public var fieldCount: Int {\n        switch self {\n"
    for kind in file.kinds { out += "        case .\(kind.caseName): \(kind.fields.count)\n" }
    out += "        }\n    }\n"
    out +=
        "\n    /// The kind's fields in their order on the wire and in the table.\n    public var columns: [MetricColumn] {\n"
    out += "        switch self {\n"
    for kind in file.kinds { out += "        case .\(kind.caseName): Self.\(kind.caseName)Columns\n" }
    out += "        }\n    }\n"
    for kind in file.kinds {
        out += "\n    private static let \(kind.caseName)Columns: [MetricColumn] = [\n"
        for (index, field) in kind.fields.enumerated() {
            let type = KindsFile.types[field.type] ?? field.type
            out += "        MetricColumn(\n            name: \(quoted(field.name)), type: .\(type)"
            out += ", coding: \(field.coding.map { "." + $0 } ?? "nil"), unit: \(field.unit.map(quoted) ?? "nil"),\n"
            out += "            knownValues: [\((field.values ?? []).map(quoted).joined(separator: ", "))],\n"
            out += "            about: \(quoted(field.about)),\n"
            out += "            since: \(field.since), presenceBit: \(kind.presenceBit(of: index))),\n"
        }
        out += "    ]\n"
    }
    out += "}\n"
    return GeneratedFile(path: "Sources/MetricKinds/Generated/MetricKind.swift", text: out)
}

/// The straight-line reading of each kind's fields: no table is consulted for a record.
func recordFieldsFile(_ file: KindsFile) -> GeneratedFile {
    var out = generatedNotice + "import MetricKinds\n\nextension RecordReader {\n"
    out += "    /// Reads the fields of one record of `kind` and hands each to the visitor, absent ones too.\n"
    out += "    @inlinable @inline(__always)\n"
    out += "    mutating func readFields<Visitor: FrameVisitor & ~Copyable>(\n"
    out += "        of kind: MetricKind, _ visitor: inout Visitor\n    ) throws(FrameError) {\n        switch kind {\n"
    for kind in file.kinds { out += "        case .\(kind.caseName): try \(kind.caseName)Fields(&visitor)\n" }
    out += "        }\n    }\n"
    for kind in file.kinds {
        out += "\n    @inlinable\n    mutating func \(kind.caseName)Fields<Visitor: FrameVisitor & ~Copyable>(\n"
        out += "        _ visitor: inout Visitor\n    ) throws(FrameError) {\n"
        for (index, field) in kind.fields.enumerated() {
            let bit = kind.presenceBit(of: index)
            let place = "column: \(index), bit: \(bit)"
            switch (field.type, field.coding) {
            case ("text", "prefix"):
                out += "        try prefixedText(\(place), slot: \(kind.prefixSlot(of: index)), &visitor)\n"
            case ("text", _): out += "        try text(\(place), &visitor)\n"
            case ("bool", _): out += "        bool(\(place), &visitor)\n"
            default:
                out += "        try \(KindsFile.types[field.type] ?? field.type)(\(place), &visitor)\n"
            }
        }
        out += "    }\n"
    }
    out += "}\n\nextension MetricKind {\n"
    out += "    /// How many texts with a shared prefix any kind has: the size of the reader's memory for them.\n"
    let slots = file.kinds.map { kind in kind.fields.filter { $0.coding == "prefix" }.count }.max() ?? 0
    out += "    @inlinable static var prefixSlotsMax: Int { \(slots) }\n\n"
    out += "    /// The bits of the presence bitmap that are values of bools.\n    @inlinable\n"
    out += "    var boolValueBits: UInt64 {\n        switch self {\n"
    for kind in file.kinds {
        let bits = kind.fields.indices.filter { kind.fields[$0].type == "bool" }.map { kind.presenceBit(of: $0) + 1 }
        let terms = bits.map { "1 << \($0)" }.joined(separator: " | ")
        out += "        case .\(kind.caseName): \(terms.isEmpty ? "0" : terms)\n"
    }
    out += "        }\n    }\n}\n"
    return GeneratedFile(path: "Sources/FrameCodec/Generated/RecordReader+Fields.swift", text: out)
}

/// The typed record of one kind, and how it is written.
func recordFile(_ kind: KindsFile.Kind) -> GeneratedFile {
    let name = kind.recordName
    var out = generatedNotice + "import MetricKinds\n\n"
    out += "/// \(kind.about) Every field may be absent; see `MetricKind.\(kind.caseName)` for the table.\n"
    out += "public struct \(name): MetricRecord, Equatable {\n"
    out += "    public static var kind: MetricKind { .\(kind.caseName) }\n\n"
    out += "    /// Microseconds since the Unix epoch, UTC.\n    public var time: Int64\n"
    for field in kind.fields {
        var about = [field.about + "."]
        if let unit = field.unit { about.append("In \(unit).") }
        if let values = field.values { about.append("Known values: \(values.joined(separator: ", ")).") }
        out += "    /// \(about.joined(separator: " "))\n"
        out += "    public var \(field.propertyName): \(field.swiftType)?\n"
    }
    out += "    public var tags: Tags?\n    public var metadata: Metadata?\n\n"
    out += "    /// A record with only its time set, or with the fields given.\n    public init(\n        time: Int64"
    for field in kind.fields { out += ",\n        \(field.propertyName): \(field.swiftType)? = nil" }
    out += ",\n        tags: Tags? = nil,\n        metadata: Metadata? = nil\n    ) {\n        self.time = time\n"
    for field in kind.fields { out += "        self.\(field.propertyName) = \(field.propertyName)\n" }
    out += "        self.tags = tags\n        self.metadata = metadata\n    }\n\n"
    out += "    @inlinable\n    public func write(to writer: inout RecordWriter) throws(RecordError) {\n"
    out += "        var fields = writer.beginFields()\n        defer { writer.fields = fields }\n"
    for (index, field) in kind.fields.enumerated() {
        let bit = kind.presenceBit(of: index)
        let slot = field.coding == "prefix" ? ", slot: \(kind.prefixSlot(of: index))" : ""
        let function = field.coding == "prefix" ? "prefixedText" : KindsFile.types[field.type] ?? field.type
        let isText = field.type == "text"
        out += "        if let \(field.propertyName) {\n"
        let call = "\(function)(\(field.propertyName), bit: \(bit)\(slot)\(isText ? ", &fields" : ""))"
        out += "            \(isText ? "try writer" : "fields").\(call)\n        }\n"
    }
    out += "    }\n}\n"
    return GeneratedFile(path: "Sources/FrameCodec/Generated/\(name).swift", text: out)
}

/// Every generated file.
func generatedFiles(_ file: KindsFile) -> [GeneratedFile] {
    [metricKindFile(file), recordFieldsFile(file)] + file.kinds.map(recordFile)
}
