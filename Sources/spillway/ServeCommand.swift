// `spillway serve`: configuration, the collector, signals.

import ArgumentParser
import Collector
import Glibc
import LinuxSystem
import Logging
import Synchronization

struct ServeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Run the collector in the foreground.",
        discussion: """
            Takes frames over UDP and TCP and stores their records. Prints one line that begins with "ready" when it \
            listens; logs go to standard error. SIGTERM, SIGINT or SIGQUIT: stores what was accepted and ends; a second one, or one \
            before any record can be accepted, ends at once. SIGHUP: reads the file of --config again and applies the log level and \
            the retention; what else has changed there waits for the next start, and the log says so.

            Every setting can also stand in the environment (SPILLWAY_ and its name in capitals) or in the file of \
            --config (key = value); a flag goes before the environment, that before the file. Sizes take KiB, MiB, GiB or kB, \
            MB, GB; lengths of time take ms, s, min, h, d. Without any setting for the database (TIMESCALEDB_HOST and so on, \
            PGHOST and so on, --database) a private server is run.

            Examples:
              spillway serve
              spillway serve --database postgresql://metrics@db.example:5432/metrics --lanes 4
              spillway serve --database postgresql://metrics@db1.example,db2.example/metrics     whichever takes writes
              spillway serve --udp 127.0.0.1:0 --tcp none --http none --database discard
            """)

    @Option(help: Setting.udp.argumentHelp) var udp: [String] = []
    @Option(help: Setting.tcp.argumentHelp) var tcp: [String] = []
    @Option(help: Setting.http.argumentHelp) var http: String?
    @Option(help: Setting.database.argumentHelp) var database: String?
    @Option(help: Setting.databaseTimeout.argumentHelp) var databaseTimeout: String?
    @Option(help: Setting.spillDirectory.argumentHelp) var spillDirectory: String?
    @Option(help: Setting.spillQuota.argumentHelp) var spillQuota: String?
    @Option(help: Setting.spillFreePercent.argumentHelp) var spillFreePercent: String?
    @Option(help: Setting.replayShare.argumentHelp) var replayShare: String?
    @Flag(help: Setting.journal.argumentHelp) var journal = false
    @Option(help: Setting.lanes.argumentHelp) var lanes: String?
    @Option(help: Setting.flushInterval.argumentHelp) var flushInterval: String?
    @Option(help: Setting.batchRecords.argumentHelp) var batchRecords: String?
    @Option(help: Setting.batchBytes.argumentHelp) var batchBytes: String?
    @Option(help: Setting.ringBytes.argumentHelp) var ringBytes: String?
    @Option(help: Setting.udpThreads.argumentHelp) var udpThreads: String?
    @Option(help: Setting.receiveBuffer.argumentHelp) var receiveBuffer: String?
    @Option(help: Setting.connections.argumentHelp) var connections: String?
    @Option(help: Setting.connectionsPerSource.argumentHelp) var connectionsPerSource: String?
    @Option(help: Setting.frameDeadline.argumentHelp) var frameDeadline: String?
    @Option(help: Setting.idleDeadline.argumentHelp) var idleDeadline: String?
    @Option(help: Setting.sources.argumentHelp) var sources: String?
    @Flag(help: Setting.allowUnauthenticated.argumentHelp) var allowUnauthenticated = false
    @Option(help: Setting.systemMetrics.argumentHelp) var systemMetrics: String?
    @Option(help: Setting.systemID.argumentHelp) var systemID: String?
    @Option(help: Setting.acceptPast.argumentHelp) var acceptPast: String?
    @Option(help: Setting.acceptFuture.argumentHelp) var acceptFuture: String?
    @Option(help: Setting.timescaledb.argumentHelp) var timescaledb: String?
    @Option(help: Setting.daysAhead.argumentHelp) var daysAhead: String?
    @Option(help: Setting.retention.argumentHelp) var retention: [String] = []
    @Option(help: Setting.compression.argumentHelp) var compression: [String] = []
    @Option(help: Setting.chunkInterval.argumentHelp) var chunkInterval: [String] = []
    @Flag(help: Setting.directCompress.argumentHelp) var directCompress = false
    @Option(help: Setting.index.argumentHelp) var index: [String] = []
    @Option(help: Setting.shutdownDeadline.argumentHelp) var shutdownDeadline: String?
    @Option(help: Setting.logLevel.argumentHelp) var logLevel: String?
    @Option(help: "A file of settings, a line 'key = value' each.") var config: String?
    @Flag(help: "Print what holds and where each value came from, and end.") var printConfiguration = false
    @Flag(help: "With --print-configuration: as JSON.") var json = false

    private var flags: [Setting: [String]] {
        let single: [(Setting, String?)] = [
            (.http, http), (.database, database), (.databaseTimeout, databaseTimeout),
            (.spillDirectory, spillDirectory), (.spillQuota, spillQuota), (.spillFreePercent, spillFreePercent),
            (.replayShare, replayShare), (.journal, journal ? "true" : nil),
            (.lanes, lanes), (.flushInterval, flushInterval),
            (.batchRecords, batchRecords), (.batchBytes, batchBytes), (.ringBytes, ringBytes),
            (.udpThreads, udpThreads), (.receiveBuffer, receiveBuffer), (.connections, connections),
            (.connectionsPerSource, connectionsPerSource), (.frameDeadline, frameDeadline),
            (.idleDeadline, idleDeadline), (.sources, sources),
            (.allowUnauthenticated, allowUnauthenticated ? "true" : nil), (.systemMetrics, systemMetrics),
            (.systemID, systemID), (.acceptPast, acceptPast), (.acceptFuture, acceptFuture),
            (.timescaledb, timescaledb), (.daysAhead, daysAhead),
            (.shutdownDeadline, shutdownDeadline),
            (.logLevel, logLevel), (.directCompress, directCompress ? "true" : nil),
        ]
        var flags: [Setting: [String]] = [
            .udp: udp, .tcp: tcp, .retention: retention, .compression: compression, .chunkInterval: chunkInterval,
            .index: index,
        ]
        for (setting, value) in single { flags[setting] = value.map { [$0] } }
        return flags
    }

    func run() throws {
        let environment = processEnvironment()
        let settings: CollectorSettings
        do throws(ConfigurationError) {
            settings = try CollectorSettings(
                ConfigurationResolver(flags: flags, environment: environment, filePath: config))
        } catch {
            throw CommandError(.configuration, "\(error)")
        }
        if printConfiguration {
            try writeOutput(json ? settings.reportJSON : settings.reportText)
            return
        }

        let level = SharedLogLevel(settings.logLevel)
        let log = level.logger(label: "spillway")
        let signals = try ServeSignals(log: log)
        for warning in settings.warnings { log.warning("\(warning)") }
        let service: CollectorService
        do throws(CollectorError) {
            service = try CollectorService(settings, environment: environment, log: log) { signals.accepting() }
        } catch {
            throw CommandError(error)
        }
        // A stop that was asked for meanwhile comes first: this collector never becomes ready.
        let unannounced = signals.isStopRequested ? nil : announce(service.readyLine, log)
        if unannounced == nil {
            var reload = ConfigurationReload(settings)
            while case .reload = signals.next() {
                reload.run(configurationFile: config, flags: flags, environment: environment, service, level, log)
            }
        }
        log.notice("stopping: accepted records are stored first; a second signal ends the process at once")
        guard service.stop() else {
            throw CommandError(.unavailable, "records that were accepted could not be stored; see the log")
        }
        log.notice("stopped")
        if let unannounced { throw unannounced }
    }

    /// - Returns: why the line could not be written. What waits for it would wait for ever: the collector stops then. A reader
    ///   that has gone does not wait, and the collector works without it.
    private func announce(_ readyLine: String, _ log: Logger) -> CommandError? {
        do throws(CommandError) {
            try writeOutput(line: readyLine)
            return nil
        } catch {
            guard error.code == .outputClosed else { return error }
            log.warning("the ready line was not written, since standard output has no reader")
            return nil
        }
    }
}

extension Setting {
    /// With the default, where there is one to show.
    fileprivate var argumentHelp: ArgumentHelp {
        let shown =
            defaultText.map {
                $0.isEmpty || self == .allowUnauthenticated || self == .journal || self == .directCompress
                    ? "" : " (default: \($0))"
            } ?? ""
        return ArgumentHelp(stringLiteral: help + shown)
    }
}
