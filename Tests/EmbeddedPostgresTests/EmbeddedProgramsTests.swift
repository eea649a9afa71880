import Foundation
import TestSupport
import Testing

@testable import EmbeddedPostgres

struct EmbeddedProgramsTests {
    /// A folder like Debian's with several versions, all of which are this machine's.
    private func packages(_ name: String, _ versions: [Int]) throws -> String {
        let folder = try TestServers.folder.get() + "/" + name
        guard case .host(let bin) = try TestServers.programs(.plain) else {
            throw MissingServer(description: "the plain flavour is not a PostgreSQL of this machine")
        }
        for version in versions {
            try FileManager.default.createDirectory(atPath: "\(folder)/\(version)", withIntermediateDirectories: true)
            try FileManager.default.createSymbolicLink(atPath: "\(folder)/\(version)/bin", withDestinationPath: bin)
        }
        return folder
    }

    /// A directory whose data is of that version, and the environment of a machine without TimescaleDB.
    private func choose(_ packages: String, version: String?) throws -> String {
        let path = packages + "-data-\(version ?? "none")"
        if let version {
            try FileManager.default.createDirectory(atPath: path + "/data", withIntermediateDirectories: true)
            try "\(version)\n".write(toFile: path + "/data/PG_VERSION", atomically: false, encoding: .utf8)
            let user = try EmbeddedInstallation(root: nil, bin: packages).user().user
            chown(path + "/data", user, user)
        }
        return try EmbeddedServer.Programs.choose(
            nil, path: path, data: EmbeddedData(in: path),
            environment: ["SPILLWAY_TIMESCALEDB_ROOT": packages + "/none"], packages: packages
        ).bin
    }

    @Test func newDataGetsTheNewestVersionAndDataKeepsItsOwn() throws {
        let folder = try packages("versions", [15, 16, 99])
        #expect(try choose(folder, version: nil) == folder + "/99/bin")
        #expect(try choose(folder, version: "15") == folder + "/15/bin")
        #expect(try choose(folder, version: "16") == folder + "/16/bin")
    }

    @Test func aVersionThatIsNotInstalledIsNamed() throws {
        let folder = try packages("without", [15, 99])
        let error = try EmbeddedFixture.refusal { _ = try choose(folder, version: "16") }
        #expect(error.contains("PostgreSQL 16") && error.contains("99 and 15") && !error.contains("\n"))
    }
}
