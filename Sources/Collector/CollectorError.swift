// Why a collector could not start: one line, and the exit code that goes with it.

import LinuxSystem
import Listeners
import SpillLog

/// A start that failed.
package struct CollectorError: Error, Sendable, CustomStringConvertible {
    /// The groups that a caller tells apart.
    package enum Kind: Sendable {
        /// A setting.
        case configuration
        /// The database or a port.
        case unavailable
        /// The machine has no more threads or descriptors.
        case system
        /// The spill's directory.
        case disk
    }

    package let kind: Kind
    package let description: String

    init(_ kind: Kind, _ description: String) {
        self.kind = kind
        self.description = description
    }

    /// - Parameter setting: the one that names the address.
    init(_ error: ListenerError, setting: String?) {
        let kind: Kind =
            switch error {
            case .unauthenticated, .addressNotAvailable, .familyNotSupported, .ringTooSmall: .configuration
            case .addressInUse, .notPermitted, .system, .other: .unavailable
            }
        self.init(kind, (setting.map { "\($0): " } ?? "") + "\(error)")
    }

    /// - Parameter isAllStored: whether what was accepted before the failure is stored or in the spill.
    init(startFailure error: any Error, isAllStored: Bool) {
        let failure =
            switch error {
            case let error as CollectorError: error
            case let error as ListenAddressError: CollectorError(.configuration, "\(error)")
            case let error as ListenerError: CollectorError(error, setting: nil)
            case let error as SpillError: CollectorError(.disk, "\(error)")
            case let error as SystemCallError: CollectorError(.system, "\(error)")
            default: CollectorError(.unavailable, "\(error)")
            }
        let loss = isAllStored ? "" : "; records that were accepted until then could not be stored; see the log"
        self.init(failure.kind, failure.description + loss)
    }
}
