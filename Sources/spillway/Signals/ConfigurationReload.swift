// What SIGHUP does: reads the configuration file again, and applies of it what can change while the collector runs.

import Collector
import Glibc
import Logging

/// The settings that are in effect. Used by the main thread.
struct ConfigurationReload {
    private var current: CollectorSettings

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
            return log.error("nothing is reloaded: \(path) is not a regular file")
        }
        let new: CollectorSettings
        do throws(ConfigurationError) {
            new = try CollectorSettings(
                ConfigurationResolver(flags: flags, environment: environment, filePath: path))
        } catch {
            return log.error("nothing is reloaded, the collector goes on with what it has: \(error)")
        }
        for warning in new.warnings where !current.warnings.contains(warning) { log.warning("\(warning)") }
        let changes = current.changes(to: new)
        if changes.isEmpty {
            log.notice("the configuration file was read again: nothing has changed", metadata: ["file": "\(path)"])
        }
        for change in changes where !change.isReloadable {
            log.warning("\(change.description), which takes effect at the next start")
        }
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
    }
}
