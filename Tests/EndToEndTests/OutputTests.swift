// What commands do with their outputs and inputs: nothing is destroyed, and nothing that was not written counts as written.

import Foundation
import Testing
import TestSupport
import TimescaleStore

@Suite(.serialized, .timeLimit(.minutes(10))) struct OutputTests {
    private static func lines(_ count: Int) -> Data {
        Data((0..<count).map { #"{"kind":"routing","time":\#($0),"query_id":"q\#($0)"}"# + "\n" }.joined().utf8)
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
        // Bad from its beginning, and bad in its middle: of the latter the good part replaces another file, but not itself.
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
        #expect(onGood.status == 65 && !onGood.errors.contains("is as it was"), "\(onGood.errors)")
        #expect(try Data(contentsOf: good).count > 100)
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
