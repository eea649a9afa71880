// The settings as values that the collector works with, each checked, with an error that names its origin.

import Drain
import LinuxSystem
import Logging
import Postgres
import StoreSchema
import StoreWriter

/// Where rows go.
package enum DatabaseTarget: Sendable, Equatable {
    /// A server that the collector runs itself; nil is the default folder.
    case embedded(directory: String?)
    case server(DatabaseLocation)
    /// Records become COPY bytes and are dropped.
    case discard

    /// What holds, without a password.
    var description: String {
        switch self {
        case .embedded(let directory): directory.map { "embedded:\($0)" } ?? "embedded"
        case .server(let location): location.description
        case .discard: "discard"
        }
    }
}

/// Everything that is configured.
package struct CollectorSettings: Sendable {
    package let udp: [String]
    package let tcp: [String]
    package let http: String?
    package let database: DatabaseTarget
    package let databaseTimeoutSeconds: Int
    /// Nil is the default place; empty is none.
    package let spillDirectory: String?
    /// Where the spill is; nil for none.
    package let spillPath: String?
    /// What the spill records of the database.
    let spillOwner: String
    /// Where the collectors of this machine keep their state by default.
    let stateDirectory: String
    package let spillQuotaBytes: Int
    package let spillFreePercent: Int
    package let replaySharePercent: Int
    package let isJournal: Bool
    package let lanes: Int
    package let flushMilliseconds: Int
    package let batch: BatchLimits
    package let ringBytes: Int
    package let udpThreads: Int
    package let receiveBufferBytes: Int
    package let connectionsMax: Int
    package let connectionsPerSourceMax: Int
    package let frameDeadlineSeconds: Int
    package let idleDeadlineSeconds: Int
    package let sourcesMax: Int
    package let allowUnauthenticated: Bool
    package let systemMetrics: Bool
    package let systemID: String
    /// Whether new tables may be hypertables.
    package let usesTimescale: Bool
    /// Which times of records are accepted.
    package let timeBounds: TimeBounds
    package let daysAhead: Int
    /// What is to hold for the tables other than the database has it.
    package let policies: PolicyChanges
    package let directCompress: Bool
    /// Indexes besides those on time.
    package let indexes: [FieldIndex]
    package let shutdownDeadlineSeconds: Int
    package let logLevel: Logger.Level
    /// What holds and where it came from, for `--print-configuration`; without secrets.
    package internal(set) var report: [ResolvedSetting]
    /// What the operator should know about the settings, one line each.
    package internal(set) var warnings: [String]

    package init(_ resolver: ConfigurationResolver) throws(ConfigurationError) {
        var reader = SettingReader(resolver)
        udp = try reader.addresses(.udp)
        tcp = try reader.addresses(.tcp)
        http = try reader.addresses(.http).first
        database = try reader.database()
        databaseTimeoutSeconds = try reader.integer(.databaseTimeout, in: 2...86_400)
        let standardSpill = resolver.standardSpill(database)
        stateDirectory = standardSpill.state
        spillOwner = resolver.spillOwner(database)
        spillDirectory = try reader.spillDirectory(standard: standardSpill.path)
        spillPath = spillDirectory.map { $0.isEmpty ? nil : $0 } ?? standardSpill.path
        spillQuotaBytes = try reader.integer(.spillQuota, in: 1 << 20...1 << 50)
        spillFreePercent = try reader.integer(.spillFreePercent, in: 0...99)
        replaySharePercent = try reader.integer(.replayShare, in: 0...100)
        isJournal = try reader.bool(.journal)
        lanes = try reader.integer(.lanes, in: 1...64)
        flushMilliseconds = try reader.integer(.flushInterval, in: 1...60_000)
        var limits = BatchLimits()
        limits.recordsMax = try reader.integer(.batchRecords, in: 1...1_000_000)
        limits.bytesMax = try reader.integer(.batchBytes, in: 1 << 16...64 << 20)
        ringBytes = try reader.integer(.ringBytes, in: 8 << 20...1 << 30)
        guard ringBytes & (ringBytes - 1) == 0 else {
            let below = 1 << (Int.bitWidth - 1 - ringBytes.leadingZeroBitCount)
            let near = "\(Quantity.bytes.text(below)) or \(Quantity.bytes.text(below * 2))"
            throw reader.refuse(.ringBytes, "it must be a power of two, for example \(near)")
        }
        udpThreads = try reader.integer(.udpThreads, in: 1...64)
        receiveBufferBytes = try reader.integer(.receiveBuffer, in: 4_096...1 << 30)
        connectionsMax = try reader.integer(.connections, in: 1...65_536)
        connectionsPerSourceMax = try reader.integer(.connectionsPerSource, in: 1...65_536)
        frameDeadlineSeconds = try reader.integer(.frameDeadline, in: 1...86_400)
        idleDeadlineSeconds = try reader.integer(.idleDeadline, in: 1...86_400)
        sourcesMax = try reader.integer(.sources, in: 1...1_000_000)
        allowUnauthenticated = try reader.bool(.allowUnauthenticated)
        systemMetrics = try reader.bool(.systemMetrics)
        systemID = try reader.name(.systemID)
        timeBounds = TimeBounds(past: try reader.distance(.acceptPast), future: try reader.distance(.acceptFuture))
        usesTimescale = try reader.word(.timescaledb, ["auto": true, "off": false])
        daysAhead = try reader.integer(.daysAhead, in: 1...366)
        var policies = PolicyChanges()
        for (setting, subject) in [
            (Setting.retention, PolicyChanges.Subject.retention), (.compression, .compression),
            (.chunkInterval, .chunkInterval),
        ] {
            try reader.policies(setting, subject, &policies)
        }
        self.policies = policies
        directCompress = try reader.bool(.directCompress)
        indexes = try reader.indexes(.index)
        // Compression wants many rows of a domain beside each other.
        if directCompress { limits.partWorthwhile = 1 }
        batch = limits
        shutdownDeadlineSeconds = try reader.integer(.shutdownDeadline, in: 1...86_400)
        let level = reader.text(.logLevel)
        guard let known = Logger.Level(rawValue: level) else {
            let levels = Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
            throw reader.refuse(.logLevel, "levels are \(levels)")
        }
        logLevel = known
        report = reader.report
        warnings =
            reader.warnings + EnvironmentNames.emptyWarnings(resolver.environment)
            + EnvironmentNames.warnings(resolver.databaseEnvironment)
    }
}

/// Reads settings one by one and keeps the report of them.
private struct SettingReader {
    let resolver: ConfigurationResolver
    var report: [ResolvedSetting] = []
    var warnings: [String] = []

    init(_ resolver: ConfigurationResolver) { self.resolver = resolver }

    private mutating func resolve(_ setting: Setting) -> ResolvedSetting {
        let found = resolver.resolve(setting) ?? ResolvedSetting(setting: setting, values: [], origin: "default")
        report.append(found)
        return found
    }

    func refuse(_ setting: Setting, _ reason: String) -> ConfigurationError {
        let found = report.last { $0.setting == setting }
        return ConfigurationError(
            "\(setting.rawValue) = '\(found?.value ?? "")' (\(found?.origin ?? "default")): \(reason)")
    }

    mutating func text(_ setting: Setting) -> String { resolve(setting).value }

    mutating func integer(_ setting: Setting, in range: ClosedRange<Int>) throws(ConfigurationError) -> Int {
        guard let value = setting.quantity.value(resolve(setting).value), range.contains(value) else {
            throw refuse(setting, "it must be \(setting.quantity.allowed(range))")
        }
        return value
    }

    /// A length of time, in microseconds; nil for 'off'.
    mutating func distance(_ setting: Setting) throws(ConfigurationError) -> Int64? {
        guard let distance = TimeDistance(resolve(setting).value) else {
            throw refuse(setting, "it must be \(TimeDistance.allowed)")
        }
        return distance.microseconds
    }

    /// A name that goes into records: one line, which fits into a datagram with all else.
    mutating func name(_ setting: Setting) throws(ConfigurationError) -> String {
        let name = resolve(setting).value
        guard name.utf8.count <= Self.nameBytesMax else {
            let start = "\(setting.rawValue) = '\(name.prefix(32))...' (\(report.last?.origin ?? "default"))"
            throw ConfigurationError(
                "\(start): it has \(name.utf8.count) bytes; at most \(Self.nameBytesMax) are allowed")
        }
        guard !name.unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) else {
            throw refuse(setting, "a name has no control characters")
        }
        return name
    }

    private static let nameBytesMax = 255

    mutating func bool(_ setting: Setting) throws(ConfigurationError) -> Bool {
        switch resolve(setting).value.lowercased() {
        case "true", "1", "yes", "on": true
        case "false", "0", "no", "off": false
        default: throw refuse(setting, "it must be true or false")
        }
    }

    /// One of a few words.
    mutating func word<Value>(_ setting: Setting, _ words: [String: Value]) throws(ConfigurationError) -> Value {
        guard let value = words[resolve(setting).value.lowercased()] else {
            throw refuse(setting, "it must be \(words.keys.sorted().joined(separator: " or "))")
        }
        return value
    }

    mutating func addresses(_ setting: Setting) throws(ConfigurationError) -> [String] {
        let values = resolve(setting).values
        if values == ["none"] { return [] }
        guard !values.contains("none") else { throw refuse(setting, "'none' cannot be combined with addresses") }
        return values
    }

    mutating func policies(
        _ setting: Setting, _ subject: PolicyChanges.Subject, _ changes: inout PolicyChanges
    ) throws(ConfigurationError) {
        let found = resolver.resolve(setting)
        report.append(found ?? ResolvedSetting(setting: setting, values: [], origin: "default"))
        do throws(PolicyError) {
            try changes.add(subject, found?.values ?? [])
        } catch {
            throw refuse(setting, "\(error)")
        }
    }

    mutating func indexes(_ setting: Setting) throws(ConfigurationError) -> [FieldIndex] {
        let found = resolver.resolve(setting) ?? ResolvedSetting(setting: setting, values: [], origin: "default")
        report.append(found)
        var indexes: [FieldIndex] = []
        for value in found.values {
            do throws(PolicyError) { indexes.append(try FieldIndex(value)) } catch { throw refuse(setting, "\(error)") }
        }
        return indexes
    }

    /// Nil without a setting, empty for none.
    mutating func spillDirectory(standard: String?) throws(ConfigurationError) -> String? {
        guard let found = resolver.resolve(.spillDirectory), !found.value.isEmpty else {
            report.append(
                ResolvedSetting(setting: .spillDirectory, values: [standard ?? "none"], origin: "default"))
            return nil
        }
        report.append(found)
        if found.value == "none" { return "" }
        guard found.value.hasPrefix("/") else {
            throw refuse(
                .spillDirectory, "it must be 'none' or an absolute path, for example \(absolutePath(found.value))")
        }
        return found.value
    }

    /// A flag, the variable or the file; then the variables of the database; then the embedded server.
    mutating func database() throws(ConfigurationError) -> DatabaseTarget {
        if let found = resolver.resolve(.database) {
            let target = try target(found)
            if case .server(let location) = target, location.holdsPassword,
                let path = resolver.fileForOthers(of: .database)
            {
                warnings.append("\(path) holds a password and is not for its owner alone: chmod 600 \(path)")
            }
            report.append(
                ResolvedSetting(setting: .database, values: [target.description], origin: found.origin))
            return target
        }
        let variables = resolver.databaseEnvironment
        do throws(DatabaseError) {
            if let location = try DatabaseLocation.fromEnvironment(variables) {
                let names = variables.keys.sorted().joined(separator: ", ")
                report.append(
                    ResolvedSetting(
                        setting: .database, values: [location.description], origin: "environment \(names)"))
                return .server(location)
            }
        } catch {
            throw ConfigurationError("database: \(error)")
        }
        report.append(ResolvedSetting(setting: .database, values: ["embedded"], origin: "default"))
        return .embedded(directory: nil)
    }

    /// One directory has one name: others are derived from it.
    private func withoutExtraSlashes(_ path: Substring) -> String {
        (path.hasPrefix("/") ? "/" : "") + path.split(separator: "/").filter { $0 != "." }.joined(separator: "/")
    }

    private func target(_ found: ResolvedSetting) throws(ConfigurationError) -> DatabaseTarget {
        let text = found.value
        if text == "discard" { return .discard }
        if text == "embedded" { return .embedded(directory: nil) }
        if text.hasPrefix("embedded:") {
            let directory = String(text.dropFirst("embedded:".count))
            guard directory.hasPrefix("/") else {
                throw ConfigurationError(
                    "database = '\(text)' (\(found.origin)): embedded:DIR needs an absolute path, for example "
                        + "embedded:\(absolutePath(directory.isEmpty ? "database" : directory))")
            }
            return .embedded(directory: withoutExtraSlashes(directory[...]))
        }
        // A bare word is neither a URL nor a keyword with its value, and holds no password.
        if text.allSatisfy({ $0.isLetter }), let near = nearestName(text, of: ["embedded", "discard"]) {
            throw ConfigurationError("database = '\(text)' (\(found.origin)): did you mean '\(near)'?")
        }
        do throws(DatabaseError) {
            return .server(try DatabaseLocation(text))
        } catch {
            // The value itself may hold a password and is not repeated.
            throw ConfigurationError("database (\(found.origin)): \(error)")
        }
    }
}
