import Synchronization

/// Lines from several threads.
package final class Collected: Sendable {
    package init() {}

    private let lines = Mutex<[String]>([])
    package func append(_ line: String) { lines.withLock { $0.append(line) } }
    package var all: [String] { lines.withLock { $0 } }
}
