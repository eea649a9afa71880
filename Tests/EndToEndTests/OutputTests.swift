// What commands do with their outputs and inputs: nothing is destroyed, and nothing that was not written counts as written.

import Foundation
import LinuxSystem
import Postgres
import StoreSchema
import Synchronization
import Testing
import TestSupport

@Suite(.serialized, .timeLimit(.minutes(10))) struct OutputTests {
    private static func lines(_ count: Int) -> Data {
        Data(
            (0..<count).map { #"{"kind":"routing","time":\#(1_795_305_600_000_000 + $0),"query_id":"q\#($0)"}"# + "\n" }
                .joined().utf8)
    }

    private static func file(_ bytes: Data) throws -> URL {
        let url = try Programs.temporaryFile("data")
        try bytes.write(to: url)
        return url
    }

    /// Nothing is left beside a file in its folder.
    private static func leftovers(_ file: URL) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: file.deletingLastPathComponent().path)
            .filter { $0.hasPrefix(".") }
    }

    @Test func aFileMayBeReplacedByWhatIsMadeOfIt() throws {
        let file = try Self.file(Self.lines(2_000))
        chmod(file.path, 0o640)
        let encoded = try Programs.run(["encode", file.path, "--output", file.path, "--statistics"])
        #expect(encoded.status == 0 && encoded.errors.contains("2000 records"), "\(encoded.errors)")
        #expect(try FileManager.default.attributesOfItem(atPath: file.path)[.posixPermissions] as? Int == 0o640)
        let decoded = try Programs.run(["decode", file.path, "--output", file.path])
        #expect(decoded.status == 0, "\(decoded.errors)")
        #expect(try Data(contentsOf: file).split(separator: UInt8(ascii: "\n")).count == 2_000)
        #expect(try Self.leftovers(file).isEmpty)
    }

    @Test(arguments: ["encode", "decode"]) func aFileStaysAsItWasWhenTheInputCannotBeRead(_ command: String) throws {
        let good = try Self.file(Data("good".utf8))
        let folder = good.deletingLastPathComponent().path
        for (input, status) in [("/nowhere/missing", Int32(74)), (folder, 74)] {
            let result = try Programs.run([command, input, "--output", good.path])
            #expect(result.status == status, "\(result.errors)")
            #expect(result.errors.contains(input) && result.errors.split(separator: "\n").count == 1)
            #expect(try Data(contentsOf: good) == Data("good".utf8))
        }
        // Bad from its beginning, and bad in its middle: a part replaces no file, and is written where there is none.
        let bad = try Self.file(Data("bad, and long enough to be no header of a frame at all".utf8))
        #expect(try Programs.run([command, bad.path, "--output", good.path]).status == 65)
        #expect(try Data(contentsOf: good) == Data("good".utf8))
        let lines = try Self.file(Self.lines(10))
        let begin = command == "encode" ? Self.lines(10) : try Programs.run(["encode", lines.path]).output
        let mixed = try Self.file(begin + Data(contentsOf: bad))
        let onItself = try Programs.run([command, mixed.path, "--output", mixed.path])
        #expect(onItself.status == 65 && onItself.errors.contains("is as it was"), "\(onItself.errors)")
        #expect(try Data(contentsOf: mixed) == begin + Data(contentsOf: bad))
        let onGood = try Programs.run([command, mixed.path, "--output", good.path])
        #expect(onGood.status == 65 && onGood.errors.contains("is as it was"), "\(onGood.errors)")
        #expect(try Data(contentsOf: good) == Data("good".utf8))
        let new = good.path + ".new"
        let onNew = try Programs.run([command, mixed.path, "--output", new])
        #expect(onNew.status == 65 && onNew.errors.contains("what comes before it is written"), "\(onNew.errors)")
        #expect(try Data(contentsOf: URL(fileURLWithPath: new)).count > 100)
        // What a command that failed leaves at the other end of a pipe.
        let none = try Self.file(Data())
        let onNone = try Programs.run([command, none.path, "--output", good.path])
        #expect(onNone.status == 65 && onNone.errors.contains("no records"), "\(onNone.errors)")
        #expect(try Data(contentsOf: good) == Data("good".utf8))
        #expect(try Self.leftovers(good).isEmpty)
    }

    @Test func linksKeepTheirPlaceAndNewFilesTheUsualMode() throws {
        let target = try Self.file(Data("old".utf8))
        let link = target.path + ".link"
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: target.lastPathComponent)
        let lines = try Self.file(Self.lines(3))
        #expect(try Programs.run(["encode", lines.path, "--output", link]).status == 0)
        #expect(try FileManager.default.destinationOfSymbolicLink(atPath: link) == target.lastPathComponent)
        #expect(try Data(contentsOf: target).starts(with: Data("SPWY".utf8)))
        let new = target.path + ".new"
        #expect(try Programs.run(["encode", lines.path, "--output", new]).status == 0)
        let mask = umask(0)
        umask(mask)
        let mode = try FileManager.default.attributesOfItem(atPath: new)[.posixPermissions] as? Int
        #expect(mode == 0o666 & ~Int(mask))
    }

    @Test func whatIsNoFileIsWrittenInPlace() throws {
        let lines = try Self.file(Self.lines(3))
        let plain = try Programs.run(["encode", lines.path]).output
        #expect(try Programs.run(["encode", lines.path, "--output", "/dev/stdout"]).output == plain)
        #expect(try Programs.run(["encode", lines.path, "--output", "/dev/fd/1"]).output == plain)
        #expect(try Programs.run(["encode", lines.path, "--output", "/dev/null"]).status == 0)
        let full = try Programs.run(["encode", lines.path, "--output", "/dev/full"])
        #expect(full.status == 74 && full.errors.contains("/dev/full"), "\(full.errors)")
        for path in ["/dev/full", "/dev/null"] {
            var status = stat()
            #expect(stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFCHR, "\(path) was replaced")
        }
        let pipe = try Programs.temporaryFolder("pipe")
        #expect(mkfifo(pipe, 0o600) == 0)
        let piped = try Programs.run(
            [
                "-c", "cat \"$2\" & \"$0\" encode \"$1\" --output \"$2\"; code=$?; wait; exit $code",
                Programs.spillway.path, lines.path, pipe,
            ], program: URL(fileURLWithPath: "/bin/bash"))
        #expect(piped.status == 0 && piped.output == plain, "\(piped.errors)")
        #expect(FileManager.default.fileExists(atPath: pipe))
        #expect(try Programs.run(["encode", lines.path, "--output", "/nowhere/file"]).status == 73)
        #expect(try Programs.run(["encode", lines.path, "--output", "/tmp"]).status == 73)
    }

    // MARK: every command and every output

    /// Runs the program with a standard output of the shell's.
    private static func run(_ arguments: [String], _ redirection: String) throws -> Finished {
        try Programs.run(
            ["-c", "exec \"$0\" \"$@\" \(redirection)", Programs.spillway.path] + arguments,
            program: URL(fileURLWithPath: "/bin/bash"))
    }

    /// Every command that prints, with something to print.
    private static func cases(_ url: String, spill: String, http: String, tcp: String) throws -> [[String]] {
        let lines = try file(Self.lines(5)).path
        let frames = try Programs.temporaryFile("frames")
        #expect(try Programs.run(["encode", lines], output: frames).status == 0)
        let database = ["--database", url]
        return [
            ["--help"], ["--version"], ["send", "--help"], ["help", "cleanup"],
            ["serve", "--database", "discard", "--print-configuration"],
            ["serve", "--database", "discard", "--udp", "none", "--http", "none", "--tcp", "127.0.0.1:0"],
            ["send", "--to", "tcp://\(tcp)", "--file", lines], ["encode", lines], ["decode", frames.path],
            ["schema", "print"], ["schema", "grants", "--role", "collector"],
            ["schema", "apply"] + database, ["schema", "apply", "--dry-run"] + database,
            ["schema", "status"] + database, ["spill", "list", "--spill-directory", spill],
            ["spill", "verify", "--spill-directory", spill], ["spill", "cat", "--spill-directory", spill],
            ["spill", "replay", "--spill-directory", spill] + database,
            ["dead-letters", "list"] + database, ["dead-letters", "list", "--json"] + database,
            ["dead-letters", "show"] + database, ["dead-letters", "resend", "--kind", "rag"] + database,
            ["dead-letters", "discard", "--kind", "rag"] + database,
            ["cleanup", "--older-than", "1d", "--dry-run"] + database, ["cleanup", "--older-than", "1d"] + database,
            ["stats", "--http", http], ["stats", "--http", http, "--json"], ["query", "routing"] + database,
            ["query", "routing", "--format", "json"] + database,
            ["query", "routing", "--aggregate", "count"] + database,
            ["database"] + database,
        ]
    }

    @Test func everyCommandSaysThatItsOutputIsFullOrClosedAndEndsQuietlyWithoutAReader() throws {
        let location = try TestServers.database(.plain)
        let connection = try DatabaseConnection(location)
        try SchemaManager(connection).apply()
        try connection.execute(
            """
            INSERT INTO metrics.routing_metrics (time, query_id) VALUES (now(), 'q'), ('2000-01-01', 'old');
            INSERT INTO spillway.dead_letters (source, records, reason, frame) VALUES (1, 1, 'r', '\\x00')
            """)
        let spill = try Programs.temporaryFolder("spill")
        let away = try CollectorProcess([
            "--database", "postgresql://postgres@127.0.0.1:1/none?connect_timeout=2", "--spill-directory", spill,
        ])
        let filled = try Programs.run([
            "send", "--to", "tcp://\(away.address("tcp"))", "--generate", "routing", "--count", "100",
        ])
        #expect(filled.status == 0, "\(filled.errors)")
        #expect(away.stop() == 0)
        let collector = try CollectorProcess(["--database", "discard"])
        let cases = try Self.cases(
            TestServers.url(location), spill: spill, http: collector.address("http"), tcp: collector.address("tcp"))
        for arguments in cases {
            for (redirection, reason) in [(">/dev/full", "No space left on device"), (">&-", "Bad file descriptor")] {
                let result = try Self.run(arguments, redirection)
                #expect(result.status == 74, "\(arguments) \(redirection): \(result.status) \(result.errors)")
                let errors = result.errors.split(separator: "\n").filter { $0.contains("error: ") }
                #expect(errors.count == 1, "\(arguments): \(result.errors)")
                #expect(errors.first?.contains(reason) == true, "\(arguments) \(redirection): \(result.errors)")
            }
            // A collector works on without a reader of its ready line.
            guard arguments.first != "serve" || arguments.contains("--print-configuration") else { continue }
            let pipe = Pipe()
            try pipe.fileHandleForReading.close()
            for ignored in [false, true] {
                let quiet = try Programs.run(
                    ["-c", (ignored ? "trap '' PIPE; " : "") + "\"$0\" \"$@\"; exit $?", Programs.spillway.path]
                        + arguments, handle: pipe.fileHandleForWriting, program: URL(fileURLWithPath: "/bin/bash"))
                #expect(quiet.status == 141, "\(arguments): \(quiet.status) \(quiet.errors)")
                #expect(!quiet.errors.contains("error:"), "\(arguments): \(quiet.errors)")
            }
        }
        #expect(try connection.query("SELECT count(*) FROM spillway.dead_letters") == [["1"]])
        #expect(collector.stop() == 0)
    }

    @Test func aSlowReaderOfANonBlockingPipeGetsEverything() throws {
        let pipe = Pipe()
        // The reader sleeps before it reads; 8 MB do not fit into a pipe.
        let count = Mutex(0)
        let reading = pipe.fileHandleForReading
        let reader = try NamedThread(name: "slow reader") {
            usleep(500_000)
            do {
                while let bytes = try reading.read(upToCount: 65_536), !bytes.isEmpty {
                    count.withLock { $0 += bytes.count }
                }
            } catch {
                Issue.record(error)
            }
        }
        let writing = pipe.fileHandleForWriting
        _ = fcntl(writing.fileDescriptor, F_SETFL, fcntl(writing.fileDescriptor, F_GETFL) | O_NONBLOCK)
        let result = try Programs.run(
            ["encode", "--generate", "routing", "--count", "100000", "--statistics"], handle: writing)
        try writing.close()
        reader.join()
        let received = count.withLock { $0 }
        #expect(result.status == 0, "\(result.errors)")
        #expect(received > 1_000_000 && result.errors.contains("\(received) bytes"), "\(received): \(result.errors)")
    }

    @Test func aHugeItemIsRefusedAndAHugeInputIsNot() throws {
        let huge = try Self.file(Data(repeating: UInt8(ascii: "x"), count: 64_000_000))
        for command in ["encode", "decode"] {
            let result = try Programs.run([command, huge.path])
            #expect(result.status == 65 && result.errors.split(separator: "\n").count == 1, "\(result.errors)")
            #expect(result.output.isEmpty)
        }
        let many = try Self.file(Self.lines(300_000))
        let frames = try Programs.temporaryFile("frames")
        #expect(try Programs.run(["encode", many.path, "--output", frames.path]).status == 0)
        #expect(try Programs.run(["decode", frames.path]).output.split(separator: UInt8(ascii: "\n")).count == 300_000)
    }
}
