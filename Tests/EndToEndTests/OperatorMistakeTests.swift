// What an operator gets wrong in the first hour, and the line that says so.

import Foundation
import Postgres
import TestSupport
import Testing

@Suite(.serialized, .timeLimit(.minutes(10))) struct OperatorMistakeTests {
    private static let quiet = [
        "--udp", "127.0.0.1:0", "--tcp", "127.0.0.1:0", "--http", "none", "--system-metrics", "false",
    ]

    private func serve(_ arguments: [String], environment: [String: String] = [:]) throws -> Finished {
        try Programs.run(["serve"] + arguments, environment: environment)
    }

    @Test func aSecondCollectorNamesTheFirst() throws {
        let environment = ["XDG_STATE_HOME": try Programs.temporaryFolder("state")]
        let spill = try Programs.temporaryFolder("spill")
        let location = try TestServers.database(.plain)
        let first = try CollectorProcess(
            ["--database", TestServers.url(location), "--spill-directory", spill], environment: environment)
        for name in ["udp", "tcp", "http"] {
            var addresses = ["udp": "127.0.0.1:0", "tcp": "127.0.0.1:0", "http": "127.0.0.1:0"]
            addresses[name] = try first.address(name)
            let flags = addresses.flatMap { ["--\($0.key)", $0.value] }
            let second = try serve(
                ["--database", "discard", "--spill-directory", "none"] + flags, environment: environment)
            #expect(second.status == 69)
            #expect(
                second.errors.contains(
                    "a collector is running already: process id \(first.processID) listens on \(name) "),
                "\(second.errors)")
            #expect(!second.errors.contains("descriptor:"), "\(second.errors)")
        }
        let sameSpill = try serve(
            Self.quiet + ["--database", TestServers.url(location), "--spill-directory", spill], environment: environment
        )
        #expect(
            sameSpill.status == 73 && sameSpill.errors.contains("process id \(first.processID)"), "\(sameSpill.errors)")
        #expect(first.stop() == 0)
    }

    @Test func anAddressIsCheckedBeforeTheSchemaIsApplied() throws {
        let location = try TestServers.database(.plain)
        let taken = try TakenPort()
        for (flags, status, part) in [
            (["--udp", "0.0.0.0:0"], 78, "--allow-unauthenticated"),
            (["--http", "0.0.0.0:0"], 78, "--allow-unauthenticated"),
            (["--http", "127.0.0.1:\(taken.port)"], 69, "another program listens there"),
            (["--tcp", "127.0.0.1:\(taken.port)"], 69, "another program listens there"),
            (["--udp", "192.0.2.77:0", "--allow-unauthenticated"], 78, "is not an address of this machine"),
            (["--tcp", "127.0.0.1"], 78, "the port is missing"),
        ] as [([String], Int32, String)] {
            var arguments = Self.quiet
            if let index = arguments.firstIndex(of: flags[0]) { arguments.removeSubrange(index...index + 1) }
            let spill = try Programs.temporaryFolder("spill")
            let result = try serve(
                arguments + flags + ["--database", TestServers.url(location), "--spill-directory", spill])
            #expect(
                result.status == status && result.errors.contains(part), "\(flags): \(result.status) \(result.errors)")
            #expect(access(spill, F_OK) != 0)
        }
        let schemas = try DatabaseConnection(location).query(
            "SELECT FROM pg_namespace WHERE nspname IN ('metrics', 'spillway')")
        #expect(schemas.isEmpty)
    }

    @Test func aFolderThatIsNoSpillIsNotGivenAnotherMode() throws {
        for folder in ["/etc", "/usr"] {
            let result = try serve(Self.quiet + ["--database", "discard", "--spill-directory", folder, "--journal"])
            #expect(
                result.status == 73 && result.errors.contains("it is not empty and not a spill"), "\(result.errors)")
            #expect(!result.errors.contains("chmod"), "\(result.errors)")
        }
    }

    @Test func aLinkedSpillIsFollowedAndOneThatLeadsNowhereIsExplained() throws {
        let folder = try Programs.temporaryFolder("spill")
        let link = try Programs.temporaryFolder("link")
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        #expect(symlink(folder, link) == 0)
        let collector = try CollectorProcess([
            "--database", "postgresql://postgres@127.0.0.1:1/none", "--spill-directory", link, "--shutdown-deadline",
            "2s",
        ])
        let sent = try Programs.run([
            "send", "--to", "tcp://\(try collector.address("tcp"))", "--acknowledged", "--generate", "all", "--count",
            "90",
        ])
        #expect(sent.status == 0, "\(sent.errors)")
        #expect(collector.stop() == 0)
        for path in [folder, link] {
            let verified = try Programs.run(["spill", "verify", "--spill-directory", path])
            #expect(verified.status == 0, "\(verified.errors)")
            #expect(verified.text.contains("90 records"), "\(verified.text)")
            #expect(
                verified.text.split(separator: "\n").last?.hasPrefix("sound: every byte was read; 1 segment with ")
                    == true)
        }
        let lost = try Programs.temporaryFolder("link")
        #expect(symlink("/nonexistent/spill", lost) == 0)
        let refused = try serve(Self.quiet + ["--database", "discard", "--spill-directory", lost, "--journal"])
        #expect(
            refused.status == 73 && refused.errors.contains("a symbolic link that leads nowhere"), "\(refused.errors)")
    }

    @Test func aDamagedSpillHasAVerdictToo() throws {
        let folder = try Programs.temporaryFolder("spill")
        let collector = try CollectorProcess([
            "--database", "postgresql://postgres@127.0.0.1:1/none", "--spill-directory", folder, "--shutdown-deadline",
            "2s",
        ])
        _ = try Programs.run([
            "send", "--to", "tcp://\(try collector.address("tcp"))", "--acknowledged", "--generate", "all", "--count",
            "9000",
        ])
        #expect(collector.stop() == 0)
        let name = try #require(
            try FileManager.default.contentsOfDirectory(atPath: folder).first { $0.hasSuffix(".lz4") })
        var bytes = try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(name)"))
        bytes[bytes.count / 2] ^= 1
        try bytes.write(to: URL(fileURLWithPath: "\(folder)/\(name)"))
        let verified = try Programs.run(["spill", "verify", "--spill-directory", folder])
        #expect(verified.status == 65)
        #expect(
            verified.text.split(separator: "\n").last?.hasPrefix("damaged: 1 place in ") == true, "\(verified.text)")
    }

    @Test func aStartThatFailsLeavesNoFolders() throws {
        // The folder's path is too long for a socket; the programs are missing; the database refuses.
        let parent = try Programs.temporaryFolder("parent")
        let long = parent + "/" + String(repeating: "d", count: 100)
        let tooLong = try serve(Self.quiet + ["--database", "embedded:\(long)"])
        #expect(tooLong.status == 69 && tooLong.errors.contains("name a shorter directory"), "\(tooLong.errors)")
        #expect(access(parent, F_OK) != 0 && access(long + "-spill", F_OK) != 0)

        let location = try TestServers.database(.plain)
        let missing = TestServers.url(location).replacing("/\(location.database ?? "")?", with: "/no_such_database?")
        let spill = parent + "/a/spill"
        let refused = try serve(Self.quiet + ["--database", missing, "--spill-directory", spill])
        #expect(refused.status == 69 && refused.errors.contains("no_such_database"), "\(refused.errors)")
        #expect(access(parent, F_OK) != 0)

        let relative = try serve(Self.quiet + ["--database", "embedded:some/where"])
        #expect(
            relative.status == 78 && relative.errors.contains("embedded:DIR needs an absolute path"),
            "\(relative.errors)")
    }

    @Test func theStatisticsTakeAPortAlone() throws {
        let collector = try CollectorProcess(["--database", "discard", "--spill-directory", "none"])
        let address = try collector.address("http")
        let port = try #require(address.split(separator: ":").last)
        for form in [
            address, String(port), ":\(port)", "http://\(address)", "http://\(address)/stats", "localhost:\(port)",
        ] {
            let result = try Programs.run(["stats", "--http", form])
            #expect(result.status == 0 && result.text.contains("records received"), "\(form): \(result.errors)")
        }
        #expect(try Programs.run(["stats", "--http", "99999"]).errors.contains("a port is from 1 to 65535"))
        let metrics = try collector.get("/metrics").body
        #expect(
            metrics.contains("spillway_database_reachable 1") && !metrics.contains("1 while the database is reachable.")
        )
        #expect(collector.stop() == 0)
    }

    @Test func readyAndReachableAreTwoThings() throws {
        let collector = try CollectorProcess([
            "--database", "postgresql://postgres@127.0.0.1:1/none", "--shutdown-deadline", "1s",
        ])
        let metrics = try collector.get("/metrics").body
        #expect(
            metrics.contains("spillway_ready 1\n") && metrics.contains("spillway_database_reachable 0"), "\(metrics)")
        let stats = try collector.stats()
        #expect(
            stats.warnings.contains { $0.hasPrefix("the database is unavailable, and records wait in the spill: ") })
        #expect(collector.stop() == 0)
    }

    @Test func aHostNameThatFitsNoRecordIsRefused() throws {
        let result = try serve(["--database", "discard", "--system-id", String(repeating: "n", count: 70_000)])
        #expect(
            result.status == 78 && result.errors.contains("it has 70000 bytes; at most 255"),
            "\(result.errors.prefix(300))")
        #expect(result.errors.utf8.count < 400)
    }
}

/// A port of loopback that something else listens on.
final class TakenPort {
    let port: UInt16
    private let descriptor: Int32

    /// - Parameter wanted: 0 for a free one.
    init(_ wanted: UInt16 = 0) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var yes: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = wanted.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let descriptor = descriptor
        let isBound = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, length) == 0 && listen(descriptor, 1) == 0
                    && getsockname(descriptor, $0, &length) == 0
            }
        }
        try #require(isBound, "port \(wanted) cannot be taken")
        port = UInt16(bigEndian: address.sin_port)
    }

    deinit { close(descriptor) }
}
