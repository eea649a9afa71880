// What an operator should know of the configuration that is in effect: names that nothing reads, changes that wait for the next
// start, a file that could not be reloaded.

import Synchronization

/// The configuration's warnings, one line each. Safe from any thread.
package final class ConfigurationNotes: Sendable {
    private let lines: Mutex<[String]>

    init(_ lines: [String]) { self.lines = Mutex(lines) }

    /// Replaces all of them.
    package func set(_ lines: [String]) { self.lines.withLock { $0 = lines } }

    var warnings: [String] { lines.withLock { $0 } }
}
