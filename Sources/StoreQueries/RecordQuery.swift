// Records as they were stored, newest first unless another order is asked for.

import MetricKinds
import Postgres

/// A question for records.
public struct RecordQuery: Equatable, Sendable {
    public let scope: QueryScope
    /// What is wanted of each record besides its time.
    public let fields: [QueryField]
    /// The most records; nil is all of them.
    public let limit: Int?
    private let order: QueryOrder?
    /// What is ordered by; nil is the time.
    private let orderField: QueryField?

    /// - Parameters:
    ///   - fields: nil is all of the kind.
    ///   - order: by a field or by `time`; nil is newest first.
    /// - Throws: `.badLimit`, and `.unknownField` for the order.
    public init(
        _ scope: QueryScope, fields: [QueryField]? = nil, limit: Int? = nil, order: QueryOrder? = nil
    ) throws(QueryError) {
        if let limit, limit < 1 { throw .badLimit(limit, allowed: 1...Int.max) }
        self.order = order
        var orderField: QueryField?
        if let order, order.name != "time" { orderField = try QueryField(order.name, of: scope.kind) }
        self.orderField = orderField
        self.scope = scope
        self.fields = fields ?? QueryField.all(of: scope.kind)
        precondition(self.fields.allSatisfy { $0.kind == scope.kind }, "a field of another kind")
        self.limit = limit
    }

    func sql(_ parameters: inout SQLParameters) -> String {
        let columns = [SQLTime.microseconds("r.time")] + fields.map { $0.sql(&parameters) }
        var text = "SELECT \(columns.joined(separator: ", ")) \(scope.sql(&parameters)) ORDER BY "
        if let order, let orderField {
            text += "\(order.sql(orderField.sql(&parameters))), r.time DESC"
        } else {
            text += order?.isDescending == false ? "r.time" : "r.time DESC"
        }
        if let limit { text += " LIMIT \(parameters.bind("\(limit)", as: "bigint"))" }
        return text
    }

    /// Reads a row of the statement.
    func row(_ texts: [String?]) -> RecordRow? {
        guard texts.count == fields.count + 1, let time = texts[0].flatMap({ Int64($0) }) else { return nil }
        var values: [StoredValue?] = []
        values.reserveCapacity(fields.count)
        for (field, text) in zip(fields, texts.dropFirst()) {
            guard let text else {
                values.append(nil)
                continue
            }
            guard let value = StoredValue(text, as: field.type) else { return nil }
            values.append(value)
        }
        return RecordRow(time: time, values: values)
    }
}

/// A record of the answer.
public struct RecordRow: Equatable, Sendable {
    /// Microseconds since the Unix epoch.
    public let time: Int64
    /// In the order of the query's fields.
    public let values: [StoredValue?]
}
