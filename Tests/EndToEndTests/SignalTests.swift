// Signals: none ends the collector unasked, those that ask for an end get an orderly one, and SIGHUP reads the configuration
// again.

import Foundation
import Postgres
import TestSupport
import Testing

@Suite(.serialized, .timeLimit(.minutes(10))) struct SignalTests {
    /// Sends datagrams that are not stored before the stop, and waits until they were received.
    private static func datagrams(_ count: Int, _ collector: CollectorProcess) throws -> Int {
        let sent = try Programs.run([
            "send", "--to", "udp://\(try collector.address("udp"))", "--generate", "routing", "--count", "\(count)",
            "--rate", "20000",
        ])
        #expect(sent.status == 0, "\(sent.errors)")
        return try collector.waitForStats { $0["records_received"] + $0["ring_full_drops"] == count }[
            "records_received"]
    }

    private static func wait(for text: String, in collector: CollectorProcess) -> Bool {
        let deadline = Date().addingTimeInterval(30)
        while !collector.logText.contains(text), Date() < deadline { usleep(20_000) }
        return collector.logText.contains(text)
    }

    @Test func signalsThatAskForNothingAreLoggedAndLoseNothing() throws {
        let location = try TestServers.database(.plain)
        let collector = try CollectorProcess(["--database", TestServers.url(location), "--flush-interval", "60000"])
        let received = try Self.datagrams(5_000, collector)
        let signals: [(Int32, String)] = [
            (SIGHUP, "SIGHUP"), (SIGUSR1, "SIGUSR1"), (SIGUSR2, "SIGUSR2"), (SIGPIPE, "SIGPIPE"), (SIGALRM, "SIGALRM"),
            (SIGVTALRM, "SIGVTALRM"), (SIGPROF, "SIGPROF"), (SIGIO, "SIGIO"), (SIGSTKFLT, "SIGSTKFLT"),
            (SIGXFSZ, "SIGXFSZ"), (SIGTSTP, "SIGTSTP"), (SIGTTIN, "SIGTTIN"), (SIGTTOU, "SIGTTOU"), (34, "signal 34"),
            (64, "signal 64"),
        ]
        for (number, name) in signals {
            #expect(kill(collector.processID, number) == 0)
            #expect(Self.wait(for: "\(name)", in: collector), "\(name): \(collector.logText)")
            #expect(collector.isRunning, "\(name) has ended it")
        }
        #expect(try collector.stats()["records_received"] == received)
        #expect(collector.stop() == 0, "\(collector.logText)")
        #expect(try Torture.rows(location).all == received)
    }

    @Test(arguments: [SIGQUIT, SIGXCPU, SIGPWR, SIGABRT, SIGINT])
    func signalsThatAskForAnEndGetAnOrderlyOne(_ number: Int32) throws {
        let location = try TestServers.database(.plain)
        let collector = try CollectorProcess(["--database", TestServers.url(location), "--flush-interval", "60000"])
        let received = try Self.datagrams(2_000, collector)
        #expect(collector.stop(number) == 0, "\(collector.logText)")
        #expect(collector.logText.contains("an orderly stop was asked for"))
        #expect(try Torture.rows(location).all == received)
    }

    @Test func aReloadAppliesTheLogLevelAndTheRetentionAndSaysWhatWaits() throws {
        let location = try TestServers.database(.plain)
        let file = try Programs.temporaryFile("conf")
        defer { unlink(file.path) }
        func write(_ text: String) throws { try Data(text.utf8).write(to: file) }
        try write("log-level = info\nretention = 90d\nlanes = 2\n")
        let collector = try CollectorProcess([
            "--database", TestServers.url(location), "--config", file.path, "--flush-interval", "20",
        ])
        let connection = try DatabaseConnection(location)
        func retention() throws -> Set<String> {
            Set(
                try connection.query(
                    "SELECT DISTINCT extract(epoch FROM drop_after)::bigint / 3600 FROM spillway.table_policies"
                ).compactMap(\.[0]))
        }
        #expect(try retention() == ["2160"])

        // A file that is wrong in one line changes nothing at all.
        try write("log-level = debug\nretention = 30x\n")
        kill(collector.processID, SIGHUP)
        #expect(Self.wait(for: "nothing is reloaded, the collector goes on with what it has", in: collector))
        #expect(collector.logText.contains("30x"))
        // Who sends the signal may not read the log.
        func warnings() throws -> String { try collector.get("/readyz").body }
        #expect(try warnings().contains("warning: nothing is reloaded, the collector goes on with what it has"))
        #expect(!collector.logText.contains("log-level: info -> debug"))

        // While records come.
        let count = 60_000
        let sender = try Torture.sender(
            UInt16(try collector.address("tcp").split(separator: ":").last.map(String.init) ?? "") ?? 0, count: count,
            rate: 30_000)
        try write("log-level = debug\nretention = 30d\nlanes = 3\n")
        for _ in 0..<5 {
            kill(collector.processID, SIGHUP)
            usleep(200_000)
        }
        #expect(Self.wait(for: "log-level: info -> debug", in: collector), "\(collector.logText)")
        #expect(collector.logText.contains("lanes: 2 -> 3"))
        #expect(collector.logText.contains("takes effect at the next start"))
        #expect(try warnings().contains("warning: lanes: 2 -> 3"))
        #expect(try !warnings().contains("nothing is reloaded"))
        #expect(Self.wait(for: "the retention was changed in the database", in: collector), "\(collector.logText)")
        #expect(try retention() == ["720"])
        #expect(Torture.wait(sender, seconds: 60))
        _ = try collector.waitForStats { $0["records_committed"] == count }
        // The lower level holds everywhere, and the former one again after the next reload.
        try write("log-level = error\nretention = 30d\nlanes = 2\n")
        kill(collector.processID, SIGHUP)
        #expect(Self.wait(for: "log-level: debug -> error", in: collector))
        #expect(try !warnings().contains("lanes"))
        kill(collector.processID, SIGUSR1)
        usleep(300_000)
        #expect(!collector.logText.contains("SIGUSR1"))
        #expect(collector.stop() == 0, "\(collector.logText)")
    }
}
