// Where each setting comes from: a flag before the environment, the environment before the file, the file before the default.

/// A setting's value as it was given, and by whom.
package struct ResolvedSetting: Sendable, Equatable {
    package let setting: Setting
    /// One value, or several for a list.
    package let values: [String]
    /// For example `flag --lanes`, `environment SPILLWAY_LANES`, `spillway.conf:3`, `default`.
    package let origin: String

    /// The only value.
    package var value: String { values.first ?? "" }
}

/// Settings with their origins.
package struct ConfigurationResolver: Sendable {
    private let flags: [Setting: [String]]
    let environment: [String: String]
    private let file: ConfigurationFile?

    /// - Parameter flags: what stood on the command line.
    package init(
        flags: [Setting: [String]], environment: [String: String], filePath: String?
    ) throws(ConfigurationError) {
        try EnvironmentNames.check(environment)
        self.flags = flags
        self.environment = environment
        file = try filePath.map { (path) throws(ConfigurationError) in try ConfigurationFile(path: path) }
    }

    /// What holds for a setting, or nil for the database when nobody gave one.
    func resolve(_ setting: Setting) -> ResolvedSetting? {
        if let values = flags[setting], !values.isEmpty {
            return ResolvedSetting(setting: setting, values: split(values, setting), origin: "flag \(setting.flag)")
        }
        for name in [setting.variable, setting.alias].compactMap(\.self) {
            if let value = environment[name], !value.isEmpty {
                return ResolvedSetting(setting: setting, values: split([value], setting), origin: "environment \(name)")
            }
        }
        if let file, let entries = file.entries[setting], let first = entries.first {
            return ResolvedSetting(
                setting: setting, values: split(entries.map(\.value), setting), origin: "\(file.path):\(first.line)")
        }
        return setting.defaultText.map { ResolvedSetting(setting: setting, values: [$0], origin: "default") }
    }

    /// The file, if a setting comes from it and others than its owner may read or write it.
    func fileForOthers(of setting: Setting) -> String? {
        guard let file, file.isForOthers, let found = resolve(setting) else { return nil }
        return found.origin.hasPrefix(file.path + ":") ? file.path : nil
    }

    private func split(_ values: [String], _ setting: Setting) -> [String] {
        guard setting.isList else { return values }
        return values.flatMap { $0.split(separator: ",").map { $0.trimmingSpaces } }
    }

    /// The spill's default directory for a database, and the state directory.
    func standardSpill(_ database: DatabaseTarget) -> (path: String?, state: String) {
        (
            SpillLocation.standard(database, environment: environment),
            SpillLocation.stateDirectory(environment: environment)
        )
    }

    /// What a spill for the database records of it.
    func spillOwner(_ database: DatabaseTarget) -> String { database.spillOwner(environment: environment) }

    /// The environment that names the database beside `SPILLWAY_DATABASE`.
    var databaseEnvironment: [String: String] {
        environment.filter { $0.key.hasPrefix("TIMESCALEDB_") || $0.key.hasPrefix("PG") }
    }
}

extension StringProtocol {
    var trimmingSpaces: String {
        let start = drop { $0 == " " }
        guard let last = start.lastIndex(where: { $0 != " " }) else { return "" }
        return String(start[...last])
    }
}
