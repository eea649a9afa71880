// A setting that cannot be used: which one, where it was given, why.

/// One line for the operator. Never holds a secret.
package struct ConfigurationError: Error, Equatable, Sendable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}
