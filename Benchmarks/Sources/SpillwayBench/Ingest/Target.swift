// What datagrams are sent to: the bare receiver in this process, or the collector in its own.

import CFloor
import Glibc

/// What a receiver says about itself since it began.
struct ReceiverCounts {
    var datagrams: UInt64 = 0
    /// Records that went the receiver's whole way; nil where it knows no records.
    var records: UInt64?
    var kernelDrops: UInt64 = 0
    /// Datagrams that were received and dropped behind the socket.
    var otherDrops: UInt64 = 0
    var cpuSeconds = 0.0

    static func - (left: ReceiverCounts, right: ReceiverCounts) -> ReceiverCounts {
        ReceiverCounts(
            datagrams: left.datagrams - right.datagrams,
            records: left.records.flatMap { all in right.records.map { all - $0 } },
            kernelDrops: left.kernelDrops - right.kernelDrops, otherDrops: left.otherDrops - right.otherDrops,
            cpuSeconds: left.cpuSeconds - right.cpuSeconds)
    }
}

/// A receiver of datagrams that can be asked for its counts.
protocol Target: ~Copyable {
    var name: String { get }
    var port: UInt16 { get }
    func counts() throws(IngestError) -> ReceiverCounts
}

/// The bare receiver.
struct Sink: Target, ~Copyable {
    let name = "bare recvmmsg"
    private let handle: OpaquePointer
    let receiveBufferBytes: Int
    let port: UInt16

    init(receiveBufferBytes: Int) throws(IngestError) {
        guard let handle = floor_sink_start(Int32(receiveBufferBytes)) else { throw .sink(code: errno) }
        self.handle = handle
        let state = floor_sink_read(handle)
        port = state.port
        self.receiveBufferBytes = Int(state.receive_buffer_bytes)
    }

    deinit { floor_sink_stop(handle) }

    func counts() -> ReceiverCounts {
        let state = floor_sink_read(handle)
        return ReceiverCounts(
            datagrams: state.datagrams, kernelDrops: state.kernel_drops, cpuSeconds: Double(state.cpu_ns) / 1e9)
    }
}
