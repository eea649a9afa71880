// What the server says about a statement that failed or that it warns of.

import CPostgreSQL
import LinuxSystem

/// The fields of an error or notice message of the server.
public struct ServerReport: Equatable, Sendable {
    /// `ERROR`, `FATAL`, `PANIC`, `WARNING`, `NOTICE` ...: never translated.
    public let severity: String
    public let sqlstate: SQLState
    public let message: String
    public let detail: String?
    public let hint: String?
    /// Where it happened, innermost first, one call level a line.
    public let context: String?
    /// The constraint that was violated.
    public let constraint: String?

    public init(
        severity: String, sqlstate: SQLState, message: String, detail: String? = nil, hint: String? = nil,
        context: String? = nil, constraint: String? = nil
    ) {
        self.severity = severity
        self.sqlstate = sqlstate
        self.message = message
        self.detail = detail
        self.hint = hint
        self.context = context
        self.constraint = constraint
    }

    /// The row of the COPY that the server stumbled over, counted from 1; nil when it was no COPY's row.
    ///
    /// The line reads `COPY table, line 3, column x` but its words are translated by the server's `lc_messages`, and
    /// functions and triggers put their own lines before it: the number is the first one after the table's comma.
    public var copyLine: Int? {
        guard let context else { return nil }
        for line in textLines(context) where line.hasPrefix("COPY ") {
            guard let comma = line.firstIndex(of: ",") else { continue }
            let digits = line[comma...].drop { !$0.isASCIIDigit }.prefix { $0.isASCIIDigit }
            if let number = Int(digits) { return number }
        }
        return nil
    }

    /// Whether the server ended the session with this message.
    public var endsSession: Bool { severity == "FATAL" || severity == "PANIC" }

    /// Nil when the result carries no code: then libpq wrote the message and not the server.
    package init?(result: OpaquePointer) {
        func field(_ code: Int32) -> String? {
            PQresultErrorField(result, code).map { String(cString: $0) }
        }
        guard let code = field(SPILLWAY_PG_DIAG_SQLSTATE) else { return nil }
        self.init(
            severity: field(SPILLWAY_PG_DIAG_SEVERITY_NONLOCALIZED) ?? "ERROR",
            sqlstate: SQLState(code),
            message: field(SPILLWAY_PG_DIAG_MESSAGE_PRIMARY) ?? "",
            detail: field(SPILLWAY_PG_DIAG_MESSAGE_DETAIL),
            hint: field(SPILLWAY_PG_DIAG_MESSAGE_HINT),
            context: field(SPILLWAY_PG_DIAG_CONTEXT),
            constraint: field(SPILLWAY_PG_DIAG_CONSTRAINT_NAME))
    }
}

extension Character {
    fileprivate var isASCIIDigit: Bool { ("0"..."9").contains(self) }
}
