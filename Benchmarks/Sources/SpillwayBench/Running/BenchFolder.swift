// A folder for databases and spills, on a real disk, that goes with its owner.

import CFloor
import EmbeddedPostgres
import Foundation

/// A temporary folder. One at a time.
final class BenchFolder {
    /// Not in /tmp, which may be memory.
    private static let parent = "/var/tmp"
    let path: String

    init() throws(BenchError) {
        var template = Array("\(Self.parent)/spillway-bench-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw BenchError("no folder in \(Self.parent): errno \(errno)") }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        // The servers' users walk through it.
        chmod(path, 0o711)
        floor_guard_folders(path, shadow)
    }

    deinit {
        floor_guard_folders(nil, nil)
        for folder in [path, shadow] where access(folder, F_OK) == 0 {
            do { try FileManager.default.removeItem(atPath: folder) } catch { say("cannot remove \(folder): \(error)") }
        }
    }

    /// What a server that runs in a root folder of its own leaves there: empty folders that ours were mounted on.
    private var shadow: String {
        EmbeddedServer.Programs.timescaleRootPath(environment: ProcessInfo.processInfo.environment) + path
    }
}

/// Why something could not be measured.
struct BenchError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
