// One line for people: what, where, what to do.

extension DatabaseError: CustomStringConvertible {
    /// One line; fit for a log and for the end of a command.
    public var description: String {
        let text: String
        switch kind {
        case .invalidLocation(let reason):
            text = "cannot read the database's address: \(reason)"
        case .connectionFailed(let sqlstate, let reason):
            text = "cannot connect to \(location): \(reason); \(Self.advice(sqlstate: sqlstate, reason: reason))"
        case .connectionLost(let reason):
            text = "lost the connection to \(location) during \(operation): \(reason)"
        case .server(let report):
            text = Self.describe(report, operation: operation, location: location)
        case .commitInDoubt(let report):
            text =
                "COMMIT on \(location) ended with a warning: \(report.message)\(report.detail.map { ": \($0)" } ?? ""); "
                + "it is repeated"
        case .timedOut(let milliseconds):
            text =
                "\(location) made no progress for \(milliseconds) ms during \(operation): "
                + "look for locks and for a full disk there"
        case .cancelled:
            text = "stopped during \(operation) on \(location)"
        case .invalidParameter(let reason):
            text = "\(operation) on \(location): \(reason)"
        case .unexpectedReply(let reason):
            text = "\(location) gave an unexpected reply to \(operation): \(reason)"
        case .schemaTooNew(let found, let known):
            text =
                "\(location) has schema version \(found) and this program knows up to \(known): "
                + "upgrade the program"
        case .framesStoredBefore:
            text = "\(operation) on \(location): another collector has stored frames of this batch meanwhile"
        case .batchStoredBefore:
            text = "\(operation) on \(location): another attempt has stored this batch meanwhile"
        case .tableDiffers(let reason):
            text = reason
        case .suppressed(let table, let rows):
            text =
                "\(operation) on \(location): a trigger or a rule of \(table) suppressed \(rows) of its rows, so nothing is "
                + "stored: drop it"
        }
        return text.oneLine + (isCommitOutcomeUnknown ? " (whether the COMMIT took effect is unknown)" : "")
    }

    private static func describe(_ report: ServerReport, operation: String, location: String) -> String {
        var text = "\(operation) failed on \(location): \(report.message) (SQLSTATE \(report.sqlstate)"
        if let line = report.copyLine { text += ", row \(line)" }
        text += ")"
        // Of a row that breaks a rule the detail is the row itself: a record's contents do not belong in a log.
        let namesRow = ["22", "23"].contains(report.sqlstate.description.prefix(2))
        if let detail = report.detail, !namesRow { text += ": \(detail)" }
        if report.sqlstate == .insufficientPrivilege {
            text += "; grant the right to this user or connect as the owner"
        } else if let hint = report.hint {
            text += "; \(hint)"
        }
        return text
    }

    private static func advice(sqlstate: SQLState?, reason: String) -> String {
        switch sqlstate {
        case .invalidPassword:
            "give the right password in TIMESCALEDB_PASSWORD, PGPASSWORD or ~/.pgpass"
        case .invalidAuthorization:
            "create the user (createuser) or allow it in the server's pg_hba.conf"
        case .databaseMissing:
            "create the database (createdb) or name another one"
        case .insufficientPrivilege:
            "grant CONNECT on the database to this user"
        case .tooManyConnections:
            "raise max_connections or use fewer lanes"
        case .cannotConnectNow, .adminShutdown, .crashShutdown:
            "the server is starting or stopping: try again"
        case nil:
            advice(reason: reason)
        default:
            "see the server's log"
        }
    }
}

extension DatabaseError {
    /// Where libpq alone speaks, its words are all there is.
    private static func advice(reason: String) -> String {
        if reason.contains("read-only") || reason.contains("hot standby") {
            return "name the server that takes writes as well (postgresql://USER@HOST,HOST/DATABASE); where it is no "
                + "standby, RESET default_transaction_read_only of the role, the database or the server"
        }
        if reason.contains("certificate") || reason.contains("SSL") {
            return "look at sslmode, sslrootcert, sslcert and sslkey, and at the server's certificate"
        }
        if reason.contains("no password supplied") {
            return "give the password in TIMESCALEDB_PASSWORD, PGPASSWORD or ~/.pgpass"
        }
        return "check that the server runs and that host and port are right"
    }
}

extension String {
    /// The text with its line breaks turned into semicolons, without libpq's questions and source positions.
    package var oneLine: String {
        guard contains(where: \.isNewline) else { return self }
        var lines: [Substring] = []
        for line in split(whereSeparator: \.isNewline) {
            let line = line.drop(while: \.isWhitespace)
            if line.isEmpty || line.hasPrefix("Is the server running") || line.hasPrefix("LOCATION:") { continue }
            if !lines.contains(line) { lines.append(line) }
        }
        return lines.joined(separator: "; ")
    }
}
