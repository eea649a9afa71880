// What an operator must know of descriptors: a limit that is too low for the settings, and connections that wait because no
// descriptor is free.

import Accounting
import Glibc
import LinuxSystem
import Listeners
import Logging
import Synchronization

/// Notes failures to accept. Safe from any thread.
final class DescriptorWatch: Sendable {
    /// For so long a failure is shown.
    private static let shownNanoseconds: UInt64 = 60_000_000_000
    private static let logNanoseconds: UInt64 = 10_000_000_000

    let limit: Int
    private let budgetWarning: String?
    private let accounting: Accounting
    private let log: Logger

    private struct Failure {
        var at: UInt64
        var text: String
        var nextLog: UInt64
    }

    private let failure = Mutex<Failure?>(nil)

    init(limit: Int, budget: DescriptorBudget, accounting: Accounting, log: Logger) {
        self.limit = limit
        budgetWarning = budget.warning
        self.accounting = accounting
        self.log = log
        if let warning = budget.warning { log.warning("\(warning)") }
    }

    /// A connection could not be accepted and waits.
    ///
    /// - Parameter side: for example `TCP`.
    func acceptFailed(_ code: Int32, side: String) {
        accounting.acceptFailed()
        let now = monotonicNanoseconds()
        let reason =
            switch code {
            case EMFILE: "this process has as many files and sockets open as it may, \(limit) when it started"
            case ENFILE: "the machine has as many files open as it may (fs.file-max)"
            default: String(cString: strerror(code))
            }
        let text =
            "\(side) connections wait, since no descriptor is free: \(reason). Raise the limit (ulimit -n, LimitNOFILE= of "
            + "the unit) or lower --connections"
        let isDue = failure.withLock { failure in
            let isDue = now >= failure?.nextLog ?? 0
            failure = Failure(at: now, text: text, nextLog: isDue ? now &+ Self.logNanoseconds : failure?.nextLog ?? 0)
            return isDue
        }
        if isDue { log.error("\(text)") }
    }

    /// One line for each fault of now.
    var warnings: [String] {
        let recent = failure.withLock { $0 }.flatMap {
            monotonicNanoseconds() &- $0.at < Self.shownNanoseconds ? $0.text : nil
        }
        return [budgetWarning, recent].compactMap(\.self)
    }
}
