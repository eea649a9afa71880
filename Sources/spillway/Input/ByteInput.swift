// A file or standard input, read in large pieces into memory that grows to what one item needs.

import Glibc
import LinuxSystem

/// Bytes that come in. What was read and not consumed lies in one piece.
struct ByteInput: ~Copyable {
    /// For messages.
    let name: String
    /// Where the first byte that is not consumed stands in the file.
    private(set) var offset = 0
    private let descriptor: Int32
    private var base: UnsafeMutableRawPointer
    private var capacity = 262_144
    private var start = 0
    private var end = 0
    private(set) var hasEnded = false
    /// Called while nothing comes in, again and again, and at once when something that was read must go on.
    var onIdle: IdleHandler?
    /// Something was finished since nothing came in: what it was given to must not hold it back.
    private var isIdle = false

    typealias IdleHandler = () throws(CommandError) -> Void
    private static let idleMilliseconds: Int32 = 50

    /// - Parameter path: `-` is standard input.
    init(path: String) throws(CommandError) {
        name = path == "-" ? "standard input" : path
        if path == "-" {
            descriptor = STDIN_FILENO
        } else {
            do throws(SystemCallError) {
                descriptor = Int32(try checkedCall("open", object: path) { Int(open(path, O_RDONLY | O_CLOEXEC)) })
            } catch {
                throw CommandError(.inputOutput, "\(error)")
            }
        }
        base = .allocate(byteCount: capacity, alignment: 8)
    }

    deinit {
        base.deallocate()
        if descriptor != STDIN_FILENO { close(descriptor) }
    }

    /// The bytes that were read and not consumed.
    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base + start, count: end - start) }

    mutating func consume(_ count: Int) {
        precondition(count <= end - start)
        start += count
        offset += count
    }

    /// Waits until a read would not block.
    ///
    /// - Parameter milliseconds: -1 waits as long as it takes.
    /// - Returns: false when the time has passed without it.
    mutating func waitForMore(milliseconds: Int32) throws(CommandError) -> Bool {
        guard !hasEnded else { return true }
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        do throws(SystemCallError) {
            isIdle = try checkedCall("poll", object: name) { Int(poll(&entry, 1, milliseconds)) } == 0
            return !isIdle
        } catch {
            throw CommandError(.inputOutput, "\(error)")
        }
    }

    /// Reads more after what is there already.
    ///
    /// - Returns: false at the end of the file.
    mutating func readMore() throws(CommandError) -> Bool {
        guard !hasEnded else { return false }
        if let onIdle {
            if isIdle { try onIdle() }
            while try !waitForMore(milliseconds: Self.idleMilliseconds) { try onIdle() }
        }
        if start > 0 {
            memmove(base, base + start, end - start)
            end -= start
            start = 0
        }
        if end == capacity {
            // Whoever reads checks the item's own limit before asking for more, so this stays bounded.
            let larger = UnsafeMutableRawPointer.allocate(byteCount: capacity * 2, alignment: 8)
            memcpy(larger, base, end)
            base.deallocate()
            base = larger
            capacity *= 2
        }
        do throws(SystemCallError) {
            let count = try checkedCall("read", object: name) { read(descriptor, base + end, capacity - end) }
            end += count
            if count == 0 { hasEnded = true }
            return count > 0
        } catch {
            throw CommandError(.inputOutput, "\(error)")
        }
    }
}
