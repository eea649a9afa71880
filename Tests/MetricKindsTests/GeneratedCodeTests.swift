// The committed code is what the generator makes of protocol/kinds.json today.

import Foundation
import Testing

@Suite struct GeneratedCodeTests {
    private let packageFolder = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// The generator, which is built beside the tests.
    private func generator() throws -> URL {
        var folders = [Bundle.main.bundleURL, Bundle.main.bundleURL.deletingLastPathComponent()]
        for path in CommandLine.arguments where path.contains("/") {
            folders.append(URL(fileURLWithPath: path).deletingLastPathComponent())
        }
        let candidates = folders.map { $0.appendingPathComponent("kinds-generator") }
        return try #require(
            candidates.first { FileManager.default.isExecutableFile(atPath: $0.path) },
            "no kinds-generator beside the tests; looked for \(candidates.map(\.path)): run `swift build` first")
    }

    private func run(in folder: URL) throws -> (status: Int32, errors: String) {
        let process = Process()
        process.executableURL = try generator()
        process.arguments = ["--check"]
        process.currentDirectoryURL = folder
        let errors = Pipe()
        process.standardError = errors
        process.standardOutput = FileHandle.nullDevice
        try process.run()
        let data = errors.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: data, as: UTF8.self))
    }

    @Test func `the generated code is fresh`() throws {
        let result = try run(in: packageFolder)
        #expect(result.status == 0, "\(result.errors)")
    }

    @Test func `a stale file is found and named`() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("kinds-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        try FileManager.default.createDirectory(
            at: folder.appendingPathComponent("protocol"), withIntermediateDirectories: true)
        try FileManager.default.copyItem(
            at: packageFolder.appendingPathComponent("protocol/kinds.json"),
            to: folder.appendingPathComponent("protocol/kinds.json"))
        let result = try run(in: folder)
        #expect(result.status != 0)
        #expect(result.errors.contains("Sources/MetricKinds/Generated/MetricKind.swift"))
    }
}
