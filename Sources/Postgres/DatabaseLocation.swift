// What to connect to. The keywords are libpq's; whatever is not said here libpq takes from its own PG* variables, the
// service file and the password file.

import CPostgreSQL

/// The address of a database: server, database, user and how to reach them.
public struct DatabaseLocation: Equatable, Sendable {
    /// libpq's keywords and their values. May hold a password: do not print it. An empty value hides the PG* variable
    /// of the same meaning.
    package let keywords: [String: String]

    package init(keywords: [String: String]) {
        self.keywords = keywords
    }

    /// Reads a URL (`postgresql://user@host:5432/database?sslmode=require`) or libpq's `keyword=value` form.
    ///
    /// - Throws: `DatabaseError` of kind `.invalidLocation`, without the parts that may belong to a password.
    public init(_ text: String) throws(DatabaseError) {
        try Self.checkScheme(text)
        var message: UnsafeMutablePointer<CChar>?
        guard let options = PQconninfoParse(text, &message) else {
            let reason = message.map { String(cString: $0) } ?? "out of memory"
            PQfreemem(message)
            throw Self.invalid(Self.withoutQuotedInput(reason))
        }
        defer { PQconninfoFree(options) }
        var keywords: [String: String] = [:]
        var option = options
        while let keyword = option.pointee.keyword {
            if let value = option.pointee.val, value.pointee != 0 {
                keywords[String(cString: keyword)] = String(cString: value)
            }
            option += 1
        }
        self.keywords = keywords
        try checkForSplitPassword()
    }

    /// The same server and user with another database.
    public func with(database: String) -> DatabaseLocation {
        var changed = keywords
        changed["dbname"] = database
        return DatabaseLocation(keywords: changed)
    }

    /// The same with a password.
    public func with(password: String) -> DatabaseLocation {
        var changed = keywords
        changed["password"] = password
        return DatabaseLocation(keywords: changed)
    }

    /// libpq's keywords with all that this process's environment adds and without a secret, as `init` reads them: another
    /// process reaches the same database by it, with a password of its own.
    public var keywordsWithoutSecrets: String {
        let hidden = [
            "password", "sslpassword", "oauth_client_secret", "application_name", "fallback_application_name",
        ]
        return resolved().filter { !$0.value.isEmpty && !hidden.contains($0.key) }.sorted { $0.key < $1.key }
            .map { "\($0.key)='\($0.value.replacing("\\", with: "\\\\").replacing("'", with: "\\'"))'" }
            .joined(separator: " ")
    }

    /// The database's name, from wherever libpq has it; nil when not even that can be said.
    public var database: String? { value(of: "dbname") }

    /// An `@` or `/` in a URL's password ends it too early: its rest would be taken for the host, the port or the
    /// database, and printed as such.
    private func checkForSplitPassword() throws(DatabaseError) {
        let host = keywords["host"] ?? ""
        let port = keywords["port"] ?? ""
        let numbers = port.split(separator: ",", omittingEmptySubsequences: false)
        let portIsNumeric = numbers.allSatisfy { $0.isEmpty || (1...65_535).contains(Int($0) ?? 0) }
        let database = keywords["dbname"] ?? ""
        // An abstract socket begins with an @.
        guard !host.dropFirst().contains("@"), !database.contains("@"), portIsNumeric else {
            throw Self.invalid("host, port or database is not one: write @ as %40 and / as %2F in a URL's password")
        }
    }

    /// What libpq would take for keywords, and answer with `missing "="`.
    private static func checkScheme(_ text: String) throws(DatabaseError) {
        guard let colon = text.firstRange(of: "://") else {
            guard !text.contains("=") else { return }
            throw invalid("it is neither a URL nor keywords such as host=db.example dbname=metrics")
        }
        let scheme = text[..<colon.lowerBound].lowercased()
        guard scheme != "postgresql", scheme != "postgres" else { return }
        // Keywords with a URL among their values.
        if scheme.contains("=") { return }
        let isWord =
            !scheme.isEmpty && scheme.count <= 20 && scheme.allSatisfy { $0.isASCII && ($0.isLetter || $0 == "+") }
        throw invalid(
            (isWord ? "it is a URL of \(scheme)" : "it is a URL of something else")
                + ", and Spillway stores into PostgreSQL and TimescaleDB only")
    }

    private static func invalid(_ reason: String) -> DatabaseError {
        DatabaseError(
            .invalidLocation(reason: "\(reason); it should look like postgresql://USER@HOST:PORT/DATABASE"),
            location: "", operation: "reading the address")
    }

    /// libpq quotes what it could not read, and that may be a piece of the password: only its own words stay.
    private static func withoutQuotedInput(_ message: String) -> String {
        let words = message.prefix { $0 != "\"" && !$0.isNewline }
        let text = String(words.drop(while: \.isWhitespace))
        return text.isEmpty ? "not a connection string" : text + (words.count < message.count - 1 ? "..." : "")
    }

    /// What is given here, else what libpq would take from its environment and its defaults.
    package func value(of keyword: String) -> String? { resolved()[keyword] }

    /// Whether the location itself holds a password, and not only the environment or a password file.
    public var holdsPassword: Bool { ["password", "sslpassword"].contains { keywords[$0]?.isEmpty == false } }
}

extension DatabaseLocation: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// A URL with the password masked. Without a password it is one that psql takes.
    public var description: String {
        let given = resolved()
        let user = given["user"].map { "\($0)\(keywords["password"] == nil ? "" : ":***")@" } ?? ""
        let host = given["host"] ?? given["hostaddr"] ?? "localhost"
        let port = given["port"] ?? "5432"
        let database = given["dbname"] ?? given["user"] ?? ""
        if host.hasPrefix("/") || host.hasPrefix("@") {
            return "postgresql://\(user)/\(database)?host=\(host)&port=\(port)"
        }
        if host.contains(",") { return "postgresql://\(user)\(host)/\(database)?port=\(port)" }
        return "postgresql://\(user)\(host.contains(":") ? "[\(host)]" : host):\(port)/\(database)"
    }

    public var debugDescription: String { description }
    /// `dump` must not show the password either.
    public var customMirror: Mirror { Mirror(self, children: [("url", description)]) }
}
