// The level of the log, which a reload changes for every part of the collector at once.

import Logging
import Synchronization

/// The level of all loggers that were made from it. Safe from any thread.
final class SharedLogLevel: Sendable {
    private let index: Atomic<Int>

    init(_ level: Logger.Level) { index = Atomic(Self.index(of: level)) }

    /// Relaxed: a line more or less at the moment of the change.
    var value: Logger.Level {
        get { Logger.Level.allCases[index.load(ordering: .relaxed)] }
        set { index.store(Self.index(of: newValue), ordering: .relaxed) }
    }

    private static func index(of level: Logger.Level) -> Int {
        guard let index = Logger.Level.allCases.firstIndex(of: level) else { preconditionFailure("a level is a case") }
        return index
    }

    /// A logger to standard error.
    func logger(label: String) -> Logger {
        Logger(label: label) { LeveledLogHandler(stream: .standardError(label: $0), level: self) }
    }
}

/// Writes to a stream what is at the shared level or above.
private struct LeveledLogHandler: LogHandler {
    var stream: StreamLogHandler
    let level: SharedLogLevel

    var logLevel: Logger.Level {
        get { level.value }
        // One level for the process: the configuration's.
        nonmutating set { level.value = newValue }
    }

    var metadata: Logger.Metadata {
        get { stream.metadata }
        set { stream.metadata = newValue }
    }

    var metadataProvider: Logger.MetadataProvider? {
        get { stream.metadataProvider }
        set { stream.metadataProvider = newValue }
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { stream[metadataKey: key] }
        set { stream[metadataKey: key] = newValue }
    }

    func log(event: LogEvent) { stream.log(event: event) }
}
