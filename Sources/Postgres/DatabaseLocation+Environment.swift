// The variables that users of this family of systems have set already, beside libpq's own.

import CPostgreSQL

extension DatabaseLocation {
    /// One of the `TIMESCALEDB_*` variables.
    private struct Variable {
        let name: String
        let keyword: String
        /// Used when neither the variable nor libpq's own one is set.
        let fallback: String?
        /// libpq's variables that say the same.
        let alternatives: [String]
    }

    private static let variables = [
        Variable(
            name: "TIMESCALEDB_HOST", keyword: "host", fallback: "localhost", alternatives: ["PGHOST", "PGHOSTADDR"]),
        Variable(name: "TIMESCALEDB_PORT", keyword: "port", fallback: "5432", alternatives: ["PGPORT"]),
        Variable(
            name: "TIMESCALEDB_DATABASE", keyword: "dbname", fallback: "capibara6_metrics",
            alternatives: ["PGDATABASE"]),
        Variable(name: "TIMESCALEDB_USERNAME", keyword: "user", fallback: "postgres", alternatives: ["PGUSER"]),
        Variable(name: "TIMESCALEDB_PASSWORD", keyword: "password", fallback: nil, alternatives: ["PGPASSWORD"]),
    ]

    /// The names of the `TIMESCALEDB_*` variables.
    public static var variableNames: [String] { variables.map(\.name) }

    /// Whether a variable says which server, database or user is meant, and not only how to get there.
    public static func isNamed(by environment: [String: String]) -> Bool {
        let names =
            variables.filter { $0.keyword != "password" }.flatMap { [$0.name] + $0.alternatives }
            + ["PGSERVICE"]
        return names.contains { environment[$0]?.isEmpty == false }
    }

    /// The location that the environment names, or nil when it names none.
    ///
    /// `TIMESCALEDB_*` goes before libpq's `PG*` variable of the same meaning, and that before the defaults
    /// (localhost, 5432, capibara6_metrics, postgres). `PGSERVICE` speaks for all that is not set by name.
    ///
    /// - Parameter environment: the process's variables. libpq reads the `PG*` ones itself when it connects.
    public static func fromEnvironment(
        _ environment: [String: String]
    ) throws(DatabaseError) -> DatabaseLocation? {
        let given = environment.filter { !$0.value.isEmpty }
        let names = variables.map(\.name) + libpqVariables()
        guard names.contains(where: { given[$0] != nil }) else { return nil }

        var keywords: [String: String] = [:]
        for variable in variables {
            if let value = given[variable.name] {
                keywords[variable.keyword] = value
            } else if given["PGSERVICE"] == nil, !variable.alternatives.contains(where: { given[$0] != nil }) {
                keywords[variable.keyword] = variable.fallback
            }
        }
        // libpq would connect to PGHOSTADDR, whatever the host is.
        if given["TIMESCALEDB_HOST"] != nil { keywords["hostaddr"] = "" }
        // One, or one for each host.
        if let port = given["TIMESCALEDB_PORT"],
            !port.split(separator: ",", omittingEmptySubsequences: false).allSatisfy({
                (1...65_535).contains(Int($0) ?? 0)
            })
        {
            throw DatabaseError(
                .invalidLocation(reason: "TIMESCALEDB_PORT is \(port), which is no port from 1 to 65535"),
                location: "", operation: "reading the environment")
        }
        // A whole URL in the wrong variable would be printed with its password.
        for variable in variables where variable.keyword != "password" {
            for name in [variable.name] + variable.alternatives {
                guard let value = given[name], value.contains("://") || value.dropFirst().contains("@"),
                    variable.keyword != "user" || value.contains("://")
                else { continue }
                throw DatabaseError(
                    .invalidLocation(
                        reason: "\(name) holds something like a URL; --database or SPILLWAY_DATABASE takes one"),
                    location: "", operation: "reading the environment")
            }
        }
        return DatabaseLocation(keywords: keywords)
    }

    /// The names of all variables that this libpq reads.
    private static func libpqVariables() -> [String] {
        guard let options = PQconndefaults() else { return [] }
        defer { PQconninfoFree(options) }
        var names = ["PGSERVICE", "PGSERVICEFILE"]
        var option = options
        while option.pointee.keyword != nil {
            if let name = option.pointee.envvar { names.append(String(cString: name)) }
            option += 1
        }
        return names
    }
}
