// What can be configured: each setting stands here once, with its names, default and help.

/// A setting of the collector. The raw value is its key in the file; the flag and the variable are made from it.
package enum Setting: String, CaseIterable, Sendable {
    case udp
    case tcp
    case http
    case database
    case databaseTimeout = "database-timeout"
    case spillDirectory = "spill-directory"
    case spillQuota = "spill-quota"
    case spillFreePercent = "spill-free-percent"
    case replayShare = "replay-share"
    case journal
    case lanes
    case flushInterval = "flush-interval"
    case batchRecords = "batch-records"
    case batchBytes = "batch-bytes"
    case ringBytes = "ring-bytes"
    case udpThreads = "udp-threads"
    case receiveBuffer = "receive-buffer"
    case connections
    case connectionsPerSource = "connections-per-source"
    case frameDeadline = "frame-deadline"
    case idleDeadline = "idle-deadline"
    case sources
    case allowUnauthenticated = "allow-unauthenticated"
    case systemMetrics = "system-metrics"
    case systemID = "system-id"
    case acceptPast = "accept-past"
    case acceptFuture = "accept-future"
    case timescaledb
    case daysAhead = "days-ahead"
    case retention
    case compression
    case chunkInterval = "chunk-interval"
    case directCompress = "direct-compress"
    case index
    case shutdownDeadline = "shutdown-deadline"
    case logLevel = "log-level"

    /// On the command line.
    package var flag: String { "--" + rawValue }

    /// In the environment, beside the older names of `alias`.
    package var variable: String { "SPILLWAY_" + rawValue.uppercased().replacing("-", with: "_") }

    /// A variable that users of this family of systems have already.
    package var alias: String? { self == .systemMetrics ? "ENABLE_SYSTEM_METRICS" : nil }

    /// Whether the setting is a list: repeated flags, or values with commas between them.
    package var isList: Bool {
        switch self {
        case .udp, .tcp, .retention, .compression, .chunkInterval, .index: true
        default: false
        }
    }

    /// The value without any configuration; nil for what is found out, or is as the database has it.
    package var defaultText: String? {
        switch self {
        case .udp, .tcp: "127.0.0.1:8127"
        case .http: "127.0.0.1:8128"
        case .database, .spillDirectory, .retention, .compression, .chunkInterval, .index: nil
        case .databaseTimeout: "30s"
        case .spillQuota: "10GiB"
        case .spillFreePercent: "5%"
        case .replayShare: "50%"
        case .journal: "false"
        case .lanes: "\(MachineDefaults.here.lanes)"
        case .flushInterval: "250ms"
        case .batchRecords: "50000"
        case .batchBytes: "8MiB"
        case .ringBytes: Quantity.bytes.text(MachineDefaults.here.ringBytes)
        case .udpThreads: "\(MachineDefaults.here.udpThreads)"
        case .receiveBuffer: "8MiB"
        case .connections: "1024"
        case .connectionsPerSource: "256"
        case .frameDeadline: "30s"
        case .idleDeadline: "10min"
        case .sources: "10000"
        case .allowUnauthenticated: "false"
        case .systemMetrics: "true"
        case .systemID: ""
        case .acceptPast: "1826d"
        case .acceptFuture: "1h"
        case .timescaledb: "auto"
        case .daysAhead: "3d"
        case .directCompress: "false"
        case .shutdownDeadline: "60s"
        case .logLevel: "info"
        }
    }

    /// What a setting's number counts; settings without a number have none.
    var quantity: Quantity {
        switch self {
        case .spillQuota, .batchBytes, .ringBytes, .receiveBuffer: .bytes
        case .flushInterval: .milliseconds
        case .acceptPast, .acceptFuture, .databaseTimeout, .frameDeadline, .idleDeadline, .shutdownDeadline: .seconds
        case .daysAhead: .days
        case .spillFreePercent, .replayShare: .percent
        default: .count
        }
    }

    /// One line for people.
    package var help: String {
        switch self {
        case .udp: "Where to take datagrams: ADDR:PORT, port 0 for a free one, 'none' for none. Repeatable."
        case .tcp: "Where to take connections: ADDR:PORT, port 0 for a free one, 'none' for none. Repeatable."
        case .http: "Where to answer /healthz, /readyz, /stats and /metrics, or 'none'."
        case .database: "Where rows go: a URL, embedded[:DIR], or discard (decode and drop, for measuring)."
        case .databaseTimeout:
            "How long the database may make no progress before its connection is replaced, for example 30s."
        case .spillDirectory:
            "Where batches are kept that the database cannot take: an absolute path, or 'none'. By default 'spill' in the state directory."
        case .spillQuota: "The largest size of the spill on disk, for example 10GiB."
        case .spillFreePercent: "How much of the spill's disk stays free, in percent."
        case .replayShare: "The spill's share of the lanes while live records come too, in percent."
        case .journal: "Send every batch through the spill: what was taken survives a crash, over UDP too."
        case .lanes: "Connections that store batches side by side. By default half as many as there are cores, 2 to 16."
        case .flushInterval: "How long a record waits at most for its batch to be closed, for example 250ms."
        case .batchRecords: "Records of a full batch. A free lane takes a quarter of one, but for direct compression."
        case .batchBytes: "The size of the frames of a full batch, for example 8MiB."
        case .ringBytes: "The size of the ring between listeners and drain: a power of two, for example 32MiB."
        case .udpThreads: "Threads that receive datagrams, for each address. By default one for four cores."
        case .receiveBuffer: "What the kernel may keep for each UDP socket, for example 8MiB."
        case .connections: "TCP connections in all."
        case .connectionsPerSource: "TCP connections from one address."
        case .frameDeadline: "How long a frame that has begun may take to arrive over TCP, for example 30s."
        case .idleDeadline: "How long a TCP connection may be silent, for example 10min."
        case .sources: "Sources with an account of their own; frames of others are stored and counted together."
        case .allowUnauthenticated: "Listen on other addresses than loopback, where anybody can send."
        case .systemMetrics: "Send this host's own system record every ten seconds."
        case .systemID: "The name of this host in its own records; the host's name if empty."
        case .acceptPast:
            "How far before its arrival a record's time may lie, for example 90d, or 'off'. Other records become dead letters. 'off', for backfills, also lifts the limit of 32 new chunks older than a week for a source and hour."
        case .acceptFuture: "How far after its arrival a record's time may lie, for example 1h, or 'off'."
        case .timescaledb:
            "auto: new tables are hypertables where the server offers TimescaleDB. off: they have native partitions, whatever it offers."
        case .daysAhead: "Days for which partitions are made ahead."
        case .retention:
            "How long rows stay: 90d for all tables, KIND=30d for one, 'off' for ever. Repeatable; kept in the database, which begins with 90d."
        case .compression:
            "When chunks are compressed, on TimescaleDB's Community edition: 30d, KIND=15d, 'off'. Repeatable; kept in the database, which begins with 30d and system=7d."
        case .chunkInterval:
            "The time of a hypertable's chunk: 1d, KIND=6h. Repeatable; kept in the database, which begins with 1d."
        case .directCompress: "Compress rows while they come in, on TimescaleDB's Community edition from 2.21."
        case .index:
            "An index on a field that rows are looked for by, besides the one on time: KIND=FIELD, for example routing=query_id. Repeatable; each costs every row."
        case .shutdownDeadline: "How long a stop may wait for the database, for example 60s."
        case .logLevel: "trace, debug, info, notice, warning, error or critical."
        }
    }
}
