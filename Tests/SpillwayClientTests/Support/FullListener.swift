// An address that swallows connections: its queue of connections is full and no call accepts any, so the kernel drops each SYN.

import Glibc
import LinuxSystem

/// Listens and never accepts.
final class FullListener {
    let port: UInt16
    private var descriptors: [Int32] = []

    /// - Parameters:
    ///   - lastByte: of the address 127.0.0.x.
    ///   - port: 0 for a free one.
    init(lastByte: UInt32 = 1, port: UInt16 = 0) throws {
        let listener = try Self.open()
        descriptors.append(listener)
        var name = Self.name(lastByte, port)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        try Self.withAddress(&name) { address in
            try checkedCall("bind") { Int(bind(listener, address, length)) }
            try checkedCall("listen") { Int(listen(listener, 0)) }
            try checkedCall("getsockname") { Int(getsockname(listener, address, &length)) }
        }
        self.port = UInt16(bigEndian: name.sin_port)
        // One connection is complete, and more wait for a place that never comes.
        for _ in 0..<4 {
            let client = try Self.open()
            descriptors.append(client)
            try Self.withAddress(&name) { address in
                guard connect(client, address, length) == 0 || errno == EINPROGRESS else {
                    throw SystemCallError(call: "connect", code: errno)
                }
            }
        }
    }

    deinit { for descriptor in descriptors { close(descriptor) } }

    private static func open() throws(SystemCallError) -> Int32 {
        Int32(
            try checkedCall("socket") {
                Int(socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0))
            })
    }

    static func name(_ lastByte: UInt32, _ port: UInt16) -> sockaddr_in {
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_addr.s_addr = (UInt32(0x7F00_0000) + lastByte).bigEndian
        name.sin_port = port.bigEndian
        return name
    }

    private static func withAddress(
        _ name: inout sockaddr_in, _ body: (UnsafeMutablePointer<sockaddr>) throws -> Void
    ) throws {
        try withUnsafeMutablePointer(to: &name) { pointer in
            try pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { try body($0) }
        }
    }
}
