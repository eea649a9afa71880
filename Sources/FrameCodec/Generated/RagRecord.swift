// Generated from protocol/kinds.json by `swift run kinds-generator`: change it there.
// swift-format-ignore-file

import MetricKinds

/// A retrieval answered a query. Every field may be absent; see `MetricKind.rag` for the table.
public struct RagRecord: MetricRecord, Equatable {
    public static var kind: MetricKind { .rag }

    /// Microseconds since the Unix epoch, UTC.
    public var time: Int64
    /// The query that was answered.
    public var queryID: String?
    /// The method of retrieval. Known values: mini_rag, full_rag, guided_search.
    public var ragType: String?
    /// Its text.
    public var queryText: String?
    /// Time to find and rank documents. In milliseconds.
    public var retrievalTimeMs: Int32?
    /// Documents that were found.
    public var documentsRetrieved: Int32?
    /// Those of them that were relevant.
    public var documentsRelevant: Int32?
    /// How relevant the documents are together.
    public var relevanceScore: Float?
    /// Length of the context made of them.
    public var contextLength: Int32?
    /// The same in tokens. In tokens.
    public var contextTokens: Int32?
    /// How documents were looked for.
    public var searchStrategy: String?
    /// Time of the vector search. In milliseconds.
    public var vectorSearchTimeMs: Int32?
    /// Time to rank the documents again. In milliseconds.
    public var rerankingTimeMs: Int32?
    /// Time of the whole retrieval. In milliseconds.
    public var totalRagTimeMs: Int32?
    public var tags: Tags?
    public var metadata: Metadata?

    /// A record with only its time set, or with the fields given.
    public init(
        time: Int64,
        queryID: String? = nil,
        ragType: String? = nil,
        queryText: String? = nil,
        retrievalTimeMs: Int32? = nil,
        documentsRetrieved: Int32? = nil,
        documentsRelevant: Int32? = nil,
        relevanceScore: Float? = nil,
        contextLength: Int32? = nil,
        contextTokens: Int32? = nil,
        searchStrategy: String? = nil,
        vectorSearchTimeMs: Int32? = nil,
        rerankingTimeMs: Int32? = nil,
        totalRagTimeMs: Int32? = nil,
        tags: Tags? = nil,
        metadata: Metadata? = nil
    ) {
        self.time = time
        self.queryID = queryID
        self.ragType = ragType
        self.queryText = queryText
        self.retrievalTimeMs = retrievalTimeMs
        self.documentsRetrieved = documentsRetrieved
        self.documentsRelevant = documentsRelevant
        self.relevanceScore = relevanceScore
        self.contextLength = contextLength
        self.contextTokens = contextTokens
        self.searchStrategy = searchStrategy
        self.vectorSearchTimeMs = vectorSearchTimeMs
        self.rerankingTimeMs = rerankingTimeMs
        self.totalRagTimeMs = totalRagTimeMs
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
        if let ragType {
            try writer.text(ragType, bit: 3, &fields)
        }
        if let queryText {
            try writer.text(queryText, bit: 4, &fields)
        }
        if let retrievalTimeMs {
            fields.int32(retrievalTimeMs, bit: 5)
        }
        if let documentsRetrieved {
            fields.int32(documentsRetrieved, bit: 6)
        }
        if let documentsRelevant {
            fields.int32(documentsRelevant, bit: 7)
        }
        if let relevanceScore {
            fields.float32(relevanceScore, bit: 8)
        }
        if let contextLength {
            fields.int32(contextLength, bit: 9)
        }
        if let contextTokens {
            fields.int32(contextTokens, bit: 10)
        }
        if let searchStrategy {
            try writer.text(searchStrategy, bit: 11, &fields)
        }
        if let vectorSearchTimeMs {
            fields.int32(vectorSearchTimeMs, bit: 12)
        }
        if let rerankingTimeMs {
            fields.int32(rerankingTimeMs, bit: 13)
        }
        if let totalRagTimeMs {
            fields.int32(totalRagTimeMs, bit: 14)
        }
    }
}
