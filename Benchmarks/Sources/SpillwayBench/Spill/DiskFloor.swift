// The bare disk: one file, written from front to back and made durable once.

import Glibc

enum DiskFloor {
    private static let writeBytes = 1 << 20

    /// Writes a file and removes it.
    ///
    /// - Returns: GB/s, the fdatasync included.
    static func write(bytes: Int, path: String) throws(BenchError) -> Double {
        // Not compressible, and no block the same again up to 512 MiB: a disk may be clever. Each MiB begins a word further.
        var words = [UInt64](repeating: 0, count: writeBytes / 8 + bytes / writeBytes + 1)
        var state: UInt64 = 1
        for index in words.indices {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            words[index] = state
        }
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw BenchError("open \(path): errno \(errno)") }
        defer {
            close(descriptor)
            unlink(path)
        }
        let start = nowNanoseconds()
        var left = bytes
        while left > 0 {
            let place = (bytes - left) / writeBytes * 8
            let done = words.withUnsafeBytes {
                Glibc.write(descriptor, $0.baseAddress?.advanced(by: place), min(left, writeBytes))
            }
            guard done > 0 else { throw BenchError("write \(path): errno \(errno)") }
            left -= done
        }
        guard fdatasync(descriptor) == 0 else { throw BenchError("fdatasync \(path): errno \(errno)") }
        return Double(bytes) / Double(nowNanoseconds() - start)
    }
}
