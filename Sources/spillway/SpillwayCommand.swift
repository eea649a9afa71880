// The program: one command with its subcommands, and the one place where an error becomes a line and an exit code.

import ArgumentParser
import Collector
import Glibc
import LinuxSystem

/// `spillway`
struct SpillwayCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "spillway",
        abstract: "Collects telemetry records and stores each exactly once.",
        discussion: """
            EXAMPLES:
              spillway serve                                         collect into an embedded database
              spillway send --to udp://127.0.0.1:8127 --generate all --count 100000
              spillway encode records.jsonl | spillway decode        there and back again
              spillway stats                                         what came in, and what became of it
              spillway query routing --from -1h                      what is stored

            EXIT CODES:
              0 done, 64 wrong usage, 65 bad data, 69 a server is not available, 70 internal error,
              73 or 74 a file or a disk, 78 configuration
            """,
        version: "0.1.0",
        subcommands: [
            ServeCommand.self, SendCommand.self, EncodeCommand.self, DecodeCommand.self, SchemaCommand.self,
            SpillCommand.self, DeadLettersCommand.self, CleanupCommand.self, StatsCommand.self, QueryCommand.self,
            DatabaseCommand.self,
        ])

    /// Runs the command line of this process on its main thread and exits. Synchronous, since `serve` blocks signals
    /// in the main thread before it starts any other.
    static func start() -> Never {
        openStandardStreams()
        // A write to a closed pipe is an error of that write: files are tidied up and connections closed before the end.
        signal(SIGPIPE, SIG_IGN)
        // A copy, before the originals lose their passwords.
        let arguments = Array(CommandLine.arguments.dropFirst())
        let passwords = hidePasswordsInArguments()
        if !passwords.isEmpty {
            report(
                "warning: a password in an argument can be seen by everybody on this machine when the program starts: put "
                    + "it into TIMESCALEDB_PASSWORD, PGPASSWORD, a password file (PGPASSFILE) or the file of --config")
        }
        do {
            var command = try parseAsRoot(arguments)
            try checkEnvironment()
            try command.run()
            Glibc.exit(0)
        } catch {
            fail(error, passwords)
        }
    }

    /// A variable with a slip of the pen is an error of every command, whether it reads any or none.
    private static func checkEnvironment() throws(CommandError) {
        do throws(ConfigurationError) {
            try EnvironmentNames.check(processEnvironment())
        } catch {
            throw CommandError(.configuration, "\(error)")
        }
    }

    /// Prints help to standard output, or an error as one line to standard error, and exits with its code.
    ///
    /// - Parameter passwords: those of the arguments, some of which the parser may quote.
    private static func fail(_ error: any Error, _ passwords: [String]) -> Never {
        func masked(_ text: String) -> String { passwords.reduce(text) { $0.replacing($1, with: "***") } }
        if let failure = error as? CommandError {
            if failure.code == .outputClosed { endByBrokenPipe() }
            report("error: \(masked(failure.message))")
            Glibc.exit(failure.code.rawValue)
        }
        let code = exitCode(for: error)
        let text = fullMessage(for: error)
        if code.isSuccess {
            do throws(CommandError) { try writeOutput(line: text) } catch { fail(error, passwords) }
        } else if code == .validationFailure {
            report("error: \(masked(oneLine(message(for: error)))) (see spillway --help)")
        } else if !(error is ExitCode) {
            report("error: \(masked(oneLine("\(error)")))")
        }
        Glibc.exit(code == .failure && !(error is ExitCode) ? FailureCode.software.rawValue : code.rawValue)
    }

    /// Ends as other tools do whose output is not wanted any more.
    private static func endByBrokenPipe() -> Never {
        signal(SIGPIPE, SIG_DFL)
        raise(SIGPIPE)
        Glibc.exit(FailureCode.outputClosed.rawValue)
    }

    /// Where a standard stream is closed, the next file or socket that is opened would take its place, and get what is meant for
    /// it: it is opened the wrong way round instead, so that using it fails.
    private static func openStandardStreams() {
        for (descriptor, mode) in [(STDIN_FILENO, O_WRONLY), (STDOUT_FILENO, O_RDONLY), (STDERR_FILENO, O_RDONLY)] {
            guard fcntl(descriptor, F_GETFD) < 0, errno == EBADF else { continue }
            // The lowest descriptor that is free: this one.
            guard open("/dev/null", mode) == descriptor else { Glibc.exit(FailureCode.software.rawValue) }
        }
    }

    private static func oneLine(_ text: String) -> String {
        text.split(whereSeparator: \.isNewline).joined(separator: " ")
    }
}

/// Prints one line on standard error.
func report(_ text: String) { writeStandardError("spillway: \(text)\n") }

/// Writes to standard error without a buffer in between. There is nobody to tell when that fails.
func writeStandardError(_ text: String) {
    text.utf8Span.span.withUnsafeBytes { _ = write(STDERR_FILENO, $0.baseAddress, $0.count) }
}
