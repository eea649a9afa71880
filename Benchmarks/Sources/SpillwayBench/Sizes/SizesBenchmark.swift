// How large routing records are on the wire beside other forms: the same records in each.

import FrameCodec
import MetricKinds

struct SizesBenchmark {
    let recordCount: Int

    func run(into report: inout Report) {
        progress("sizes: making \(recordCount) routing records")
        let records = RecordSet(.routing, count: recordCount).records
        spillway(records, &report)
        progress("sizes: other forms")
        add(ProtobufBatch(), records, &report)
        add(ProtobufMessages(), records, &report)
        add(Avro(), records, &report)
        add(MessagePack(asMap: false), records, &report)
        add(MessagePack(asMap: true), records, &report)
        add(FixedSizes.jsonLines(records), records, &report)
        let fewTexts: Set = ["model_selected", "user_intent", "domain_detected"]
        add(FixedSizes.dogStatsD(records, tagged: fewTexts), records, &report)
        add(FixedSizes.dogStatsD(records, tagged: nil), records, &report)
        report.add(
            "sizes", "COPY BINARY row", "in messages of 1,000", "B/record",
            [Double(copyRowBytes(records)) / Double(records.count)])
        progressEnd()
        report.note(
            "sizes",
            """
            \(short(Double(recordCount))) generated routing records, seed \(RecordSet.seed), the same in each form. Frames are \
            counted whole, with header, sequence and checksum; the other forms have none of these. Datagrams are \
            filled with as many whole records as fit, those of DogStatsD with as many lines.
            """)
    }

    private func spillway(_ records: [AnyRecord], _ report: inout Report) {
        let row = "Spillway frame"
        var columns: [(bytes: Double, records: Double)] = []
        for shape in [FrameShape.thousand, .datagram] {
            var bytes = 0
            var frames = 0
            forEachFrame(of: records, shape) { frame, _ in
                bytes += frame.byteCount
                frames += 1
            }
            columns.append((Double(bytes) / Double(records.count), Double(records.count) / Double(frames)))
        }
        report.add("sizes", row, "in messages of 1,000", "B/record", [columns[0].bytes])
        report.add("sizes", row, "in 1,400-byte datagrams", "B/record", [columns[1].bytes])
        report.add("sizes", row, "in 1,400-byte datagrams", "records", [columns[1].records], better: .higher)
    }

    private func add<Form: SizeForm>(_ form: Form, _ records: [AnyRecord], _ report: inout Report) {
        if let thousand = Packing(form, records, recordsMax: 1_000) {
            report.add(
                "sizes", form.name, "in messages of 1,000", "B/record", [thousand.bytesPerRecord],
                isPeer: true)
        }
        let bytesMax = FrameLimits.datagramBytesDefault
        let packing =
            form.lines.map { Packing(lines: $0, bytesMax: bytesMax) } ?? Packing(form, records, bytesMax: bytesMax)
        if let datagrams = packing {
            report.add(
                "sizes", form.name, "in 1,400-byte datagrams", "B/record", [datagrams.bytesPerRecord],
                isPeer: true)
            report.add(
                "sizes", form.name, "in 1,400-byte datagrams", "records", [datagrams.recordsPerMessage],
                isPeer: true)
        }
    }
}
