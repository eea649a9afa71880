// Statements and their results. Results are text and small: what is large goes through COPY.

import CPostgreSQL
import Glibc
import LinuxSystem

extension DatabaseConnection {
    /// How a command ended.
    package struct Reply {
        var rows: [[String?]] = []
        /// For example `COMMIT`, `INSERT 0 1`.
        var tag = ""
        var affectedRows = 0
        var startedCopy = false
    }

    /// Runs one or several statements that need no parameters. Transactions are begun and ended by `begin` and `commit`.
    ///
    /// - Returns: the number of rows that the last of them changed, 0 where that has no meaning.
    @discardableResult
    public func execute(_ sql: String, operation: String? = nil) throws(DatabaseError) -> Int {
        let name = operation ?? Self.summary(of: sql)
        return try withSettings { () throws(DatabaseError) in try send(name) { PQsendQuery($0, sql) }.affectedRows }
    }

    /// Runs one statement.
    ///
    /// - Parameter parameters: the values of `$1`, `$2` ... in text form; nil is NULL. The server infers their types.
    /// - Returns: its rows, one optional text a column.
    @discardableResult
    public func query(
        _ sql: String, _ parameters: [String?] = [], operation: String? = nil
    ) throws(DatabaseError) -> [[String?]] {
        let name = operation ?? Self.summary(of: sql)
        // A C string ends at its first zero byte: the rest would vanish without a word.
        guard parameters.allSatisfy({ $0?.utf8.contains(0) != true }) else {
            self.operation = name
            throw error(.invalidParameter(reason: "a text holds U+0000, which PostgreSQL does not store"))
        }
        let copies = parameters.map { $0.map { strdup($0) } ?? nil }
        defer { for copy in copies { free(copy) } }
        let values = copies.map { UnsafePointer($0) }
        return try withSettings { () throws(DatabaseError) in
            try send(name) { PQsendQueryParams($0, sql, Int32(values.count), nil, values, nil, nil, 0) }.rows
        }
    }

    /// Runs one or several statements that need no parameters, and gives the rows of the last one.
    package func rows(_ sql: String, operation: String) throws(DatabaseError) -> [[String?]] {
        try send(operation) { PQsendQuery($0, sql) }.rows
    }

    /// The text form of a bytea parameter. O(number of bytes).
    public static func byteaText(_ bytes: UnsafeRawBufferPointer) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(unsafeUninitializedCapacity: bytes.count * 2 + 2) { text in
            text[0] = UInt8(ascii: "\\")
            text[1] = UInt8(ascii: "x")
            for (index, byte) in bytes.enumerated() {
                text[2 * index + 2] = digits[Int(byte >> 4)]
                text[2 * index + 3] = digits[Int(byte & 15)]
            }
            return bytes.count * 2 + 2
        }
    }

    /// Runs one statement and gives its rows to `body` as they come, so that no more than one is in memory.
    ///
    /// - Parameter body: one optional text a column; says whether it wants more. If not, the connection is closed.
    /// - Returns: how many rows there were.
    package func query(
        _ sql: String, operation name: String, eachRow body: ([String?]) -> Bool
    ) throws(DatabaseError) -> Int {
        precondition(!isCopying, "a statement was sent during a COPY")
        operation = name
        let handle = try usableHandle()
        guard PQsendQueryParams(handle, sql, 0, nil, nil, nil, nil, 0) == 1, PQsetSingleRowMode(handle) == 1 else {
            throw lost()
        }
        try flush()
        var count = 0
        var failure: DatabaseError?
        while let result = try nextResult() {
            defer { PQclear(result) }
            switch PQresultStatus(result) {
            case PGRES_SINGLE_TUPLE:
                count += 1
                guard body(Self.reply(from: result).rows[0]) else {
                    close()
                    return count
                }
            case PGRES_COMMAND_OK, PGRES_TUPLES_OK, PGRES_EMPTY_QUERY: break
            default: failure = failure ?? self.failure(from: result)
            }
        }
        if let failure {
            if !isUsable { close() }
            throw failure
        }
        return count
    }

    /// Sends a command and waits for its end.
    package func send(
        _ name: String, _ start: (OpaquePointer) -> Int32
    ) throws(DatabaseError) -> Reply {
        precondition(!isCopying, "a statement was sent during a COPY")
        operation = name
        let handle = try usableHandle()
        guard start(handle) == 1 else { throw lost() }
        try flush()
        return try receiveReply()
    }

    /// Collects the results up to the end of the command, or to the point where a COPY wants its data.
    package func receiveReply() throws(DatabaseError) -> Reply {
        var reply = Reply()
        var failure: DatabaseError?
        while let result = try nextResult() {
            defer { PQclear(result) }
            switch PQresultStatus(result) {
            case PGRES_COMMAND_OK, PGRES_TUPLES_OK, PGRES_EMPTY_QUERY:
                reply = Self.reply(from: result)
            case PGRES_COPY_IN where failure == nil:
                reply.startedCopy = true
                return reply
            case PGRES_COPY_IN, PGRES_COPY_OUT, PGRES_COPY_BOTH:
                close()
                throw error(.unexpectedReply(reason: "a COPY that was not asked for"))
            default:
                // The first error is the cause; what follows it is libpq's surprise at the closed connection.
                let next = self.failure(from: result)
                if failure == nil { failure = next }
            }
        }
        if let failure {
            // A primary that has become a standby: the next connection finds the new one.
            if !isUsable || options.isForWriting && failure.sqlstate == .readOnlySQLTransaction { close() }
            throw failure
        }
        return reply
    }

    private func nextResult() throws(DatabaseError) -> OpaquePointer? {
        let handle = try usableHandle()
        while PQisBusy(handle) == 1 {
            _ = try waitForProgress(Int16(POLLIN))
            // A dead connection may still hold the server's last words: PQgetResult gives them, and does not wait.
            if PQconsumeInput(handle) == 0 {
                guard PQstatus(handle) == CONNECTION_BAD else { throw lost() }
                break
            }
        }
        return PQgetResult(handle)
    }

    private func failure(from result: OpaquePointer) -> DatabaseError {
        if let report = ServerReport(result: result) { return error(.server(report)) }
        let message = PQresultErrorMessage(result).map { String(cString: $0).oneLine } ?? ""
        return error(.connectionLost(reason: message.isEmpty ? "no reason given" : message))
    }

    private static func reply(from result: OpaquePointer) -> Reply {
        var reply = Reply()
        reply.tag = String(cString: PQcmdStatus(result))
        reply.affectedRows = Int(String(cString: PQcmdTuples(result))) ?? 0
        let columns = PQnfields(result)
        for row in 0..<PQntuples(result) {
            reply.rows.append(
                (0..<columns).map { column in
                    PQgetisnull(result, row, column) == 1 ? nil : String(cString: PQgetvalue(result, row, column))
                })
        }
        return reply
    }

    /// A statement's first line, cut, for messages.
    package static func summary(of sql: String) -> String {
        let line = sql.drop(while: \.isWhitespace).prefix { !$0.isNewline }
        return line.count > 80 ? line.prefix(77) + "..." : String(line)
    }
}
