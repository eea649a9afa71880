// The records of an answer, fetched piece by piece through a cursor of the server, so that memory is bounded whatever
// their number.

/// An answer that is read once, from its newest record on. The connection has a transaction open for it until the last
/// page was read, or until this is released.
public final class RecordPages {
    /// The most records of a page.
    public static let pageRecordsMax = 1_000
    /// What a page should hold in bytes of text. Records differ, so a page may hold a few times as much.
    static let pageBytesTarget = 4 * 1024 * 1024
    /// Of the first page, before anything is known of the records' size.
    private static let firstPageRecords = 50
    private static let cursor = "spillway_records"

    private let connection: DatabaseConnection
    private let query: RecordQuery
    private var isOpen = true
    private var records = firstPageRecords

    /// Ends the transaction too when it throws: `deinit` runs then.
    ///
    /// - Precondition: a transaction is open.
    init(_ connection: DatabaseConnection, _ query: RecordQuery) throws(DatabaseError) {
        self.connection = connection
        self.query = query
        var parameters = SQLParameters()
        let select = query.sql(&parameters)
        try connection.query(
            "DECLARE \(Self.cursor) NO SCROLL CURSOR FOR \(select)", parameters.values, operation: operation)
    }

    deinit {
        guard isOpen else { return }
        // Nobody is there to tell. A connection whose state is not known is of no use any more.
        do { try connection.rollback() } catch { connection.close() }
    }

    private var operation: String { "reading \(SchemaSQL.table(query.scope.kind))" }

    /// The next records, or nil behind the last one.
    public func next() throws(DatabaseError) -> [RecordRow]? {
        guard isOpen else { return nil }
        let rows = try connection.query("FETCH FORWARD \(records) FROM \(Self.cursor)", operation: operation)
        guard !rows.isEmpty else {
            isOpen = false
            try connection.commit()
            return nil
        }
        let bytes = rows.reduce(0) { $0 + $1.reduce(0) { $0 + ($1?.utf8.count ?? 0) } }
        records = min(max(Self.pageBytesTarget / max(bytes / rows.count, 1), 1), Self.pageRecordsMax)
        var page: [RecordRow] = []
        page.reserveCapacity(rows.count)
        for row in rows {
            guard let record = query.row(row) else {
                throw connection.error(.unexpectedReply(reason: "a row that is no \(query.scope.kind.name) record"))
            }
            page.append(record)
        }
        return page
    }
}
