// Generated from protocol/kinds.json by `swift run kinds-generator`: change it there.
// swift-format-ignore-file

import MetricKinds

/// A router chose a model for a query. Every field may be absent; see `MetricKind.routing` for the table.
public struct RoutingRecord: MetricRecord, Equatable {
    public static var kind: MetricKind { .routing }

    /// Microseconds since the Unix epoch, UTC.
    public var time: Int64
    /// The query that was routed.
    public var queryID: String?
    /// Its text.
    public var queryText: String?
    /// How demanding the router found the query.
    public var complexityScore: Float?
    /// How sure the router was of its choice.
    public var confidenceScore: Float?
    /// The model that was chosen.
    public var modelSelected: String?
    /// Time of the choice alone. In milliseconds.
    public var routingTimeMs: Int32?
    /// Time to embed the query. In milliseconds.
    public var embeddingTimeMs: Int32?
    /// Time to compare scores with thresholds. In milliseconds.
    public var thresholdComparisonTimeMs: Int32?
    /// Time of the whole routing. In milliseconds.
    public var totalRoutingTimeMs: Int32?
    /// Estimated size of the query. In tokens.
    public var tokensEstimated: Int32?
    /// Length of the context that goes with the query.
    public var contextLength: Int32?
    /// What the user wants, as the router classified it.
    public var userIntent: String?
    /// The subject area of the query.
    public var domainDetected: String?
    public var tags: Tags?
    public var metadata: Metadata?

    /// A record with only its time set, or with the fields given.
    public init(
        time: Int64,
        queryID: String? = nil,
        queryText: String? = nil,
        complexityScore: Float? = nil,
        confidenceScore: Float? = nil,
        modelSelected: String? = nil,
        routingTimeMs: Int32? = nil,
        embeddingTimeMs: Int32? = nil,
        thresholdComparisonTimeMs: Int32? = nil,
        totalRoutingTimeMs: Int32? = nil,
        tokensEstimated: Int32? = nil,
        contextLength: Int32? = nil,
        userIntent: String? = nil,
        domainDetected: String? = nil,
        tags: Tags? = nil,
        metadata: Metadata? = nil
    ) {
        self.time = time
        self.queryID = queryID
        self.queryText = queryText
        self.complexityScore = complexityScore
        self.confidenceScore = confidenceScore
        self.modelSelected = modelSelected
        self.routingTimeMs = routingTimeMs
        self.embeddingTimeMs = embeddingTimeMs
        self.thresholdComparisonTimeMs = thresholdComparisonTimeMs
        self.totalRoutingTimeMs = totalRoutingTimeMs
        self.tokensEstimated = tokensEstimated
        self.contextLength = contextLength
        self.userIntent = userIntent
        self.domainDetected = domainDetected
        self.tags = tags
        self.metadata = metadata
    }

    @inlinable
    public func write(to writer: inout RecordWriter) throws(RecordError) {
        var fields = writer.beginFields()
        defer { writer.fields = fields }
        if let queryID {
            try writer.prefixedText(queryID, bit: 2, slot: 0, &fields)
        }
        if let queryText {
            try writer.text(queryText, bit: 3, &fields)
        }
        if let complexityScore {
            fields.float32(complexityScore, bit: 4)
        }
        if let confidenceScore {
            fields.float32(confidenceScore, bit: 5)
        }
        if let modelSelected {
            try writer.text(modelSelected, bit: 6, &fields)
        }
        if let routingTimeMs {
            fields.int32(routingTimeMs, bit: 7)
        }
        if let embeddingTimeMs {
            fields.int32(embeddingTimeMs, bit: 8)
        }
        if let thresholdComparisonTimeMs {
            fields.int32(thresholdComparisonTimeMs, bit: 9)
        }
        if let totalRoutingTimeMs {
            fields.int32(totalRoutingTimeMs, bit: 10)
        }
        if let tokensEstimated {
            fields.int32(tokensEstimated, bit: 11)
        }
        if let contextLength {
            fields.int32(contextLength, bit: 12)
        }
        if let userIntent {
            try writer.text(userIntent, bit: 13, &fields)
        }
        if let domainDetected {
            try writer.text(domainDetected, bit: 14, &fields)
        }
    }
}
