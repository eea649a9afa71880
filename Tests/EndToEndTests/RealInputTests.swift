// The requests of a production LLM service, sent as compute records: the totals of the data's README come out of SQL.

import Foundation
import Postgres
import Testing
import TestSupport

@Suite(.serialized, .timeLimit(.minutes(10))) struct RealInputTests {
    /// Beside the checkout, where it is there. The project does not contain it.
    private static let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appending(path: "../../../shared/data/llm-inference-2023-code.csv").standardizedFileURL.path

    /// The CSV as JSON lines of compute records.
    private static func lines() throws -> URL? {
        guard FileManager.default.fileExists(atPath: path) else {
            print("skipped: the trace is not there: \(path)")
            return nil
        }
        let csv = try String(contentsOfFile: path, encoding: .utf8)
        var out = ""
        for row in csv.split(whereSeparator: \.isNewline).dropFirst() {
            let fields = row.split(separator: ",")
            let (context, generated) = (try #require(Int(fields[1])), try #require(Int(fields[2])))
            // Seven decimals are cut to six.
            let time = fields[0].dropLast().replacingOccurrences(of: " ", with: "T") + "Z"
            out += """
                {"kind":"compute","time":"\(time)","model_id":"azure-code","operation_type":"inference","batch_size":1,\
                "sequence_length":\(context),"tokens_processed":\(context + generated),\
                "tags":{"trace":"azure-2023-code"}}

                """
        }
        let file = try Programs.temporaryFile("jsonl")
        try Data(out.utf8).write(to: file)
        return file
    }

    @Test(arguments: TestFlavour.allCases, ["udp", "tcp"])
    func theTotalsOfTheTraceComeOutOfSQL(_ flavour: TestFlavour, _ transport: String) throws {
        guard let file = try Self.lines() else { return }
        defer { unlink(file.path) }
        let location = try TestServers.database(flavour)
        let collector = try CollectorProcess(["--database", TestServers.url(location)])
        let to = "\(transport)://\(try collector.address(transport))"
        let sent = try Programs.run(["send", "--to", to, "--file", file.path])
        #expect(sent.status == 0, "\(sent.errors)")
        let stats = try collector.waitForStats { $0["records_committed"] >= 8_819 }
        #expect(stats["records_received"] == 8_819)
        #expect(stats.unaccounted == 0)
        let row = try DatabaseConnection(location).query(
            """
            SELECT count(*), sum(sequence_length), sum(tokens_processed), min(time), max(time),
                   count(*) FILTER (WHERE model_id = 'azure-code' AND operation_type = 'inference' AND batch_size = 1
                                    AND tags = '{"trace": "azure-2023-code"}' AND metadata IS NULL)
            FROM metrics.compute_metrics
            """
        )[0]
        #expect(
            row == [
                "8819", "18059974", "18305870", "2023-11-16 18:17:03.97996+00", "2023-11-16 19:14:19.928016+00", "8819",
            ])
        #expect(collector.stop() == 0, "\(collector.logText)")
    }
}
