// The buffers of recvmmsg: allocated once, read through spans.

import CLinux
import Glibc
import LinuxSystem

/// A datagram in its batch.
struct Datagram {
    let peer: PeerAddress
    /// Its end did not fit in the buffer.
    let isTruncated: Bool
    /// The kernel's drop total when it was queued, if that came along.
    let drops: UInt32?
    fileprivate let bytes: UnsafeRawBufferPointer
}

/// Room for the datagrams of one call.
///
/// `@unchecked Sendable` holds because the memory behind the handle belongs to this one value, which cannot be copied
/// and is changed through `mutating` alone.
struct DatagramBatch: ~Copyable, @unchecked Sendable {
    /// Datagrams a call takes.
    static let datagramsMax = 64
    /// More than UDP can carry in IPv4, and all that it can in IPv6 without jumbograms.
    static let datagramBytesMax = 65_536

    private let handle: OpaquePointer
    private let datagramBytesMax: Int
    /// How many the kernel returned: what lies behind is from earlier calls.
    private(set) var count = 0

    init(datagramBytesMax: Int = Self.datagramBytesMax) throws(SystemCallError) {
        guard let handle = spillway_datagram_batch_create(UInt32(Self.datagramsMax), datagramBytesMax) else {
            throw SystemCallError(call: "calloc", code: ENOMEM, object: "buffers for datagrams")
        }
        self.handle = handle
        self.datagramBytesMax = datagramBytesMax
    }

    deinit { spillway_datagram_batch_destroy(handle) }

    /// Replaces the batch by what the socket holds now; `count` is 0 when that is nothing.
    mutating func receive(from descriptor: Int32) throws(SystemCallError) {
        count = 0
        let result = try systemCall("recvmmsg") { Int(spillway_datagram_batch_receive(handle, descriptor)) }
        guard case .value(let received) = result else { return }
        count = received
    }

    func datagram(at index: Int) -> Datagram {
        precondition(index >= 0 && index < count)
        let raw = spillway_datagram_batch_get(handle, UInt32(index))
        return Datagram(
            peer: PeerAddress(raw.peer), isTruncated: raw.is_truncated != 0,
            drops: raw.has_drops != 0 ? raw.drops : nil,
            // The kernel's length of a truncated datagram is that of the buffer, so these bytes are ours in any case.
            bytes: UnsafeRawBufferPointer(start: raw.bytes, count: min(Int(raw.length), datagramBytesMax)))
    }

    /// Gives `body` the datagram's bytes, which are valid until the next `receive`.
    func withBytes<Result>(of datagram: Datagram, _ body: (RawSpan) -> Result) -> Result {
        body(datagram.bytes.bytes)
    }

    /// The same for a part of the datagram at `index`.
    func withBytes<Result>(_ part: Range<Int>, ofDatagramAt index: Int, _ body: (RawSpan) -> Result) -> Result {
        precondition(index >= 0 && index < count && part.lowerBound >= 0 && part.upperBound <= datagramBytesMax)
        let start = spillway_datagram_batch_buffer(handle, UInt32(index))
        return body(UnsafeRawBufferPointer(start: start, count: datagramBytesMax).bytes.extracting(part))
    }
}
