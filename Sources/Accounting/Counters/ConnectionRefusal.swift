// Why connections are turned away, a row each.

/// Why a connection was turned away or ended by the collector.
package enum ConnectionRefusal: String, CaseIterable, Sendable {
    /// The cap on connections in all.
    case tooManyConnections = "too_many_connections"
    /// The cap on connections from one address.
    case tooManyFromAddress = "too_many_from_address"
    /// A frame that had begun was not whole in time.
    case frameDeadline = "frame_deadline"
    /// Nothing came for too long.
    case idleDeadline = "idle_deadline"
    /// There was no room to remember another session that waits for acknowledgements, or another gap of one: all that is
    /// remembered is on its way. The client keeps its frames and comes again.
    case tooManySessions = "too_many_sessions"
    /// It came while the collector was stopping.
    case stopping = "stopping"
    /// No descriptor was free for the next connection, which waits. Each attempt counts.
    case tooManyOpenFiles = "too_many_open_files"

    /// For example `too_many_connections`.
    package var name: String { rawValue }

    /// The refusal's row, from 0. As `Counter.id`.
    var id: Int { Int(unsafeBitCast(self, to: UInt8.self)) }
}
