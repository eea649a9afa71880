// The rows of a stream as files for psql's \copy, from the project's own writer: what psql sends is byte by byte what the
// lanes send.

import EmbeddedPostgres
import Foundation
import LinuxSystem
import MetricKinds
import StoreWriter

/// Files in COPY's binary format, made before anything is timed.
struct CopyFiles {
    /// One file for each process.
    let paths: [String]
    private let psql: String

    /// - Parameter stream: each of its parts becomes a file.
    init(_ stream: FrameStream, name: String, in folder: BenchFolder) throws {
        let batch = DecodedBatch(rowBytesMax: .max)
        var paths: [String] = []
        try stream.bytes.withUnsafeBytes { bytes in
            for (index, part) in stream.parts.enumerated() {
                batch.decode(UnsafeRawBufferPointer(rebasing: bytes[part]))
                precondition(batch.refused.isEmpty)
                var file = batch.rows.withRows(.routing) { Data($0) }
                file.append(contentsOf: CopyRowWriter.trailer)
                let path = "\(folder.path)/\(name)-\(index).copy"
                try file.write(to: URL(fileURLWithPath: path))
                paths.append(path)
            }
        }
        self.paths = paths
        // Debian's /usr/bin/psql is a script that looks for the right version first.
        if case .host(let folder)? = EmbeddedServer.Programs.newestHostPrograms(), access(folder + "/psql", X_OK) == 0 {
            psql = folder + "/psql"
        } else {
            psql = "psql"
        }
    }

    /// The rows of a stream for one psql, and the same number for two at once.
    static func forOneAndTwo(_ stream: FrameStream, frameBytes: Int, batches: Int, in folder: BenchFolder) throws
        -> [CopyFiles]
    {
        [
            try CopyFiles(stream, name: "whole", in: folder),
            try CopyFiles(
                FrameStream(frameBytes: frameBytes, batches: batches / 2, connections: 2), name: "half", in: folder),
        ]
    }

    /// Copies all files at once, each by a psql of its own.
    ///
    /// - Returns: seconds from the first start to the last end, and what the psqls have computed.
    func copy(to server: DatabaseServer) throws -> (seconds: Double, cpuSeconds: Double) {
        let columns = ["time"] + MetricKind.routing.columns.map(\.name) + ["tags", "metadata"]
        let table = "\(MetricKind.schemaName).\(MetricKind.routing.tableName)"
        let environment = ["PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C"]
        let cpuBefore = endedChildrenSeconds()
        let start = nowNanoseconds()
        let children = try paths.map { path in
            let command = "\\copy \(table) (\(columns.joined(separator: ", "))) FROM '\(path)' WITH (FORMAT binary)"
            return try ChildProcess(
                arguments: [psql, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", server.url, "-c", command],
                environment: environment, output: STDERR_FILENO)
        }
        for child in children {
            let status = try child.wait()
            guard status == .exited(code: 0) else { throw BenchError("psql ended with \(status)") }
        }
        return (Double(nowNanoseconds() - start) / 1e9, endedChildrenSeconds() - cpuBefore)
    }

    /// Of all children that have been waited for.
    private func endedChildrenSeconds() -> Double {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_CHILDREN.rawValue), &usage)
        func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
        return seconds(usage.ru_utime) + seconds(usage.ru_stime)
    }
}
