// The one funnel for system calls: EINTR is tried again, would-block is a value, everything else is thrown with the
// call's name and its object, so that an error always says where it came from.

import Glibc

/// A system call that failed.
public struct SystemCallError: Error, Equatable, CustomStringConvertible {
    /// The call, for example `bind`.
    public let call: String
    /// The value of `errno`.
    public let code: Int32
    /// What the call was applied to: an address, a path. Empty when there is nothing to name.
    public let object: String

    public init(call: String, code: Int32, object: String = "") {
        self.call = call
        self.code = code
        self.object = object
    }

    public var description: String {
        let reason = String(cString: strerror(code))
        return object.isEmpty ? "\(call): \(reason)" : "\(call) \(object): \(reason)"
    }
}

/// What a call on a non-blocking descriptor gave.
public enum CallResult: Equatable, Sendable {
    case value(Int)
    case wouldBlock
}

/// Calls `body` until it is not interrupted by a signal.
///
/// - Returns: what `body` returned when that was not negative, or `.wouldBlock` for EAGAIN.
/// - Throws: `SystemCallError` for any other `errno`.
public func systemCall(
    _ call: StaticString, object: @autoclosure () -> String = "", _ body: () -> Int
) throws(SystemCallError) -> CallResult {
    while true {
        let result = body()
        if result >= 0 { return .value(result) }
        let code = errno
        if code == EINTR { continue }
        if code == EAGAIN || code == EWOULDBLOCK { return .wouldBlock }
        throw SystemCallError(call: "\(call)", code: code, object: object())
    }
}

/// The same for a call that cannot block: EAGAIN is an error too.
@discardableResult
public func checkedCall(
    _ call: StaticString, object: @autoclosure () -> String = "", _ body: () -> Int
) throws(SystemCallError) -> Int {
    switch try systemCall(call, object: object(), body) {
    case .value(let value): return value
    case .wouldBlock: throw SystemCallError(call: "\(call)", code: EAGAIN, object: object())
    }
}
