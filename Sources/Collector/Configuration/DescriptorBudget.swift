// How the descriptors that this process may open are shared: TCP connections get what is left when everything else has its
// part, so that they can take none from the HTTP side, the lanes and the spill.

/// The parts of one limit. A plain value.
struct DescriptorBudget: Equatable {
    /// What the soft limit is raised to where the hard one allows it.
    static let wantedLimit = 1 << 20
    private static let httpConnectionsMax = 256
    private static let segmentsMax = 256
    /// Streams, event loops, wake events, files that are read for a moment, connections that are accepted to be refused.
    private static let otherDescriptors = 64
    /// A connection and what libpq opens while it connects.
    private static let descriptorsPerLane = 3

    /// Of each TCP address.
    let connectionsMax: Int
    let httpConnections: Int
    /// Segments of the spill that are kept open.
    let segments: Int
    /// What the operator should know; nil when all fits.
    let warning: String?

    /// - Parameters:
    ///   - limit: descriptors of this process.
    ///   - connections: what is configured for each TCP address.
    ///   - udpSockets: of all UDP addresses.
    init(limit: Int, connections: Int, tcpAddresses: Int, udpSockets: Int, lanes: Int, hasSpill: Bool) {
        httpConnections = min(Self.httpConnectionsMax, max(4, limit / 8))
        segments = hasSpill ? min(Self.segmentsMax, max(2, limit / 8)) : 0
        let reserved =
            Self.otherDescriptors + (lanes + 2) * Self.descriptorsPerLane + udpSockets + httpConnections + segments
        let wanted = connections * tcpAddresses
        let left = limit - reserved
        connectionsMax = tcpAddresses == 0 ? connections : min(connections, max(1, left / tcpAddresses))
        warning =
            left >= wanted
            ? nil
            : "this process may have \(limit) files and sockets open, and \(wanted) TCP connections beside everything else "
                + "need \(wanted + reserved): at most \(connectionsMax * tcpAddresses) connections are taken. Raise the limit "
                + "(ulimit -n, LimitNOFILE= of the unit) or lower --connections"
    }

    init(limit: Int, _ settings: CollectorSettings, hasSpill: Bool) {
        self.init(
            limit: limit, connections: settings.connectionsMax, tcpAddresses: settings.tcp.count,
            udpSockets: settings.udp.count * settings.udpThreads, lanes: settings.lanes, hasSpill: hasSpill)
    }
}
