// How many files and sockets this process may have open.

import Glibc

/// The limits of open descriptors.
public struct DescriptorLimit: Equatable, Sendable {
    /// What holds now.
    public let soft: Int
    /// What the process may raise it to by itself.
    public let hard: Int

    public init(soft: Int, hard: Int) {
        self.soft = soft
        self.hard = hard
    }

    /// The limits now.
    public static func current() throws(SystemCallError) -> DescriptorLimit {
        let limit = try get()
        return DescriptorLimit(soft: Int(clamping: limit.rlim_cur), hard: Int(clamping: limit.rlim_max))
    }

    /// Raises the soft limit to `wanted`, as far as the hard one allows. It is never lowered.
    ///
    /// - Returns: the limits after that.
    public static func raise(to wanted: Int) throws(SystemCallError) -> DescriptorLimit {
        var limit = try get()
        let target = min(rlim_t(max(0, wanted)), limit.rlim_max)
        if limit.rlim_cur < target {
            limit.rlim_cur = target
            try checkedCall("setrlimit") { Int(setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)) }
        }
        return try current()
    }

    private static func get() throws(SystemCallError) -> rlimit {
        var limit = rlimit()
        try checkedCall("getrlimit") { Int(getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)) }
        return limit
    }
}
