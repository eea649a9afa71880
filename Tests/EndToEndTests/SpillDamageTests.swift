// Damage whose records cannot be counted is reported as long as the collector runs.

import Foundation
import Testing
import TestSupport

@Suite(.serialized, .timeLimit(.minutes(5))) struct SpillDamageTests {
    /// All of its record, or all but the beginning, which then claims a length that the file does not have.
    @Test(arguments: [
        (11, "damaged batches of the spill: 1;", "batches_damaged"), (56, "torn ends of the spill: 1;", "ends_torn"),
    ])
    func aBatchWithoutAHeaderIsShown(_ offset: Int, _ warning: String, _ gauge: String) throws {
        let spill = try Programs.temporaryFolder("spill")
        defer { try? FileManager.default.removeItem(atPath: spill) }
        let way = ["--database", "postgresql://postgres@127.0.0.1:1/none", "--spill-directory", spill]
        let first = try CollectorProcess(way)
        let sent = try Programs.run([
            "send", "--to", "tcp://\(first.address("tcp"))", "--generate", "all", "--count", "500", "--acknowledged",
        ])
        #expect(sent.status == 0, "\(sent.errors)")
        _ = first.stop(SIGKILL)
        let names = try FileManager.default.contentsOfDirectory(atPath: spill)
        let segment = try #require(names.first { $0.hasPrefix("spill-") && $0.hasSuffix(".lz4") })
        let file = try FileHandle(forUpdating: URL(fileURLWithPath: "\(spill)/\(segment)"))
        let end = try file.seekToEnd()
        try file.seek(toOffset: UInt64(offset))
        try file.write(contentsOf: Data(repeating: 0xA5, count: Int(end) - offset))
        try file.close()
        let second = try CollectorProcess(way)
        let status = try second.get("/stats").body
        #expect(status.contains(warning), "\(status)")
        #expect(status.contains("\"spill_\(gauge)\": 1"))
        #expect(try second.get("/metrics").body.contains("spillway_spill_\(gauge) 1"))
        #expect(second.stop() == 0)
    }
}
