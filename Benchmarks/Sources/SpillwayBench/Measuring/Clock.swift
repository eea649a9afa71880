// Time, and a result that the optimiser cannot do away with.

import Glibc

/// Nanoseconds of a clock that only goes forward.
func nowNanoseconds() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}

/// Makes `value` needed.
@inline(never)
@_optimize(none)
func keep<Value>(_ value: Value) {}

/// Nanoseconds that the calling thread has computed: what other programs take of the machine is not in it.
func threadNanoseconds() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}

/// Repeats `pass`, which only computes, for at least `milliseconds` and returns the thread's nanoseconds per pass.
func nanosecondsPerPass(milliseconds: Int, _ pass: () -> Void) -> Double {
    let start = threadNanoseconds()
    let deadline = start + UInt64(milliseconds) * 1_000_000
    var passes = 0
    var now = start
    repeat {
        pass()
        passes += 1
        now = threadNanoseconds()
    } while now < deadline
    return Double(now - start) / Double(passes)
}

func say(_ text: String) { writeError(text + "\n") }

private let isTerminal = isatty(STDERR_FILENO) == 1

/// On a terminal it replaces the last such line.
func progress(_ text: String) { writeError(isTerminal ? "\r\u{1B}[K\(text)" : text + "\n") }

/// Ends the lines of `progress`.
func progressEnd() { if isTerminal { writeError("\r\u{1B}[K") } }

/// What cannot be written to standard error is nobody's loss.
private func writeError(_ text: String) { _ = text.withCString { write(STDERR_FILENO, $0, strlen($0)) } }
