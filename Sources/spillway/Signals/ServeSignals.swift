// The signals of `serve`, taken by a thread of their own. None but SIGKILL, SIGSTOP and those of the program's own faults ends
// the process unasked: a closed terminal or a habit must not lose what was accepted.
//
// Until the collector accepts records, a stop ends the process at once: a start that waits for a database can be interrupted,
// and nothing is lost by it. From then on the first one asks for the stop, which comes when the start has ended, and the next
// one of an operator ends the process.

import Glibc
import LinuxSystem
import Logging
import Synchronization

/// Takes every signal that can be taken.
final class ServeSignals: Sendable {
    /// What the main thread is to do.
    enum Event {
        case stop
        case reload
    }

    private enum Phase {
        case starting
        case accepting
        case stopping
    }

    private struct State {
        var phase = Phase.starting
        var wantsReload = false
    }

    private let state = Mutex(State())
    private let changed: WakeEvent
    private let log: Logger

    /// Call it before any other thread starts, so that all of them leave the signals to the one that takes them.
    init(log: Logger) throws {
        self.log = log
        changed = try WakeEvent()
        var set = Self.set
        pthread_sigmask(SIG_BLOCK, &set, nil)
        // A write to a closed connection is an error of that write, not the end of the process.
        signal(SIGPIPE, SIG_IGN)
        _ = try NamedThread(name: "signals") { [self] in
            while true { take() }
        }
    }

    /// From here on a stop stores what was accepted.
    func accepting() { state.withLock { $0.phase = .accepting } }

    var isStopRequested: Bool { state.withLock { $0.phase == .stopping } }

    /// Waits for what the main thread is to do next.
    func next() -> Event {
        while true {
            let event: Event? = state.withLock { state in
                if state.phase == .stopping { return .stop }
                guard state.wantsReload else { return nil }
                state.wantsReload = false
                return .reload
            }
            if let event { return event }
            if changed.wait(timeoutMilliseconds: 60_000) { changed.consume() }
        }
    }

    private func take() {
        var set = Self.set
        var info = siginfo_t()
        let number = sigwaitinfo(&set, &info)
        guard number > 0 else { return }
        let sender = info._sifields._kill.si_pid
        // The log's own reader has gone: a line about that would be the next one.
        if number == SIGPIPE, sender == getpid() { return }
        let meaning = SignalMeaning.of(number)
        let metadata: Logger.Metadata =
            info.si_code == 0
            ? ["from_process": "\(sender)", "from_user": "\(info._sifields._kill.si_uid)"] : [:]
        switch meaning.action {
        case .stop: stop(number, meaning, metadata)
        case .reload: reload(meaning, metadata)
        case .ignore:
            log.log(
                level: SignalMeaning.isUsual.contains(number) ? .debug : .notice,
                "\(meaning.name) is ignored: SIGTERM stops the collector, SIGHUP reads its configuration file again",
                metadata: metadata)
        }
    }

    private func stop(_ number: Int32, _ meaning: SignalMeaning, _ metadata: Logger.Metadata) {
        let isFirst = state.withLock { state in
            // Within the lock: a start that reaches its listeners meanwhile must not accept records that this would lose.
            // With the exit code that a shell expects of a process that a signal ended. An embedded server ends with it.
            let isHasty = state.phase == .starting || state.phase == .stopping && meaning.isFromOperator
            guard !isHasty else { _exit(128 + number) }
            defer { state.phase = .stopping }
            return state.phase == .accepting
        }
        guard isFirst else {
            return log.notice("\(meaning.name) is ignored: the collector stops already", metadata: metadata)
        }
        log.notice("\(meaning.name): an orderly stop was asked for", metadata: metadata)
        changed.signal()
    }

    private func reload(_ meaning: SignalMeaning, _ metadata: Logger.Metadata) {
        let phase = state.withLock { state in
            state.wantsReload = true
            return state.phase
        }
        switch phase {
        case .starting:
            log.notice("\(meaning.name): the configuration file is read again after the start", metadata: metadata)
        case .accepting: log.notice("\(meaning.name): reading the configuration file again", metadata: metadata)
        case .stopping: log.notice("\(meaning.name) is ignored: the collector stops", metadata: metadata)
        }
        changed.signal()
    }

    private static var set: sigset_t {
        var set = sigset_t()
        sigfillset(&set)
        for fault in SignalMeaning.faults { sigdelset(&set, fault) }
        return set
    }
}
