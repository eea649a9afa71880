// COPY ... FROM STDIN (FORMAT binary), bounded in memory on this side and awake to the server's early errors.
//
// Limits: libpq never holds more than one piece of `copyPieceBytes` back. It would: in non-blocking mode PQputCopyData
// grows libpq's buffer rather than report that the socket is full, so each piece is flushed before the next.

import CPostgreSQL
import Glibc
import LinuxSystem

extension DatabaseConnection {
    /// How much goes into one PQputCopyData.
    package static let copyPieceBytes = 256 * 1024

    /// Opens a binary COPY into a table.
    ///
    /// - Parameters:
    ///   - table: schema and name, for example `metrics.routing_metrics`, from `MetricKinds` or the program itself.
    ///   - columns: the columns' names in the rows' order.
    public func beginCopy(into table: String, columns: [String]) throws(DatabaseError) {
        let sql = "COPY \(table) (\(columns.joined(separator: ", "))) FROM STDIN (FORMAT binary)"
        try beginCopy(statement: sql, operation: "COPY \(table)")
    }

    /// The same with a statement of the caller's.
    public func beginCopy(statement: String, operation: String) throws(DatabaseError) {
        guard try send(operation, { PQsendQuery($0, statement) }).startedCopy else {
            throw error(.unexpectedReply(reason: "no COPY began"))
        }
        isCopying = true
    }

    /// Sends bytes of the COPY's stream. Where one call ends and the next begins has no meaning to the server.
    ///
    /// - Throws: also the server's error about earlier rows, as soon as it is here. The COPY is over then, and the
    ///   transaction failed.
    public func sendCopyData(_ bytes: UnsafeRawBufferPointer) throws(DatabaseError) {
        precondition(isCopying, "copy data without a COPY")
        try lookForEarlyError(ready: try wait(for: Int16(POLLIN), deadline: 0))
        var sent = 0
        while sent < bytes.count {
            let piece = min(Self.copyPieceBytes, bytes.count - sent)
            let start = bytes.baseAddress! + sent
            switch PQputCopyData(try usableHandle(), start.assumingMemoryBound(to: CChar.self), Int32(piece)) {
            case 1: sent += piece
            // No room at all: flushing makes it.
            case 0: break
            default: throw failCopy()
            }
            try flushCopy()
        }
    }

    /// Ends the COPY.
    ///
    /// - Returns: how many rows the server took.
    @discardableResult
    public func finishCopy() throws(DatabaseError) -> Int {
        precondition(isCopying, "the end of a COPY without a COPY")
        isCopying = false
        guard PQputCopyEnd(try usableHandle(), nil) == 1 else { throw copyFailure() }
        try flush()
        return try receiveReply().affectedRows
    }

    /// Gives the COPY up. The transaction has failed then and wants a rollback.
    public func abandonCopy() throws(DatabaseError) {
        guard isCopying else { return }
        let failure = failCopy()
        // That the server says so is what was asked for.
        if failure.sqlstate != .queryCanceled { throw failure }
    }

    private func flushCopy() throws(DatabaseError) {
        while true {
            let left = PQflush(try usableHandle())
            if left == 0 { return }
            if left < 0 { throw failCopy() }
            try lookForEarlyError(ready: try waitForProgress(Int16(POLLIN | POLLOUT)))
        }
    }

    /// During a COPY the server says nothing but notices and the error that ends it. libpq keeps that error back until
    /// the COPY is ended from here, so input that is no notice is taken as one.
    private func lookForEarlyError(ready: Int16) throws(DatabaseError) {
        guard ready & ~Int16(POLLOUT) != 0 else { return }
        let handle = try usableHandle()
        let before = notices.count
        guard PQconsumeInput(handle) == 1 else { throw failCopy() }
        // Parses the notices among the input.
        _ = PQisBusy(handle)
        if notices.count == before { throw failCopy() }
    }

    /// Ends the COPY as failed and gives the server's reason for it.
    private func failCopy() -> DatabaseError {
        isCopying = false
        if let handle { PQputCopyEnd(handle, "given up by the client") }
        return copyFailure()
    }

    private func copyFailure() -> DatabaseError {
        do {
            try flush()
            _ = try receiveReply()
            close()
            return error(.unexpectedReply(reason: "the COPY neither went on nor failed"))
        } catch {
            return error
        }
    }
}
