import Foundation
import LinuxSystem
import TestSupport
import Testing

@Suite struct ChildProcessTests {
    /// Runs a shell script and gives what it wrote.
    private func run(_ script: String, environment: [String: String] = ["PATH": "/usr/bin:/bin"]) throws
        -> (ChildProcess.ExitStatus, String)
    {
        let file = try #require(tmpfile())
        defer { fclose(file) }
        let child = try ChildProcess(arguments: ["sh", "-c", script], environment: environment, output: fileno(file))
        let status = try child.wait()
        rewind(file)
        let handle = FileHandle(fileDescriptor: fileno(file), closeOnDealloc: false)
        return (status, String(decoding: handle.readDataToEndOfFile(), as: UTF8.self))
    }

    @Test func outputAndExitCodeComeBack() throws {
        let (status, text) = try run("echo out; echo err >&2; exit 7")
        #expect(status == .exited(code: 7) && text == "out\nerr\n")
    }

    @Test func nothingIsInherited() throws {
        let descriptor = open("/dev/null", O_RDONLY)
        defer { close(descriptor) }
        setenv("SPILLWAY_CANARY", "1", 1)
        let (_, text) = try run("ls /proc/self/fd | wc -w; env | grep -c CANARY; pwd; cut -d' ' -f5 /proc/self/stat")
        let lines = text.split(separator: "\n")
        // Three, and the one that ls opens.
        #expect(lines[0] == "4" && lines[1] == "0" && lines[2] == "/")
        #expect(lines[3] != "\(getpgrp())", "a process group of its own")
    }

    @Test func signalsAreNotBlockedInAChildOfAThreadThatBlocksThem() throws {
        let results = Collected()
        let thread = try NamedThread(name: "spawner") {
            do {
                let child = try ChildProcess(arguments: ["sleep", "60"], environment: [:], output: 2)
                results.append("\(try child.wait(timeoutMilliseconds: 50) == nil)")
                child.signal(SIGTERM)
                results.append("\(try child.wait())")
                // The id may belong to somebody else now: nothing is sent.
                child.signal(SIGKILL)
                results.append("\(try child.wait())")
            } catch {
                results.append("\(error)")
            }
        }
        thread.join()
        #expect(results.all == ["true", "signal 15", "signal 15"])
    }

    @Test func aMissingProgramIsNamed() throws {
        #expect(throws: SystemCallError(call: "posix_spawn", code: ENOENT, object: "/nowhere/x")) {
            try ChildProcess(arguments: ["/nowhere/x"], environment: [:], output: 2)
        }
    }
}
