// Where a collector of this user keeps what no setting names.

import EmbeddedPostgres

/// The state directory: `$XDG_STATE_HOME/spillway`, `/var/lib/spillway` for root, `~/.local/state/spillway` for others.
enum StateDirectory {
    /// That of root, which other users may read a part of.
    static let ofRoot = "/var/lib/spillway"

    static func path(environment: [String: String]) -> String {
        let database = EmbeddedServer.defaultDirectory(environment: environment)
        return database.lastIndex(of: "/").map { String(database[..<$0]) } ?? database
    }
}
