// Which database a command works on: the one that is named, or that of the collector that runs on this machine.

import Collector
import EmbeddedPostgres
import LinuxSystem
import Postgres

/// Finds the database of a command.
struct DatabaseChoice {
    /// What `--database` says.
    let flag: String?
    let environment: [String: String]

    /// In this order: the flag, `SPILLWAY_DATABASE`, variables that name a server, the collector that runs here, and what the
    /// rest of the variables says.
    func location() throws(CommandError) -> DatabaseLocation {
        if let flag { return try Self.read(flag, "--database") }
        if let value = environment[Setting.database.variable], !value.isEmpty {
            return try Self.read(value, Setting.database.variable)
        }
        if DatabaseLocation.isNamed(by: environment), let location = try ofEnvironment() { return location }
        if let location = try ofRunningCollector() { return location }
        if let location = try ofEnvironment() { return location }
        throw CommandError(
            .usage,
            "which database? No collector was found on this machine: start one with 'spillway serve', or give --database "
                + "URL, or set TIMESCALEDB_HOST or PGHOST")
    }

    private func ofEnvironment() throws(CommandError) -> DatabaseLocation? {
        do throws(DatabaseError) {
            return try DatabaseLocation.fromEnvironment(environment)
        } catch {
            throw CommandError(.configuration, "\(error)")
        }
    }

    private static func read(_ text: String, _ origin: String) throws(CommandError) -> DatabaseLocation {
        if text == "discard" {
            throw CommandError(.usage, "\(origin) discard: a collector that drops its records has no database")
        }
        if text == "embedded" || text.hasPrefix("embedded:") {
            let given = text.dropFirst("embedded:".count)
            let directory =
                given.isEmpty
                ? EmbeddedServer.defaultDirectory(environment: processEnvironment()) : absolutePath(String(given))
            return try embedded(directory)
        }
        do throws(DatabaseError) {
            return try DatabaseLocation(text)
        } catch {
            throw CommandError(.configuration, "\(origin): \(error)")
        }
    }

    private static func embedded(_ directory: String) throws(CommandError) -> DatabaseLocation {
        do throws(EmbeddedServerError) {
            return try EmbeddedServer.lastLocation(directory: directory)
        } catch {
            throw CommandError(
                .unavailable,
                "no embedded database in \(directory): \(error); 'spillway serve --database embedded:\(directory)' starts it"
            )
        }
    }

    // MARK: The collector of this machine

    private func ofRunningCollector() throws(CommandError) -> DatabaseLocation? {
        var found = RunningCollector.all(environment: environment)
        // Any user can listen there: a password of this one's environment must not go to a database that is named so.
        let holdsPassword = ["TIMESCALEDB_PASSWORD", "PGPASSWORD"].contains { environment[$0]?.isEmpty == false }
        if found.isEmpty, !holdsPassword, let collector = Self.collectorThatAnswers() { found = [collector] }
        let storing = found.filter { $0.database != "discard" }
        guard let first = storing.first else {
            guard let other = found.first else { return nil }
            throw CommandError(
                .usage,
                "which database? The collector that runs here (process id \(other.processID)) drops its records: give "
                    + "--database URL")
        }
        guard storing.allSatisfy({ $0.database == first.database }) else {
            let list = storing.map { "process id \($0.processID): \(Self.shown($0.database))" }.joined(separator: "; ")
            throw CommandError(
                .usage, "which database? Several collectors run here (\(list)): give --database with one of these")
        }
        var location = try Self.location(of: first)
        if let password = environment["TIMESCALEDB_PASSWORD"], !password.isEmpty {
            location = location.with(password: password)
        }
        report("using the database of the collector with process id \(first.processID): \(location)")
        return location
    }

    static func location(of collector: RunningCollector) throws(CommandError) -> DatabaseLocation {
        guard collector.database.hasPrefix("embedded:") else {
            do throws(DatabaseError) {
                return try DatabaseLocation(collector.database)
            } catch {
                throw CommandError(.unavailable, "the collector with process id \(collector.processID): \(error)")
            }
        }
        return try embedded(String(collector.database.dropFirst("embedded:".count)))
    }

    private static func shown(_ database: String) -> String {
        if database.hasPrefix("embedded:") { return database }
        do throws(DatabaseError) { return "\(try DatabaseLocation(database))" } catch { return "unreadable" }
    }

    /// One that writes its state elsewhere, at the usual address.
    private static func collectorThatAnswers() -> RunningCollector? {
        do throws(CommandError) {
            let body = try HTTPRequest(address: "127.0.0.1:\(HTTPRequest.portDefault)").get("/stats")
            let statistics = try CollectorStatistics(json: body)
            guard let database = statistics.databaseAddress, let id = statistics.processID else { return nil }
            return RunningCollector(processID: id, database: database, addresses: [])
        } catch {
            // Nothing answers there, or something else does.
            return nil
        }
    }
}
