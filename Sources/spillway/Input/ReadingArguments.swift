// How a command reads from the database: in a session that can change nothing, and not for ever.

import ArgumentParser
import Collector
import Postgres
import StoreQueries

/// `--database` and `--timeout`.
struct ReadingArguments: ParsableArguments {
    @OptionGroup var location: DatabaseArguments

    @Option(
        name: .customLong("timeout"),
        help: ArgumentHelp("The longest time of one statement, for example 60s or 5min.", valueName: "time"))
    var timeoutText = "60s"

    /// In seconds.
    private var timeout: Int { Quantity.seconds.value(timeoutText) ?? 60 }

    private static let timeoutAllowed = 1...86_400
    /// The server ends a statement by itself, and its words come first.
    private static let graceSeconds = 10

    func validate() throws {
        _ = try quantity(timeoutText, .seconds, in: Self.timeoutAllowed, option: "--timeout")
    }

    /// - Parameter name: what `pg_stat_activity` shows.
    func open(as name: String) throws(CommandError) -> StoreQueries {
        let connection = try location.connect(as: name) { options in
            // Whoever reads the answer takes their time.
            options.idleInTransactionMilliseconds = 0
            options.silenceTimeoutMilliseconds = (timeout + Self.graceSeconds) * 1_000
            options.sessionSettings.append(("default_transaction_read_only", "on"))
        }
        do throws(DatabaseError) {
            return try StoreQueries(connection, statementTimeoutMilliseconds: timeout * 1_000)
        } catch {
            throw CommandError(reading: error)
        }
    }
}

extension CommandError {
    /// What was asked for could not be read.
    init(reading error: DatabaseError) {
        switch error.sqlstate {
        case .undefinedTable: self.init(.unavailable, "\(error); 'spillway schema apply' creates the tables")
        case .queryCanceled:
            self.init(.unavailable, "\(error); ask for less, or for longer with --timeout")
        // Values that the server cannot compute with, such as a sum that leaves its type.
        case let code? where code.errorClass == "22": self.init(.badData, "\(error)")
        default: self.init(.unavailable, "\(error)")
        }
    }
}

/// Calls `body`, whose errors end the command.
func reading<Value>(_ body: () throws(DatabaseError) -> Value) throws(CommandError) -> Value {
    do throws(DatabaseError) {
        return try body()
    } catch {
        throw CommandError(reading: error)
    }
}
