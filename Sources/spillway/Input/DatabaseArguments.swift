// The database that a command works on.

import ArgumentParser
import Collector
import LinuxSystem
import TimescaleStore

/// `--database`, or what the environment says.
struct DatabaseArguments: ParsableArguments {
    @Option(help: "A URL (postgresql://user@host/database) or libpq's keywords; else TIMESCALEDB_* or PG* hold.")
    var database: String?

    /// - Parameters:
    ///   - name: what `pg_stat_activity` shows.
    ///   - isForWriting: of several servers, only one that takes writes will do.
    ///   - configure: changes what is usual for a connection.
    func connect(
        as name: String, isForWriting: Bool = false, configure: (inout ConnectionOptions) -> Void = { _ in }
    ) throws(CommandError) -> DatabaseConnection {
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
        var options = ConnectionOptions(applicationName: name, isForWriting: isForWriting)
        configure(&options)
        do throws(DatabaseError) {
            return try DatabaseConnection(location, options: options)
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
