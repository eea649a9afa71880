// Rows that the server compresses while a COPY brings them, on TimescaleDB's Community edition from 2.21.
//
// By default the server sorts them first. Our batches come sorted (`CompressionOrder`), and where the table's columnstore has
// that very order the server need not do it again. `client_sorted` stays off all the same: it would promise that no other
// writer's rows lie between these in time.

import MetricKinds
import Postgres
import StoreSchema

/// How a session's COPY compresses.
public struct DirectCompression: Sendable {
    private static let sortSetting = "timescaledb.enable_direct_compress_copy_sort_batches"
    private static let operation = "asking by what a table is compressed"

    /// Whether the order of a table can be asked for; if not, the server sorts.
    private let canAskForOrder: Bool

    /// Makes the session one that compresses. What the columnstore's values are compressed by once more is PostgreSQL's own
    /// pglz unless somebody has chosen; LZ4 takes a fraction of its time, for a sixth more disk.
    public init(_ connection: DatabaseConnection) throws(DatabaseError) {
        let operation = "making a session that compresses"
        let canUseLZ4 = try connection.query(
            """
            SELECT FROM pg_catalog.pg_settings
            WHERE name = 'default_toast_compression' AND 'lz4' = ANY (enumvals) AND source = 'default'
            """, operation: operation)
        var settings = [("timescaledb.enable_direct_compress_copy", "on"), (Self.sortSetting, "on")]
        if !canUseLZ4.isEmpty { settings.append(("default_toast_compression", "lz4")) }
        try connection.withSettings { () throws(DatabaseError) in
            try connection.keep(settings.map { ($0.0, $0.1) }, operation: operation)
        }
        var canAsk = true
        do throws(DatabaseError) {
            try connection.query("SELECT \(Self.hasOurOrder(.routing))", operation: Self.operation)
        } catch {
            // A later version may keep it elsewhere.
            guard case .server = error.kind, connection.isUsable, !error.isTransient else { throw error }
            canAsk = false
        }
        canAskForOrder = canAsk
    }

    /// Lets the server take a table's rows as they come until the transaction ends, if it keeps them in the order in which
    /// `CompressionOrder` brings them.
    ///
    /// Compressed rows that do not stand in the order of their chunk's settings come back in the wrong order from a question
    /// with ORDER BY, for ever. So all chunks of the table are looked at; one that has another order keeps the server sorting.
    /// The lock keeps `ALTER TABLE ... SET` away.
    package func takeAsSorted(_ kind: MetricKind, _ connection: DatabaseConnection) throws(DatabaseError) {
        guard canAskForOrder else { return }
        try connection.execute(
            """
            LOCK TABLE ONLY \(SchemaSQL.table(kind)) IN ROW EXCLUSIVE MODE; \
            SELECT pg_catalog.set_config('\(Self.sortSetting)', CASE WHEN \(Self.hasOurOrder(kind)) THEN 'off' ELSE 'on' END, true)
            """, operation: Self.operation)
    }

    /// Looks once more, behind the rows: a chunk that they made has the settings of that moment, and `ALTER TABLE ... RESET`
    /// takes no lock.
    ///
    /// - Throws: a serialization failure where the order is not ours any more. The transaction must be given up.
    package func checkThatTheyWereTaken(_ kind: MetricKind, _ connection: DatabaseConnection) throws(DatabaseError) {
        guard canAskForOrder else { return }
        let rows = try connection.query(
            "SELECT pg_catalog.current_setting('\(Self.sortSetting)') = 'on' OR \(Self.hasOurOrder(kind))",
            operation: Self.operation)
        guard rows.first?.first != "t" else { return }
        throw connection.error(
            .server(
                ServerReport(
                    severity: "ERROR", sqlstate: .serializationFailure,
                    message: "the columnstore of \(SchemaSQL.table(kind)) was given another order meanwhile")))
    }

    /// An SQL expression. The catalog and not its views: those name every hypertable of the database, which takes rights in all
    /// of their schemas, and fail on one that is just being dropped.
    private static func hasOurOrder(_ kind: MetricKind) -> String {
        let table = "'\(SchemaSQL.table(kind))'::regclass"
        return """
            (SELECT coalesce(bool_or(relid = \(table)) AND bool_and((segmentby, orderby, orderby_desc, orderby_nullsfirst) \
            IS NOT DISTINCT FROM (ARRAY['\(kind.segmentColumn)'], ARRAY['time'], ARRAY[true], ARRAY[true])), false) \
            FROM _timescaledb_catalog.compression_settings WHERE relid = \(table) \
            OR relid IN (SELECT inhrelid FROM pg_catalog.pg_inherits WHERE inhparent = \(table)))
            """
    }
}
