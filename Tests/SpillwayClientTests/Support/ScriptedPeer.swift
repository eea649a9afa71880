// A collector's side of connections, which acknowledges, refuses and cuts as a test's script says.

import Glibc
import LinuxSystem
import Synchronization

@testable import SpillwayClient

/// A collector's side, one connection after the other, as a script says.
final class ScriptedPeer: Sendable {
    struct Outcome {
        let taken: [UInt64]
        /// The connection ends without a word, and another one is waited for.
        let isCut: Bool
    }

    let address: CollectorAddress
    private let listener: Int32
    private let thread: NamedThread

    /// - Parameter port: on 127.0.0.1; 0 for a free one.
    init(port: UInt16 = 0, _ script: @escaping @Sendable (Connection, Int) -> Outcome) throws {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        name.sin_port = port.bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutablePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                bind(descriptor, pointer, length) == 0 ? getsockname(descriptor, pointer, &length) : -1
            }
        }
        guard result == 0, listen(descriptor, 8) == 0 else { throw SystemCallError(call: "listen", code: errno) }
        listener = descriptor
        address = try CollectorAddress("tcp://127.0.0.1:\(UInt16(bigEndian: name.sin_port))")
        let box = Box()
        thread = try NamedThread(name: "peer") {
            for number in 0..<8 {
                let client = accept(descriptor, nil, nil)
                guard client >= 0 else { return }
                let outcome = script(Connection(descriptor: client), number)
                box.taken.withLock { $0.append(outcome.taken) }
                close(client)
                if !outcome.isCut { return }
            }
        }
        self.box = box
    }

    private final class Box: Sendable {
        let taken = Mutex<[[UInt64]]>([])
    }
    private let box: Box

    /// The sequences that each connection brought.
    func finish() -> [[UInt64]] {
        thread.join()
        close(listener)
        return box.taken.withLock { $0 }
    }

    final class Connection {
        private let descriptor: Int32
        private var bytes: [UInt8] = []
        private let identity = SourceIdentity(name: "test", session: 42).frame(sequence: 0)

        init(descriptor: Int32) { self.descriptor = descriptor }

        func send(_ bytes: [UInt8]) { _ = Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) }
        func send(_ frame: some ControlFrame) { send(frame.encoded(identity)) }

        func welcome(_ ranges: [Range<UInt64>]) {
            send(WelcomeFrame(frameBytesMax: 1_048_576, recordsPerFrameMax: 16_384, durable: SequenceRanges(ranges)))
        }

        /// Sends a control frame of another session than the usual one.
        func send(_ frame: some ControlFrame, _ identity: FrameIdentity) { send(frame.encoded(identity)) }

        /// The next frame of any type; nil when the client has ended.
        func nextFrame() -> (header: FrameHeader, bytes: [UInt8])? {
            var buffer = [UInt8](repeating: 0, count: 65_536)
            while true {
                if let header = whole() {
                    let frame = Array(bytes[..<header.frameLength])
                    bytes.removeFirst(header.frameLength)
                    return (header, frame)
                }
                let received = recv(descriptor, &buffer, buffer.count, 0)
                guard received > 0 else { return nil }
                bytes += buffer[..<received]
            }
        }

        /// A frame of an unknown type, with a sound checksum.
        func sendUnknownType() {
            var frame = AcknowledgementFrame(durable: SequenceRanges()).encoded(identity)
            frame[6] = 77
            frame.replaceSubrange(12..<16, with: [0, 0, 0, 0])
            let crc = Checksum.crc32c(frame.span.bytes)
            withUnsafeBytes(of: crc.littleEndian) { frame.replaceSubrange(12..<16, with: $0) }
            send(frame)
        }

        /// Reads until so many record frames came.
        func takeFrames(_ count: Int) -> [UInt64] {
            var taken: [UInt64] = []
            var buffer = [UInt8](repeating: 0, count: 65_536)
            while taken.count < count {
                let received = recv(descriptor, &buffer, buffer.count, 0)
                guard received > 0 else { return taken }
                bytes += buffer[..<received]
                while let header = whole() {
                    if header.type == .records { taken.append(header.identity.sequence) }
                    bytes.removeFirst(header.frameLength)
                }
            }
            return taken
        }

        private func whole() -> FrameHeader? {
            do throws(FrameError) {
                let held = bytes
                return try FrameHeader.admit(held.span.bytes)
            } catch {
                return nil
            }
        }

        /// Waits for the client's end.
        func drain() {
            var buffer = [UInt8](repeating: 0, count: 4_096)
            while recv(descriptor, &buffer, buffer.count, 0) > 0 {}
        }
    }
}
