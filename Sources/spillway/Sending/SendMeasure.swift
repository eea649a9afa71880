import FrameCodec
import SpillwayClient
import Text

/// What `send` did, for people or as JSON.
struct SendMeasure {
    let statistics: SendStatistics
    let seconds: Double
    let receipt: ReceiptFrame?
    let acknowledgements: AcknowledgementStatistics?
    /// Nil for frames of a file, which have sources of their own.
    let identity: SourceIdentity?

    private var recordsPerSecond: Double { Double(statistics.records) / max(seconds, 1e-9) }
    private var bytesPerRecord: Double {
        statistics.records == 0 ? 0 : Double(statistics.bytes) / Double(statistics.records)
    }

    var json: String {
        var object = JSONObject()
        if let identity {
            object.add("source_name", identity.name)
            object.add("source", hexadecimal(identity.source))
        }
        object.add("records", statistics.records)
        object.add("frames", statistics.frames)
        object.add("bytes", statistics.bytes)
        object.add("seconds", seconds, decimals: 6)
        object.add("records_per_second", recordsPerSecond, decimals: 0)
        object.add("bytes_per_record", bytesPerRecord, decimals: 2)
        object.add("records_dropped", statistics.recordsDropped)
        object.add("frames_dropped", statistics.framesDropped)
        if let receipt {
            object.add("frames_accepted", receipt.framesAccepted)
            object.add("records_accepted", receipt.recordsAccepted)
            object.add("frames_refused", receipt.framesRefused)
            object.add("frames_duplicate", receipt.framesDuplicate)
        }
        if let acknowledgements {
            object.add("records_acknowledged", acknowledgements.recordsAcknowledged)
            object.add("records_stored_earlier", recordsStoredEarlier(acknowledgements))
            object.add("frames_resent", acknowledgements.framesResent)
            object.add("reconnects", acknowledgements.reconnects)
            object.add("sessions_renewed", acknowledgements.sessionsRenewed)
        }
        return object.text
    }

    /// Those that the collector had, whether it said so in its welcome or recognised them when they came.
    private func recordsStoredEarlier(_ acknowledgements: AcknowledgementStatistics) -> UInt64 {
        // A receipt counts its own connection, and a frame that was written twice is no earlier run's.
        guard let receipt, acknowledgements.reconnects == 0, acknowledgements.framesResent == 0 else {
            return acknowledgements.recordsStoredEarlier
        }
        let accepted = min(receipt.recordsAccepted, acknowledgements.recordsAcknowledged)
        return max(acknowledgements.recordsStoredEarlier, acknowledgements.recordsAcknowledged - accepted)
    }

    var text: String {
        var rows = [
            ("records", grouped(statistics.records)), ("frames", grouped(statistics.frames)),
            ("bytes", grouped(statistics.bytes)), ("seconds", decimal(seconds, 3)),
            ("records/s", grouped(UInt64(recordsPerSecond))), ("bytes/record", decimal(bytesPerRecord, 2)),
            ("dropped", grouped(statistics.recordsDropped)),
        ]
        if let acknowledgements {
            rows.append(("acknowledged", grouped(acknowledgements.recordsAcknowledged)))
            let earlier = recordsStoredEarlier(acknowledgements)
            if earlier > 0 { rows.append(("from earlier", grouped(earlier))) }
            if acknowledgements.reconnects > 0 { rows.append(("reconnects", grouped(acknowledgements.reconnects))) }
        } else if let receipt {
            rows.append(("received", grouped(receipt.recordsAccepted)))
        }
        if let identity {
            // As `stats` shows it.
            rows.insert(("source", hexadecimal(identity.source)), at: 0)
            rows.insert(("name", identity.name.printable(charactersMax: StatisticsTable.nameCharactersMax)), at: 0)
        }
        let width = rows.map(\.1.count).max() ?? 0
        return rows.map { name, value in
            name + String(repeating: " ", count: 14 - name.count + width - value.count) + value
        }.joined(separator: "\n")
    }
}
