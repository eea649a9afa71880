// One of many collectors does what a database needs done once: the one that holds an advisory lock for as long as its session lives.

/// A lock that makes its holder the leader of something. Used by one thread, outside of transactions.
package struct Leadership {
    /// Dropping old rows and tending the ledger: `spillead` in ASCII.
    package static let housekeeping = Leadership(key: 0x7370_696C_6C65_6164)
    /// The sweep through the ranges of sessions, which needs no right that a collector does not have: `spillswp`.
    package static let sessionSweep = Leadership(key: 0x7370_696C_6C73_7770)

    /// Making native partitions, which takes several transactions: `spillprt`.
    package static let partitions = Leadership(key: 0x7370_696C_6C70_7274)

    package let key: Int64

    /// Whether this session is the leader, which it becomes when there is none. Locks of a session count: one is enough.
    ///
    /// Behind a pooler no lock outlives a transaction: it would stay with a session that serves other clients next, and no
    /// collector would be the leader any more. There it says that no other session is the leader at this moment. What leaders do
    /// can be done by several at once, except where `connection.isPooled` is checked.
    package func isHeld(by connection: DatabaseConnection) throws(DatabaseError) -> Bool {
        if connection.isPooled {
            let rows = try connection.query(
                "SELECT pg_try_advisory_xact_lock(\(key))", operation: "asking which collector is the leader")
            return rows.first?.first == "t"
        }
        let rows = try connection.query(
            """
            SELECT EXISTS (
                SELECT FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND granted
                    AND classid = \(UInt32(truncatingIfNeeded: key >> 32))::oid
                    AND objid = \(UInt32(truncatingIfNeeded: key))::oid AND objsubid = 1
                    AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
            ) OR pg_try_advisory_lock(\(key))
            """, operation: "asking which collector is the leader")
        return rows.first?.first == "t"
    }

    /// Lets another session be the leader.
    package func stepDown(_ connection: DatabaseConnection) throws(DatabaseError) {
        guard !connection.isPooled else { return }
        try connection.query("SELECT pg_advisory_unlock(\(key))", operation: "stepping down as the leader")
    }
}
