import SpillwayClient

/// A sink that is flushed while its input is idle as well. Used by one thread.
final class IdleFlush<Sink: FrameSink & ~Copyable>: FrameSink {
    private var sink: Sink

    init(_ sink: consuming Sink) { self.sink = sink }

    var statistics: SendStatistics { sink.statistics }
    func send(_ frame: RawSpan, recordCount: Int) throws(CommandError) {
        try sink.send(frame, recordCount: recordCount)
    }
    func flush() throws(CommandError) { try sink.flush() }
    func finish() throws(CommandError) -> SendOutcome { try sink.finish() }
}
