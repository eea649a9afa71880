// A setting that cannot be used: which one, where it was given, why.

/// One line for the operator. Never holds a secret.
public struct ConfigurationError: Error, Equatable, Sendable, CustomStringConvertible {
    public let description: String

    public init(_ description: String) { self.description = description }
}
