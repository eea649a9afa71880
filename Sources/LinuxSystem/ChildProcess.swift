// A child process that is started, watched, signalled and reaped by its id. A signal can never reach a stranger:
// the id stays taken until the child is reaped, and signalling and reaping exclude each other.

import CLinux
import Glibc
import Synchronization

/// A running program. See `spillway_spawn` for what it inherits: its output descriptor and nothing else.
public final class ChildProcess: Sendable {
    /// How a program ended.
    public enum ExitStatus: Equatable, Sendable, CustomStringConvertible {
        case exited(code: Int32)
        case killed(signal: Int32)

        public var description: String {
            switch self {
            case .exited(let code): "exit code \(code)"
            case .killed(let signal): "signal \(signal)"
            }
        }
    }

    /// The process id, which is also its process group's.
    public let id: Int32
    private let program: String
    private let pidDescriptor: Int32
    private let status = Mutex<ExitStatus?>(nil)

    /// Starts `arguments[0]`, which is looked up in the collector's PATH unless it holds a slash.
    ///
    /// A parent-death signal that the program asks for follows the calling *thread*: start such programs from a
    /// thread that lives until they have ended.
    ///
    /// - Parameters:
    ///   - arguments: the program and its arguments; must not be empty.
    ///   - environment: all of the program's variables.
    ///   - output: where its standard output and standard error go; stays open here.
    /// - Throws: `SystemCallError` naming the program.
    public init(arguments: [String], environment: [String: String], output: Int32) throws(SystemCallError) {
        precondition(!arguments.isEmpty, "a child process needs a program")
        program = arguments[0]
        var pid: pid_t = 0
        let code = withCStrings(arguments) { arguments in
            withCStrings(environment.map { "\($0.key)=\($0.value)" }) { environment in
                spillway_spawn(arguments[0], arguments, environment, output, &pid)
            }
        }
        guard code == 0 else { throw SystemCallError(call: "posix_spawn", code: code, object: program) }
        id = pid
        pidDescriptor = spillway_pidfd_open(pid)
        guard pidDescriptor >= 0 else {
            let error = SystemCallError(call: "pidfd_open", code: errno, object: program)
            kill(pid, SIGKILL)
            waitpid(pid, nil, 0)
            throw error
        }
    }

    deinit { close(pidDescriptor) }

    /// Waits for the program's end and reaps it. May be called again, and from several threads.
    public func wait() throws(SystemCallError) -> ExitStatus {
        var entry = pollfd(fd: pidDescriptor, events: Int16(POLLIN), revents: 0)
        try checkedCall("poll", object: program) { Int(poll(&entry, 1, -1)) }
        return try reap()
    }

    /// The same with a limit.
    ///
    /// - Returns: nil when the program still runs after that time.
    public func wait(timeoutMilliseconds: Int32) throws(SystemCallError) -> ExitStatus? {
        let deadline = monotonicNanoseconds() + UInt64(max(0, timeoutMilliseconds)) * 1_000_000
        var entry = pollfd(fd: pidDescriptor, events: Int16(POLLIN), revents: 0)
        let ready = try checkedCall("poll", object: program) {
            let now = monotonicNanoseconds()
            return Int(poll(&entry, 1, now < deadline ? Int32((deadline - now) / 1_000_000) : 0))
        }
        return ready > 0 ? try reap() : nil
    }

    /// Sends a signal, unless the program has been reaped.
    public func signal(_ number: Int32) {
        status.withLock { status in
            if status == nil { kill(id, number) }
        }
    }

    private func reap() throws(SystemCallError) -> ExitStatus {
        try status.withLock { (status) throws(SystemCallError) -> ExitStatus in
            if let status { return status }
            var raw: Int32 = 0
            try checkedCall("waitpid", object: program) { Int(waitpid(id, &raw, 0)) }
            var isSignal: Int32 = 0
            let number = spillway_exit_code(raw, &isSignal)
            let ended: ExitStatus = isSignal == 1 ? .killed(signal: number) : .exited(code: number)
            status = ended
            return ended
        }
    }
}

/// Calls `body` with a null-terminated array of C strings that lives for that call.
private func withCStrings<Result>(
    _ strings: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> Result
) -> Result {
    var copies: [UnsafeMutablePointer<CChar>?] = strings.map { strdup($0) }
    defer { for copy in copies { free(copy) } }
    copies.append(nil)
    return body(copies)
}
