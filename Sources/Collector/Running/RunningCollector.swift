// What a collector leaves for the other commands on its machine while it runs: which database it stores into, and where it listens.
//
//     STATE/collectors/PID-RANDOM     0644, lines `key = value`; flock of the collector
//
// Invariants: a file has its name only once it is complete and locked, and the kernel releases the lock when the collector ends
// in whatever way: a file that can be locked is left over. No file holds a password.

import EmbeddedPostgres
import Glibc
import LinuxSystem

/// A collector that runs on this machine now.
package struct RunningCollector: Equatable, Sendable {
    package let processID: Int32
    /// `embedded:DIR`, `discard`, or libpq's keywords without a password.
    package let database: String
    /// For example `udp 127.0.0.1:8127`.
    package let addresses: [String]

    package init(processID: Int32, database: String, addresses: [String]) {
        self.processID = processID
        self.database = database
        self.addresses = addresses
    }

    static let folderName = "collectors"
    /// Of a folder that anybody may have filled.
    private static let filesMax = 1_000

    /// The collectors of this user, or those of root if this user runs none.
    package static func all(environment: [String: String]) -> [RunningCollector] {
        for folder in [StateDirectory.path(environment: environment), StateDirectory.ofRoot] {
            let files = fileNames(in: "\(folder)/\(folderName)").map { "\(folder)/\(folderName)/\($0)" }
            let found = files.compactMap { read($0) }
            if !found.isEmpty { return found }
        }
        return []
    }

    static func fileNames(in folder: String) -> [String] {
        readableFolderNames(folder, atMost: filesMax).filter { !$0.hasPrefix(".") }.sorted()
    }

    /// Nil for a file that no running collector holds.
    private static func read(_ path: String) -> RunningCollector? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        // Another user's file could lead a command, and a password, to a database of that user.
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_uid == 0 || status.st_uid == geteuid() else { return nil }
        guard flock(descriptor, LOCK_SH | LOCK_NB) != 0, errno == EWOULDBLOCK, let text = readSmallFile(path) else {
            return nil
        }
        var values: [String: [String]] = [:]
        for line in textLines(text) {
            guard let range = line.firstRange(of: " = ") else { continue }
            values[String(line[..<range.lowerBound]), default: []].append(String(line[range.upperBound...]))
        }
        guard let id = values["pid"]?.first.flatMap({ Int32($0) }), let database = values["database"]?.first else {
            return nil
        }
        return RunningCollector(processID: id, database: database, addresses: values["address"] ?? [])
    }

    var text: String {
        (["pid = \(processID)", "database = \(database)"] + addresses.map { "address = \($0)" })
            .map { $0 + "\n" }.joined()
    }
}

extension DatabaseTarget {
    /// What `RunningCollector` says of it.
    func publicAddress(environment: [String: String]) -> String {
        switch self {
        case .discard: "discard"
        case .embedded(let directory):
            "embedded:\(directory ?? EmbeddedServer.defaultDirectory(environment: environment))"
        case .server(let location): location.keywordsWithoutSecrets
        }
    }
}
