// The database that a command works on.

import ArgumentParser
import Collector
import LinuxSystem
import Postgres

/// `--database`, or what the environment says, or the collector that runs here.
struct DatabaseArguments: ParsableArguments {
    @Option(
        help: """
            A URL (postgresql://user@host/database), libpq's keywords, or embedded[:DIR]; without it what TIMESCALEDB_* or PG* \
            name, or the database of the collector that runs on this machine.
            """)
    var database: String?

    /// - Parameters:
    ///   - name: what `pg_stat_activity` shows.
    ///   - isForWriting: of several servers, only one that takes writes will do.
    ///   - configure: changes what is usual for a connection.
    func connect(
        as name: String, isForWriting: Bool = false, configure: (inout ConnectionOptions) -> Void = { _ in }
    ) throws(CommandError) -> DatabaseConnection {
        let location = try DatabaseChoice(flag: database, environment: processEnvironment()).location()
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
