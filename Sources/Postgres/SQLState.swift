// PostgreSQL's five-character error codes, and which of them are worth another try.

/// A code of Appendix A of PostgreSQL's manual.
public struct SQLState: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    public let rawValue: String
    public init(rawValue: String) { self.rawValue = rawValue }
    public init(_ code: String) { rawValue = code }
    public var description: String { rawValue }

    /// The first two characters: the family of the error.
    public var errorClass: Substring { rawValue.prefix(2) }

    public static let serializationFailure = SQLState("40001")
    public static let deadlockDetected = SQLState("40P01")
    public static let lockNotAvailable = SQLState("55P03")
    public static let queryCanceled = SQLState("57014")
    public static let adminShutdown = SQLState("57P01")
    public static let crashShutdown = SQLState("57P02")
    public static let cannotConnectNow = SQLState("57P03")
    public static let idleSessionTimeout = SQLState("57P05")
    /// The server has become a standby, or its administrator has stopped writes.
    public static let readOnlySQLTransaction = SQLState("25006")
    public static let idleInTransactionTimeout = SQLState("25P03")
    public static let transactionTimeout = SQLState("25P04")
    public static let uniqueViolation = SQLState("23505")
    public static let exclusionViolation = SQLState("23P01")
    public static let insufficientPrivilege = SQLState("42501")
    public static let undefinedTable = SQLState("42P01")
    public static let undefinedColumn = SQLState("42703")
    public static let undefinedFunction = SQLState("42883")
    public static let undefinedObject = SQLState("42704")
    public static let duplicateTable = SQLState("42P07")
    public static let invalidSchemaName = SQLState("3F000")
    public static let checkViolation = SQLState("23514")
    public static let undefinedFile = SQLState("58P01")
    public static let featureNotSupported = SQLState("0A000")
    public static let invalidPassword = SQLState("28P01")
    public static let invalidAuthorization = SQLState("28000")
    public static let databaseMissing = SQLState("3D000")
    /// Of memory shared by the sessions, which is the table of locks.
    public static let outOfMemory = SQLState("53200")
    /// `object_not_in_prerequisite_state`, by the trigger of the ledger.
    package static let batchBegunInParts = SQLState("55000")
    public static let tooManyConnections = SQLState("53300")

    /// Whether the same statement may succeed later without anybody changing it: conflicts between transactions,
    /// exhausted resources (class 53), a shutdown, a server that takes no writes now, a session that was ended for standing
    /// still, a lost connection (class 08).
    public var isTransient: Bool {
        switch self {
        case .serializationFailure, .deadlockDetected, .lockNotAvailable, .queryCanceled, .adminShutdown,
            .crashShutdown, .cannotConnectNow, .idleSessionTimeout, .readOnlySQLTransaction,
            .idleInTransactionTimeout, .transactionTimeout:
            true
        default:
            errorClass == "53" || errorClass == "08"
        }
    }
}
