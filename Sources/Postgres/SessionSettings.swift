// The settings of a session that the program's correctness depends on, whatever the server, the database and the role say.
//
// Three kinds:
// - Limits of time. The location may choose its own (`options=-c lock_timeout=5s`); a default of the role or the database, which
//   is meant for people's queries, must not end a collector's COPY.
// - What statements and their texts mean. Always the same.
// - How durable a commit is. Never less than `on`, because what is committed is acknowledged, and never less than the operator
//   chose: see `synchronousCommit`.
// Not set, because the operator's choice is the stricter one: `default_transaction_read_only` (nothing is written then),
// `default_tablespace`, `role`.

/// The settings of a session.
package enum SessionSettings {
    package typealias Setting = (name: String, value: String)

    /// What statements and their texts mean. Names as `pg_settings` has them.
    package static let meanings: [Setting] = [
        ("client_encoding", "UTF8"), ("DateStyle", "ISO, MDY"), ("IntervalStyle", "postgres"), ("TimeZone", "UTC"),
        // Dead letters are read back in this form, and floats with all of their digits.
        ("bytea_output", "hex"), ("extra_float_digits", "1"),
        // Names are compared with names of the program.
        ("quote_all_identifiers", "off"), ("standard_conforming_strings", "on"),
        // An unquoted NULL in an array is NULL, and no text.
        ("array_nulls", "on"), ("transform_null_equals", "off"),
        // Each statement sees what was committed before it, also outside of a transaction.
        ("default_transaction_isolation", "read committed"), ("default_transaction_deferrable", "off"),
        ("row_security", "on"), ("default_table_access_method", "heap"),
        // A refused row must not end the session: the rows beside it would never be stored.
        ("exit_on_error", "off"),
        // A warning of COMMIT says that its outcome is not known.
        ("client_min_messages", "warning"),
    ]

    /// How a limit of time ends a statement or a session.
    package static let limitsEnd: Set<SQLState> = [.queryCanceled, .idleSessionTimeout, .idleInTransactionTimeout]

    /// Limits of time in the form in which a session can be requested with them, and without what would end it at the first error.
    package static func requested(_ limits: [Setting]) -> String {
        let wanted = limits.filter {
            ["statement_timeout", "idle_in_transaction_session_timeout", "idle_session_timeout"].contains($0.name)
        }
        return (wanted + [("exit_on_error", "off")]).map { "-c \($0.name)=\($0.value)" }.joined(separator: " ")
    }

    /// Triggers that are not marked otherwise fire with this value alone, and the ledger depends on one. Superusers set it, and
    /// roles that were granted it.
    package static let triggersFire: Setting = ("session_replication_role", "origin")

    /// An expression that makes the transaction's commit wait until it is on disk, and on a standby where there are synchronous
    /// ones: `on`, or `remote_apply` where the operator chose it. By each transaction, because the operator may choose later.
    package static let synchronousCommit = """
        pg_catalog.set_config('synchronous_commit', CASE pg_catalog.current_setting('synchronous_commit') \
        WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, true)
        """

    /// The operator's search path without the system's own schema, which is searched first then: no other function takes the name
    /// of one of PostgreSQL's. The rest stays, because triggers of the operator's may depend on it.
    package static func searchPath(_ own: String) -> Setting {
        var parts: [String] = []
        var part = ""
        var isQuoted = false
        for character in own {
            if character == "\"" { isQuoted.toggle() }
            if character == ",", !isQuoted {
                parts.append(part)
                part = ""
            } else {
                part.append(character)
            }
        }
        parts.append(part)
        let kept = parts.map { $0.drop { $0 == " " } }.filter {
            !$0.isEmpty && $0.lowercased() != "pg_catalog" && $0 != "\"pg_catalog\""
        }
        return ("search_path", kept.joined(separator: ", "))
    }

    /// A string constant, whatever `standard_conforming_strings` is.
    package static func literal(_ text: String) -> String {
        let quoted = text.replacing("'", with: "''")
        return text.contains("\\") ? "E'" + quoted.replacing("\\", with: "\\\\") + "'" : "'\(quoted)'"
    }

    /// An expression that makes a setting until the transaction ends.
    package static func local(_ setting: Setting) -> String {
        "pg_catalog.set_config(\(literal(setting.name)), \(literal(setting.value)), true)"
    }
}
