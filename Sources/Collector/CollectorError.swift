// Why a collector could not start: one line, and the exit code that goes with it.

/// A start that failed.
public struct CollectorError: Error, Sendable, CustomStringConvertible {
    /// The groups that a caller tells apart.
    public enum Kind: Sendable {
        /// A setting.
        case configuration
        /// The database or a port.
        case unavailable
        /// The machine has no more threads or descriptors.
        case system
        /// The spill's directory.
        case disk
    }

    public let kind: Kind
    public let description: String

    init(_ kind: Kind, _ description: String) {
        self.kind = kind
        self.description = description
    }
}
