// protocol/kinds.json as values, checked: the one source that everything about kinds comes from.

import Foundation

/// The content of `kinds.json`.
struct KindsFile: Decodable {
    struct Field: Decodable {
        let name: String
        let type: String
        let coding: String?
        let unit: String?
        let values: [String]?
        /// What the field says, without an end mark.
        let about: String
        let since: Int
    }

    struct Kind: Decodable {
        let name: String
        let id: Int
        let version: Int
        let table: String
        let about: String
        let fields: [Field]
    }

    let kinds: [Kind]

    static let types = [
        "text": "text", "bool": "bool", "i32": "int32", "i64": "int64", "f32": "float32", "f64": "float64",
    ]
    /// Words that a field may not be called, since every record has them.
    static let common: Set<String> = ["kind", "time", "tags", "metadata"]
    /// Tags and metadata take the first bits.
    static let commonPresenceBits = 2

    init(path: String) throws {
        let data = try Data(contentsOf: URL(fileURLWithPath: path))
        self = try JSONDecoder().decode(KindsFile.self, from: data)
        try check(path)
    }

    private func check(_ path: String) throws {
        func refuse(_ text: String) -> GeneratorError { GeneratorError(text: "\(path): \(text)") }
        guard Set(kinds.map(\.id)).count == kinds.count, kinds.map(\.id) == kinds.map(\.id).sorted() else {
            throw refuse("kinds must have ids of their own, in ascending order")
        }
        for kind in kinds {
            let names = kind.fields.map(\.name)
            guard Set(names).count == names.count else { throw refuse("\(kind.name): a field stands twice") }
            guard (1...255).contains(kind.id), (1...255).contains(kind.version) else {
                throw refuse("\(kind.name): id and version are 1 to 255")
            }
            var last = 1
            for field in kind.fields {
                let place = "\(kind.name).\(field.name)"
                guard !Self.common.contains(field.name) else { throw refuse("\(place): the name is taken") }
                guard Self.types[field.type] != nil else { throw refuse("\(place): unknown type \(field.type)") }
                guard (field.type == "text") == (field.coding != nil) else {
                    throw refuse("\(place): texts have a coding, other fields have none")
                }
                guard field.since >= last, field.since <= kind.version else {
                    throw refuse("\(place): 'since' never falls and is at most the kind's version")
                }
                last = field.since
            }
            guard kind.presenceBits <= 64 else { throw refuse("\(kind.name): over 64 presence bits") }
        }
    }
}

extension KindsFile.Kind {
    /// `agent_evolution` as `agentEvolution`.
    var caseName: String { camelCase(name) }
    /// `agent_evolution` as `AgentEvolutionRecord`.
    var recordName: String {
        let camel = camelCase(name)
        return camel.prefix(1).uppercased() + camel.dropFirst() + "Record"
    }

    /// Presence bits of a record of the kind's present version.
    var presenceBits: Int { presenceBits(version: version) }

    func presenceBits(version: Int) -> Int {
        KindsFile.commonPresenceBits
            + fields.filter { $0.since <= version }.reduce(0) { $0 + ($1.type == "bool" ? 2 : 1) }
    }

    func presenceBit(of index: Int) -> Int {
        KindsFile.commonPresenceBits + fields[..<index].reduce(0) { $0 + ($1.type == "bool" ? 2 : 1) }
    }

    /// Which of the kind's texts with a shared prefix this field is, from 0.
    func prefixSlot(of index: Int) -> Int { fields[..<index].filter { $0.coding == "prefix" }.count }
}

extension KindsFile.Field {
    /// `routing_time_ms` as `routingTimeMs`, `query_id` as `queryID`.
    var propertyName: String { camelCase(name) }

    var swiftType: String {
        switch type {
        case "text": "String"
        case "bool": "Bool"
        case "i32": "Int32"
        case "i64": "Int64"
        case "f32": "Float"
        default: "Double"
        }
    }
}

/// snake_case to camelCase, with the initialism ID in capitals as Swift's guidelines ask.
func camelCase(_ name: String) -> String {
    let words = name.split(separator: "_").map(String.init)
    return words.enumerated().map { index, word in
        if index == 0 { return word }
        return word == "id" ? "ID" : word.prefix(1).uppercased() + word.dropFirst()
    }.joined()
}

struct GeneratorError: Error, CustomStringConvertible {
    let text: String
    var description: String { text }
}
