// Other spills of this machine with records that this collector does not store: what they hold and how it is imported, for the
// operator. An import removes the segments, and with them the line.

import Logging
import SpillLog
import Synchronization

/// The spills that were found at the start. Safe from any thread.
final class StrandedSpills: Sendable {
    private let found: [StrandedSpill]
    /// This collector's database, once it is known where it is.
    private let database = Mutex("")

    /// Looks through the state directory and the spill's own folder.
    init(_ settings: CollectorSettings) {
        let own = settings.spillPath ?? ""
        let folders = [settings.stateDirectory] + (own.isEmpty ? [] : [own])
        found = SpillSearch(below: folders, except: own).found
    }

    /// Reports them in the log.
    ///
    /// - Parameter database: that of this collector, without a password.
    func report(database: String, _ log: Logger) {
        self.database.withLock { $0 = database }
        for line in warnings { log.warning("\(line)") }
    }

    /// One line for each that still holds something. O(spills) folders are listed.
    var warnings: [String] { found.filter(\.isStranded).map(line) }

    /// Records that wait in them, as far as they could be counted.
    var records: Int { found.filter(\.isStranded).reduce(0) { $0 + $1.records } }

    private func line(_ spill: StrandedSpill) -> String {
        if let failure = spill.failure {
            return "another spill, \(spill.path), holds segments and cannot be looked through: \(failure)"
        }
        let owner = spill.database.map { "for \($0)" } ?? "for a database that it does not name"
        return
            "the spill \(spill.path) holds up to \(spill.records) records \(owner), which this collector does not store (it "
            + "stores to \(database.withLock { $0 })): import them with 'spillway spill replay --spill-directory "
            + "\(spill.path) --database URL', where URL is the database that they are to go to"
    }
}
