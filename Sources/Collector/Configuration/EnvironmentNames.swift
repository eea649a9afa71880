// Variables that are spelled like those of this program and are none: a slip of the pen must not pass.

import EmbeddedPostgres
import Postgres

/// Checks the names of variables. `SPILLWAY_*` belongs to this program alone, `TIMESCALEDB_*` to others as well.
package enum EnvironmentNames {
    static let prefix = "SPILLWAY_"

    /// All that this program reads under its own prefix.
    package static var known: [String] {
        Setting.allCases.map(\.variable) + [EmbeddedServer.Programs.rootVariable]
    }

    /// - Throws: for a variable with this program's prefix that it does not know and that has a value.
    package static func check(_ environment: [String: String]) throws(ConfigurationError) {
        let known = Set(known)
        let unknown = environment.filter { $0.key.hasPrefix(prefix) && !$0.value.isEmpty && !known.contains($0.key) }
        // What `${URL}` becomes where URL is not set: a collector must not choose another database for it.
        let database = Setting.database.variable
        guard environment[database]?.isEmpty != true else {
            throw ConfigurationError("environment \(database) is set and empty: give it a value, or unset it")
        }
        guard let name = unknown.keys.min() else { return }
        let shown = String(name.prefix(80))
        if name == prefix + "CONFIG" {
            throw ConfigurationError("environment \(shown): the file of settings is named by --config FILE")
        }
        let advice = nearestName(name, of: Self.known).map { "did you mean \($0)?" } ?? "see 'spillway serve --help'"
        throw ConfigurationError("environment \(shown): there is no such setting; \(advice)")
    }

    /// This program's variables that are set and empty, which counts as not set; one line each.
    static func emptyWarnings(_ environment: [String: String]) -> [String] {
        known.filter { environment[$0]?.isEmpty == true }.map {
            "environment \($0) is set and empty, which counts as not set"
        }
    }

    /// Variables of `TIMESCALEDB_*` that look like a misspelling of one that holds; one line each.
    static func warnings(_ environment: [String: String]) -> [String] {
        let known = DatabaseLocation.variableNames
        return environment.filter { $0.key.hasPrefix("TIMESCALEDB_") && !$0.value.isEmpty && !known.contains($0.key) }
            .keys.sorted().compactMap { name in
                (nearestName(name, of: known) ?? known.filter { name.hasPrefix($0) }.max { $0.count < $1.count })
                    .map { "environment \(name) is not read; did you mean \($0)?" }
            }
    }
}
