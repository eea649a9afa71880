// The database that a command works on.

import ArgumentParser
import Collector
import LinuxSystem
import TimescaleStore

/// `--database`, or what the environment says.
struct DatabaseArguments: ParsableArguments {
    @Option(help: "A URL (postgresql://user@host/database) or libpq's keywords; else TIMESCALEDB_* or PG* hold.")
    var database: String?

    /// - Parameter name: what `pg_stat_activity` shows.
    func connect(as name: String) throws(CommandError) -> DatabaseConnection {
        let location: DatabaseLocation?
        do throws(DatabaseError) {
            if let database {
                location = try DatabaseLocation(database)
            } else {
                location = try DatabaseLocation.fromEnvironment(processEnvironment())
            }
        } catch {
            throw CommandError(.configuration, "\(error)")
        }
        guard let location else {
            throw CommandError(.usage, "which database? Give --database URL, or set TIMESCALEDB_HOST or PGHOST")
        }
        do throws(DatabaseError) {
            return try DatabaseConnection(location, options: ConnectionOptions(applicationName: name))
        } catch {
            throw CommandError(.unavailable, "\(error)")
        }
    }
}

/// Calls `body`, whose errors end the command.
func talking<Value>(_ body: () throws(DatabaseError) -> Value) throws(CommandError) -> Value {
    do throws(DatabaseError) {
        return try body()
    } catch {
        throw CommandError(.unavailable, "\(error)")
    }
}
