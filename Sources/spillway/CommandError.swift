// How a command ends when it cannot do its work: a code for scripts and a line for people.

import LinuxSystem
import SpillwayClient

/// The exit codes other than 0, after sysexits.h.
enum FailureCode: Int32 {
    case usage = 64
    case badData = 65
    case unavailable = 69
    case software = 70
    case cannotCreate = 73
    case inputOutput = 74
    case configuration = 78
    /// Standard output has no reader any more: the code that a shell shows for the end by SIGPIPE. Without a message.
    case outputClosed = 141
}

/// Ends the command. The message says what is wrong, where, and what to do, in one line.
struct CommandError: Error, Equatable {
    let code: FailureCode
    let message: String

    init(_ code: FailureCode, _ message: String) {
        self.code = code
        self.message = message
    }

    init(_ error: ClientError) {
        switch error {
        case .invalidAddress, .unsupportedTransport: self.init(.usage, "\(error)")
        case .badSetting: self.init(.configuration, "\(error)")
        case .system, .unresolvable, .timedOut, .noRoom, .closed, .badReply:
            self.init(.unavailable, "\(error); is a collector listening there?")
        }
    }
}

/// Calls `body`, whose errors end the command.
func connecting<Value: ~Copyable>(_ body: () throws(ClientError) -> Value) throws(CommandError) -> Value {
    do throws(ClientError) {
        return try body()
    } catch {
        throw CommandError(error)
    }
}
