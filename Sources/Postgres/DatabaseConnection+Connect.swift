// Connecting step by step: one server after the other, each under its deadline.

import CPostgreSQL
import Glibc
import LinuxSystem

extension DatabaseConnection {
    /// Keywords for what the location leaves open. The kernel gives a dead peer up after about a minute.
    private var defaults: [String: String] {
        var keywords = [
            "fallback_application_name": options.applicationName,
            "keepalives": "1",
            "tcp_user_timeout": "\(ConnectionOptions.userTimeoutMilliseconds)",
        ]
        for (name, value) in ConnectionOptions.keepalive { keywords[name] = value }
        return keywords
    }

    /// Tries the location's servers in their order until one will do.
    package func connect() throws(DatabaseError) {
        let plan = ConnectionAttempts(location, options)
        var failures: [(name: String?, error: DatabaseError)] = []
        for attempt in plan.attempts {
            do throws(DatabaseError) {
                return try connect(attempt, milliseconds: plan.milliseconds)
            } catch {
                // Somebody asks to stop, or a server knows us and does not want us: the others are not asked then.
                guard case .connectionFailed = error.kind, error.isTransient else { throw error }
                failures.append((attempt.name, error))
            }
        }
        throw joined(failures)
    }

    /// What each of the servers said, in one error.
    private func joined(_ failures: [(name: String?, error: DatabaseError)]) -> DatabaseError {
        if failures.count == 1 { return failures[0].error }
        var reasons: [String] = []
        for (name, error) in failures {
            guard case .connectionFailed(_, let reason) = error.kind else { continue }
            let line = "\(name.map { $0 + ": " } ?? "")\(reason.withoutServer)"
            if !reasons.contains(line) { reasons.append(line) }
        }
        return error(
            .connectionFailed(
                sqlstate: failures.lazy.compactMap { $0.error.sqlstate }.first, reason: reasons.joined(separator: "; "))
        )
    }

    private func connect(
        _ attempt: ConnectionAttempts.Attempt, milliseconds: Int
    ) throws(DatabaseError) {
        var keywords = defaults.merging(location.keywords) { $1 }.merging(attempt.keywords) { $1 }
        // The program's texts are UTF-8, whatever the location says.
        keywords["client_encoding"] = "UTF8"
        if let requestedSettings {
            keywords["options"] = [location.resolved()["options"], requestedSettings].compactMap(\.self)
                .joined(separator: " ")
        }
        guard let handle = startConnection(keywords) else {
            throw error(.connectionFailed(sqlstate: nil, reason: "out of memory"))
        }
        self.handle = handle
        notices.install(on: handle)
        // The only way to learn the code of a refused connection: libpq gives no result for it, but the verbose
        // message holds it.
        PQsetErrorVerbosity(handle, PQERRORS_VERBOSE)
        let deadline = monotonicNanoseconds() + UInt64(milliseconds) * 1_000_000
        // libpq asks to wait for writing before the first step.
        var step = PQstatus(handle) == CONNECTION_BAD ? PGRES_POLLING_FAILED : PGRES_POLLING_WRITING
        while step != PGRES_POLLING_OK {
            if step == PGRES_POLLING_FAILED {
                let failure = connectionFailure(handle)
                close()
                throw failure
            }
            let events = step == PGRES_POLLING_READING ? POLLIN : POLLOUT
            guard try wait(for: Int16(events), deadline: deadline) != 0 else {
                close()
                throw error(.connectionFailed(sqlstate: nil, reason: "no answer within \(milliseconds) ms"))
            }
            step = PQconnectPoll(handle)
        }
        guard PQsetnonblocking(handle, 1) == 0 else {
            close()
            throw error(.connectionFailed(sqlstate: nil, reason: "the connection cannot be made non-blocking"))
        }
    }

    /// Reads code and words out of messages like
    /// `connection to server at "db", port 5432 failed: FATAL:  28P01: password authentication failed for user "x"`.
    private func connectionFailure(_ handle: OpaquePointer) -> DatabaseError {
        let message = String(cString: PQerrorMessage(handle)).oneLine
        for part in message.components(after: ":  ") {
            let code = part.prefix(5)
            guard code.count == 5, code.allSatisfy({ $0.isASCII && ($0.isNumber || $0.isUppercase) }),
                part.dropFirst(5).hasPrefix(": ")
            else { continue }
            return error(.connectionFailed(sqlstate: SQLState(String(code)), reason: String(part.dropFirst(7))))
        }
        return error(.connectionFailed(sqlstate: nil, reason: message))
    }
}

extension String {
    /// libpq's message without the server that it begins with.
    fileprivate var withoutServer: Substring {
        guard hasPrefix("connection to server "), let end = firstRange(of: " failed: ") else { return self[...] }
        return self[end.upperBound...]
    }

    /// What follows each occurrence of a separator, to the text's end.
    fileprivate func components(after separator: String) -> [Substring] {
        var found: [Substring] = []
        var rest = self[...]
        while let range = rest.firstRange(of: separator) {
            rest = rest[range.upperBound...]
            found.append(rest)
        }
        return found
    }
}
