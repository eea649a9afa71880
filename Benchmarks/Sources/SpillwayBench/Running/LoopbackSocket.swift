// A TCP connection to a server on this machine.

import Glibc

/// A connected socket, closed with its owner.
struct LoopbackSocket: ~Copyable {
    let descriptor: Int32

    init(port: UInt16) throws(BenchError) {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw BenchError("no socket: errno \(errno)") }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let connected = withUnsafeBytes(of: &address) { bytes in
            connect(descriptor, bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self), socklen_t(bytes.count))
        }
        guard connected == 0 else {
            let code = errno
            close(descriptor)
            throw BenchError("no connection to port \(port): errno \(code)")
        }
        // Otherwise a part of a write waits for the acknowledgement of the one before, up to 40 ms.
        var yes: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &yes, socklen_t(MemoryLayout<Int32>.size))
        self.descriptor = descriptor
    }

    deinit { close(descriptor) }

    /// Writes all of it, however long the other side lets it wait.
    func write(_ bytes: UnsafeRawBufferPointer) throws(BenchError) {
        var offset = 0
        while offset < bytes.count {
            let done = send(
                descriptor, bytes.baseAddress?.advanced(by: offset), bytes.count - offset, Int32(MSG_NOSIGNAL))
            if done > 0 { offset += done } else if errno != EINTR { throw BenchError("send: errno \(errno)") }
        }
    }

    /// Reads what is there and drops it.
    func dropReplies(_ buffer: inout [UInt8]) {
        while recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT)) > 0 {}
    }
}
