// Connecting step by step under one deadline.

import CPostgreSQL
import Glibc
import LinuxSystem

extension DatabaseConnection {
    /// Keywords for what the location leaves open. The kernel gives a dead peer up after about a minute.
    private var defaults: [String: String] {
        [
            "fallback_application_name": options.applicationName,
            "client_encoding": "UTF8",
            "keepalives": "1",
            "keepalives_idle": "30",
            "keepalives_interval": "10",
            "keepalives_count": "3",
            "tcp_user_timeout": "60000",
        ]
    }

    func connect() throws(DatabaseError) {
        var keywords = defaults.merging(location.keywords) { _, given in given }
        // The program's texts are UTF-8, whatever the location says.
        keywords["client_encoding"] = "UTF8"
        guard let handle = Self.start(keywords) else {
            throw error(.connectionFailed(sqlstate: nil, reason: "out of memory"))
        }
        self.handle = handle
        notices.install(on: handle)
        // The only way to learn the code of a refused connection: libpq gives no result for it, but the verbose
        // message holds it.
        PQsetErrorVerbosity(handle, PQERRORS_VERBOSE)
        let deadline = monotonicNanoseconds() + UInt64(options.connectTimeoutMilliseconds) * 1_000_000
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
                let limit = options.connectTimeoutMilliseconds
                throw error(.connectionFailed(sqlstate: nil, reason: "no answer within \(limit) ms"))
            }
            step = PQconnectPoll(handle)
        }
        guard PQsetnonblocking(handle, 1) == 0 else {
            close()
            throw error(.connectionFailed(sqlstate: nil, reason: "the connection cannot be made non-blocking"))
        }
    }

    /// Goes through a connection string and not through keyword arrays: these drop empty values, and an empty value is
    /// the only way to hide a variable like PGHOSTADDR from libpq.
    private static func start(_ keywords: [String: String]) -> OpaquePointer? {
        let settings = keywords.map { keyword, value in
            let escaped = value.flatMap { $0 == "'" || $0 == "\\" ? ["\\", $0] : [$0] }
            return "\(keyword)='\(String(escaped))'"
        }
        return PQconnectStart(settings.joined(separator: " "))
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
