// How long a table's rows stay, when they are compressed, and how much time a chunk has: what an operator decides for each
// table. The database keeps the decisions, so that all collectors and commands follow the same ones.

import MetricKinds
import Text

/// A span of whole hours.
public struct StoreInterval: Equatable, Comparable, Hashable, Sendable, CustomStringConvertible {
    /// A hundred years.
    public static let hoursMax = 24 * 36_525

    public let hours: Int

    public init(hours: Int) {
        precondition((1...Self.hoursMax).contains(hours))
        self.hours = hours
    }

    public static func days(_ days: Int) -> StoreInterval { StoreInterval(hours: 24 * days) }

    /// Reads `90d`, `12h`, `2w` or `90 days`: a whole number from 1 on and its unit, as `FixedInterval` has it. Nil for anything
    /// else, for what is not whole hours, and for over a hundred years.
    public init?(_ text: some StringProtocol) {
        guard text.first.map({ ("0"..."9").contains($0) }) == true else { return nil }
        do throws(IntervalError) {
            let seconds = try FixedInterval(String(text)).seconds
            guard seconds % 3_600 == 0 else { return nil }
            hours = Int(seconds / 3_600)
        } catch {
            return nil
        }
    }

    public static func < (left: StoreInterval, right: StoreInterval) -> Bool { left.hours < right.hours }

    public var description: String { hours % 24 == 0 ? "\(hours / 24)d" : "\(hours)h" }
    public var microseconds: Int64 { Int64(hours) * 3_600_000_000 }
    package var sql: String { hours % 24 == 0 ? "INTERVAL '\(hours / 24) days'" : "INTERVAL '\(hours) hours'" }
}

/// What holds for one table.
public struct TablePolicy: Equatable, Sendable {
    /// The span of a chunk of a hypertable. Native partitions always have a day.
    public var chunkInterval = StoreInterval.days(1)
    /// The age at which a chunk is compressed; nil is never. TimescaleDB's Community edition alone can.
    public var compressAfter: StoreInterval?
    /// The age at which a chunk or partition is dropped; nil is never.
    public var dropAfter: StoreInterval?

    /// What a new database has.
    public static func standard(_ kind: MetricKind) -> TablePolicy {
        TablePolicy(compressAfter: .days(kind == .system ? 7 : 30), dropAfter: .days(90))
    }
}

/// What an operator wants other than it is. What is not named stays as the database has it.
public struct PolicyChanges: Equatable, Sendable {
    /// The decisions that there are to make, as the settings are called.
    public enum Subject: String, CaseIterable, Sendable {
        case retention
        case compression
        case chunkInterval = "chunk-interval"
    }

    private var changes: [MetricKind: [Subject: StoreInterval?]] = [:]

    public init() {}

    public var isEmpty: Bool { changes.isEmpty }

    /// The changes of one decision alone.
    public func only(_ subject: Subject) -> PolicyChanges {
        var part = PolicyChanges()
        part.changes = changes.compactMapValues { chosen in chosen[subject].map { [subject: $0] } }
        return part
    }

    /// Takes over the decisions of other changes.
    public mutating func replace(with other: PolicyChanges) {
        for (kind, chosen) in other.changes { changes[kind, default: [:]].merge(chosen) { $1 } }
    }

    /// Reads values like `30d` for all tables, or `system=7d` and `point=off` for one, which goes before the former.
    ///
    /// - Throws: what is wrong with which value, and what would be right.
    public mutating func add(_ subject: Subject, _ values: [String]) throws(PolicyError) {
        var general: StoreInterval??
        var special: [MetricKind: StoreInterval?] = [:]
        for value in values {
            guard let equals = value.firstIndex(of: "=") else {
                guard general == nil else { throw PolicyError("'\(value)' is a second value for all tables") }
                general = .some(try Self.interval(value, subject))
                continue
            }
            let name = String(value[..<equals])
            guard let kind = MetricKind(name: name) else {
                let known = MetricKind.allCases.map(\.name).joined(separator: ", ")
                throw PolicyError("'\(value)': there is no kind '\(name)'; there are \(known)")
            }
            guard special[kind] == nil else { throw PolicyError("'\(value)' is a second value for \(name)") }
            special[kind] = .some(try Self.interval(String(value[value.index(after: equals)...]), subject))
        }
        for kind in MetricKind.allCases {
            if let chosen = special[kind] ?? general { changes[kind, default: [:]][subject] = .some(chosen) }
        }
    }

    private static func interval(_ text: String, _ subject: Subject) throws(PolicyError) -> StoreInterval? {
        if text == "off", subject != .chunkInterval { return nil }
        guard let interval = StoreInterval(text) else {
            throw PolicyError(
                "'\(text)' is not a length of time in whole hours, from 1h to \(StoreInterval.hoursMax / 24)d: write 12h, 90d or 2w"
                    + (subject == .chunkInterval ? "" : ", or off"))
        }
        return interval
    }

    /// A table's policy after the changes.
    package func apply(to policy: TablePolicy, of kind: MetricKind) -> TablePolicy {
        var changed = policy
        for (subject, interval) in changes[kind] ?? [:] {
            switch subject {
            case .retention: changed.dropAfter = interval
            case .compression: changed.compressAfter = interval
            case .chunkInterval: changed.chunkInterval = interval ?? policy.chunkInterval
            }
        }
        return changed
    }
}

/// What is wrong with a policy's text.
public struct PolicyError: Error, Equatable, CustomStringConvertible {
    public let description: String
    package init(_ description: String) { self.description = description }
}

extension MetricKind {
    /// The column that compressed rows are segmented by: few values, and the one that most questions name. Time orders the
    /// rows of a segment.
    package var segmentColumn: String {
        switch self {
        case .routing: "model_selected"
        case .memory: "memory_operation"
        case .attention: "model_id"
        case .compute: "model_id"
        case .execution: "language"
        case .agentEvolution: "domain"
        case .rag: "rag_type"
        case .system: "system_id"
        case .point: "metric_name"
        }
    }
}
