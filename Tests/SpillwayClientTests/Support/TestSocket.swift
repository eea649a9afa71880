// Sockets of tests on IPv4 addresses of this machine.

import Glibc
import LinuxSystem

/// A listening or a bound socket, closed with its owner.
final class TestSocket: Sendable {
    let descriptor: Int32
    let port: UInt16

    /// - Parameters:
    ///   - ip: four numbers.
    ///   - port: 0 for a free one.
    init(_ type: __socket_type, ip: [UInt8] = [127, 0, 0, 1], port: UInt16 = 0) throws(SystemCallError) {
        let opened = Int32(
            try checkedCall("socket") {
                Int(socket(AF_INET, Int32(type.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0))
            })
        descriptor = opened
        var name = Self.name(ip, port)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        var on: Int32 = 1
        setsockopt(opened, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
        let result = withUnsafeMutablePointer(to: &name) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                guard bind(opened, address, length) == 0 else { return Int32(-1) }
                guard type != SOCK_STREAM || listen(opened, 64) == 0 else { return Int32(-1) }
                return getsockname(opened, address, &length)
            }
        }
        guard result == 0 else {
            let code = errno
            close(opened)
            throw SystemCallError(call: "bind", code: code)
        }
        self.port = UInt16(bigEndian: name.sin_port)
    }

    deinit { close(descriptor) }

    /// A connection to 127.0.0.1; -1 if it is refused.
    static func connect(port: UInt16) -> Int32 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var name = Self.name([127, 0, 0, 1], port)
        let result = withUnsafeMutablePointer(to: &name) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0 else {
            close(descriptor)
            return -1
        }
        return descriptor
    }

    private static func name(_ ip: [UInt8], _ port: UInt16) -> sockaddr_in {
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_addr.s_addr = ip.reduce(UInt32(0)) { $0 << 8 | UInt32($1) }.bigEndian
        name.sin_port = port.bigEndian
        return name
    }
}

/// Waits until the condition holds; false if it does not in time.
func eventually(withinMilliseconds timeout: Int = 20_000, _ condition: () -> Bool) -> Bool {
    let deadline = monotonicNanoseconds() + UInt64(timeout) * 1_000_000
    while monotonicNanoseconds() < deadline {
        if condition() { return true }
        usleep(2_000)
    }
    return condition()
}

/// Whether the long forms of tests run.
let isTorture = getenv("SPILLWAY_TORTURE").map { String(cString: $0) == "1" } ?? false
