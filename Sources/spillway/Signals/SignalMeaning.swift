// What each signal means to `serve`: one row for each that has a name.

import Glibc

/// What a signal asks for.
struct SignalMeaning {
    enum Action {
        /// An orderly stop.
        case stop
        /// Reads the configuration file again.
        case reload
        /// Nothing: a line in the log.
        case ignore
    }

    let name: String
    let action: Action
    /// An operator sends it, and sends it again when the stop takes too long.
    let isFromOperator: Bool

    static func of(_ number: Int32) -> SignalMeaning {
        if let known = table[number] {
            return SignalMeaning(name: known.name, action: known.action, isFromOperator: hasty.contains(number))
        }
        return SignalMeaning(name: "signal \(number)", action: .ignore, isFromOperator: false)
    }

    /// A second one of these ends the process at once.
    private static let hasty: Set<Int32> = [SIGTERM, SIGINT, SIGQUIT]

    private static let table: [Int32: (name: String, action: Action)] = [
        SIGTERM: ("SIGTERM", .stop), SIGINT: ("SIGINT", .stop), SIGQUIT: ("SIGQUIT", .stop),
        // The power fails, the processor time is used up, a watchdog wants an end.
        SIGPWR: ("SIGPWR", .stop), SIGXCPU: ("SIGXCPU", .stop), SIGABRT: ("SIGABRT", .stop),
        SIGHUP: ("SIGHUP", .reload),
        SIGUSR1: ("SIGUSR1", .ignore), SIGUSR2: ("SIGUSR2", .ignore), SIGPIPE: ("SIGPIPE", .ignore),
        SIGALRM: ("SIGALRM", .ignore), SIGVTALRM: ("SIGVTALRM", .ignore), SIGPROF: ("SIGPROF", .ignore),
        SIGIO: ("SIGIO", .ignore), SIGSTKFLT: ("SIGSTKFLT", .ignore), SIGXFSZ: ("SIGXFSZ", .ignore),
        SIGTSTP: ("SIGTSTP", .ignore), SIGTTIN: ("SIGTTIN", .ignore), SIGTTOU: ("SIGTTOU", .ignore),
        SIGCONT: ("SIGCONT", .ignore), SIGURG: ("SIGURG", .ignore), SIGWINCH: ("SIGWINCH", .ignore),
        SIGCHLD: ("SIGCHLD", .ignore),
    ]

    /// The kernel sends these without a reason to report them: a child has ended, a window has another size.
    static let isUsual: Set<Int32> = [SIGCHLD, SIGWINCH, SIGURG, SIGCONT]

    /// Raised by an instruction at fault: no thread can go on after one.
    static let faults: [Int32] = [SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS]
}
