// Reading what is stored. Every statement runs in a read-only transaction with a limit of time, and with nothing but
// PostgreSQL's own schema in its search path.

import Postgres
import StoreSchema

/// Questions to a database. For one thread, like its connection, which has no other work in the meantime.
public struct StoreQueries {
    public let connection: DatabaseConnection
    public let server: ServerIdentity
    /// The longest time of one statement; of records, that of one page.
    public let statementTimeoutMilliseconds: Int

    /// - Parameter statementTimeoutMilliseconds: should be less than the connection's `silenceTimeoutMilliseconds`,
    ///   which otherwise ends the session first.
    public init(
        _ connection: DatabaseConnection, statementTimeoutMilliseconds: Int = 20_000
    ) throws(DatabaseError) {
        precondition(statementTimeoutMilliseconds > 0)
        self.connection = connection
        self.statementTimeoutMilliseconds = statementTimeoutMilliseconds
        server = try ServerIdentity.detect(connection)
    }

    /// Opens an answer of records, newest first. Records of the same microsecond come in no particular order.
    ///
    /// - Throws: an unknown table, a missing right. Filters are evaluated when pages are read.
    public func records(_ query: RecordQuery) throws(DatabaseError) -> RecordPages {
        try beginReading()
        return try RecordPages(connection, query)
    }

    /// Aggregates, newest bucket first, then by groups; records without a group's field are the last group.
    ///
    /// Percentiles are exact: the server sorts the values of each group.
    public func aggregates(_ query: AggregateQuery) throws(DatabaseError) -> [AggregateRow] {
        var parameters = SQLParameters()
        let sql = query.sql(server, &parameters)
        let rows = try reading { () throws(DatabaseError) in
            try connection.query(
                sql, parameters.values, operation: "aggregating \(SchemaSQL.table(query.scope.kind))")
        }
        var answer: [AggregateRow] = []
        answer.reserveCapacity(rows.count)
        for row in rows {
            guard let aggregates = query.row(row) else {
                throw connection.error(.unexpectedReply(reason: "a row that is not what was asked for"))
            }
            answer.append(aggregates)
        }
        return answer
    }

    /// Runs `body` in a read-only transaction of its own.
    func reading<Result>(_ body: () throws(DatabaseError) -> Result) throws(DatabaseError) -> Result {
        try beginReading()
        let result: Result
        do {
            result = try body()
        } catch {
            // What failed is what the caller wants to know.
            do { try connection.rollback() } catch { connection.close() }
            throw error
        }
        try connection.commit()
        return result
    }

    private func beginReading() throws(DatabaseError) {
        precondition(!connection.isInTransaction, "an answer that was not read to its end is still there")
        // Floats come back as they are stored, whatever the role's settings.
        do throws(DatabaseError) {
            try beginTransaction()
        } catch {
            do { try connection.rollback() } catch { connection.close() }
            throw error
        }
    }

    private func beginTransaction() throws(DatabaseError) {
        try connection.begin(
            .readOnly,
            and: """
                SET LOCAL search_path = pg_catalog, pg_temp;
                SET LOCAL extra_float_digits = 1;
                SET LOCAL statement_timeout = \(statementTimeoutMilliseconds)
                """, operation: "beginning to read")
    }
}
