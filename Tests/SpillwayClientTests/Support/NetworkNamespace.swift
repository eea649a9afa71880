// A network of its own, in which a test changes addresses and links without touching the machine's.

import Glibc
import LinuxSystem
import Synchronization

/// A thread in a new network namespace. Sockets and threads that are made in `run` belong to the namespace; it ends with the last
/// of them.
final class NetworkNamespace: Sendable {
    struct Failure: Error, CustomStringConvertible { let description: String }

    private let work: BoundedQueue<@Sendable () -> Void>
    private let thread: NamedThread
    /// Of the thread: names the namespace for `ip link set ... netns`.
    let id: Int32

    /// Whether this process may make one, and `ip` is installed.
    static let isPossible: Bool = {
        do {
            let space = try NetworkNamespace()
            return space.shell("ip link set lo up")
        } catch {
            return false
        }
    }()

    private static let newNetwork: Int32 = 0x4000_0000

    init() throws {
        let work = BoundedQueue<@Sendable () -> Void>(capacity: 1)
        let outcome = BoundedQueue<Int32>(capacity: 1)
        self.work = work
        thread = try NamedThread(name: "namespace") {
            _ = outcome.push(Self.enter(), timeoutMilliseconds: 1_000)
            while !work.isDrained {
                if let body = work.pop(timeoutMilliseconds: 1_000) { body() }
            }
        }
        id = outcome.pop(timeoutMilliseconds: 5_000) ?? 0
        guard id > 0 else {
            work.close()
            thread.join()
            throw Failure(description: "no network namespace")
        }
    }

    deinit {
        work.close()
        thread.join()
    }

    /// - Returns: the thread's id in its new namespace, or 0.
    private static func enter() -> Int32 {
        guard let symbol = dlsym(nil, "unshare") else { return 0 }
        typealias Unshare = @convention(c) (Int32) -> Int32
        guard unsafeBitCast(symbol, to: Unshare.self)(newNetwork) == 0 else { return 0 }
        var link = [CChar](repeating: 0, count: 64)
        let count = readlink("/proc/thread-self", &link, link.count)
        let text = String(decoding: link.prefix(max(count, 0)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return text.split(separator: "/").last.flatMap { Int32($0) } ?? 0
    }

    /// Runs `body` on the namespace's thread and waits for it.
    func run<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) throws -> Result {
        let results = BoundedQueue<Swift.Result<Result, any Error>>(capacity: 1)
        let isTaken = work.push(
            { _ = results.push(.init(catching: body), timeoutMilliseconds: 0) }, timeoutMilliseconds: 1_000)
        guard isTaken, let result = results.pop(timeoutMilliseconds: 60_000) else {
            throw Failure(description: "the namespace's thread does not answer")
        }
        return try result.get()
    }

    /// Runs a command of the shell in the namespace.
    ///
    /// - Returns: whether it succeeded.
    func shell(_ command: String) -> Bool {
        do { return try run { system(command) == 0 } } catch { return false }
    }
}

/// Two namespaces with a link between them: 10.9.0.2 is the client's, 10.9.0.1 and 10.9.0.9 are the collector's.
struct LinkedNamespaces {
    let client: NetworkNamespace
    let collector: NetworkNamespace

    init() throws {
        client = try NetworkNamespace()
        collector = try NetworkNamespace()
        let isLinked =
            client.shell(
                "ip link set lo up && ip link add v0 type veth peer name v1 && ip link set v1 netns \(collector.id)")
            && collector.shell(
                "ip link set lo up && ip addr add 10.9.0.1/24 dev v1 && ip addr add 10.9.0.9/24 dev v1 && ip link set v1 up"
            )
            && client.shell("ip addr add 10.9.0.2/24 dev v0 && ip link set v0 up")
        guard isLinked else { throw NetworkNamespace.Failure(description: "the namespaces cannot be linked") }
    }

    /// As a new lease or another network gives it: the old address is lost first.
    func changeClientAddress(to address: String) -> Bool {
        client.shell("ip addr flush dev v0 && sleep 0.1 && ip addr add \(address)/24 dev v0")
    }
}
