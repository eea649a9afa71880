// What SIGHUP does: reads the configuration file again, and applies of it what can change while the collector runs.

import Collector
import Glibc
import Logging

/// The settings that are in effect. Used by the main thread.
struct ConfigurationReload {
    private var current: CollectorSettings
    /// Changes that wait for the next start, one line each.
    private var waiting: [String] = []

    init(_ settings: CollectorSettings) { current = settings }

    /// Checks all of the file before anything is applied, and says what has changed and what waits for the next start.
    mutating func run(
        configurationFile path: String?, flags: [Setting: [String]], environment: [String: String],
        _ service: CollectorService, _ level: SharedLogLevel, _ log: Logger
    ) {
        guard let path else {
            return log.notice("nothing is reloaded: there is no configuration file, which --config would name")
        }
        // Opening a pipe would wait for its writer, and no signal would be taken meanwhile.
        var status = stat()
        if stat(path, &status) == 0, status.st_mode & S_IFMT != S_IFREG {
            return refuse("\(path) is not a regular file", service, log)
        }
        let new: CollectorSettings
        do throws(ConfigurationError) {
            new = try CollectorSettings(
                ConfigurationResolver(flags: flags, environment: environment, filePath: path))
        } catch {
            return refuse("\(error)", service, log)
        }
        for warning in new.warnings where !current.warnings.contains(warning) { log.warning("\(warning)") }
        let changes = current.changes(to: new)
        if changes.isEmpty {
            log.notice("the configuration file was read again: nothing has changed", metadata: ["file": "\(path)"])
        }
        waiting = changes.filter { !$0.isReloadable }.map { "\($0.description), which takes effect at the next start" }
        for line in waiting { log.warning("\(line)") }
        for change in changes where change.isReloadable {
            switch change.setting {
            case .logLevel:
                // At whichever of both levels shows it.
                let isShown = level.value <= .notice
                if isShown { log.notice("reloaded: \(change.description)") }
                level.value = new.logLevel
                if !isShown { log.notice("reloaded: \(change.description)") }
            default:
                log.notice("reloaded: \(change.description); the database is changed next, and keeps it")
                service.reload(retention: new.policies)
            }
        }
        current = current.reloaded(new)
        service.configurationNotes.set(current.warnings + waiting)
    }

    /// The operator who sends the signal may not read the log: the status says it too, until a reload works.
    private func refuse(_ reason: String, _ service: CollectorService, _ log: Logger) {
        let line = "nothing is reloaded, the collector goes on with what it has: \(reason)"
        log.error("\(line)")
        service.configurationNotes.set(current.warnings + waiting + [line])
    }
}
