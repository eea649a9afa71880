// Generated from protocol/kinds.json by `swift run kinds-generator`: change it there.
// swift-format-ignore-file

/// The kinds of records. The raw value is the kind's id on the wire.
public enum MetricKind: UInt8, Sendable, CaseIterable {
    /// A router chose a model for a query.
    case routing = 1
    /// An agent used its memory.
    case memory = 2
    /// A model computed attention in one layer.
    case attention = 3
    /// A model did a unit of work.
    case compute = 4
    /// An agent ran code in a sandbox.
    case execution = 5
    /// An agent was created, learned or changed.
    case agentEvolution = 6
    /// A retrieval answered a query.
    case rag = 7
    /// A host or service reported its load.
    case system = 8
    /// One named value.
    case point = 9

    /// The kind's name in JSON.
    public var name: String {
        switch self {
        case .routing: "routing"
        case .memory: "memory"
        case .attention: "attention"
        case .compute: "compute"
        case .execution: "execution"
        case .agentEvolution: "agent_evolution"
        case .rag: "rag"
        case .system: "system"
        case .point: "point"
        }
    }

    /// The kind's table, without its schema.
    public var tableName: String {
        switch self {
        case .routing: "routing_metrics"
        case .memory: "memory_metrics"
        case .attention: "attention_metrics"
        case .compute: "compute_metrics"
        case .execution: "execution_metrics"
        case .agentEvolution: "agent_evolution_metrics"
        case .rag: "rag_metrics"
        case .system: "system_metrics"
        case .point: "metric_points"
        }
    }

    /// What a record of the kind says.
    public var about: String {
        switch self {
        case .routing: "A router chose a model for a query."
        case .memory: "An agent used its memory."
        case .attention: "A model computed attention in one layer."
        case .compute: "A model did a unit of work."
        case .execution: "An agent ran code in a sandbox."
        case .agentEvolution: "An agent was created, learned or changed."
        case .rag: "A retrieval answered a query."
        case .system: "A host or service reported its load."
        case .point: "One named value."
        }
    }

    /// The version of the kind's fields that this program writes.
    @inlinable
    public var version: UInt8 {
        switch self {
        case .routing: 1
        case .memory: 1
        case .attention: 1
        case .compute: 1
        case .execution: 1
        case .agentEvolution: 1
        case .rag: 1
        case .system: 1
        case .point: 1
        }
    }

    /// Presence bits of a record that was written with this version, or nil for a later version.
    @inlinable
    public func presenceBits(version: UInt8) -> UInt8? {
        switch (self, version) {
        case (.routing, 1): 15
        case (.memory, 1): 13
        case (.attention, 1): 11
        case (.compute, 1): 16
        case (.execution, 1): 16
        case (.agentEvolution, 1): 13
        case (.rag, 1): 15
        case (.system, 1): 13
        case (.point, 1): 7
        default: nil
        }
    }

    /// Presence bits of a record of the present version.
    @inlinable
    public var presenceBits: UInt8 {
        switch self {
        case .routing: 15
        case .memory: 13
        case .attention: 11
        case .compute: 16
        case .execution: 16
        case .agentEvolution: 13
        case .rag: 15
        case .system: 13
        case .point: 7
        }
    }

    /// How many fields the kind has; its table has time, tags and metadata besides.
    @inlinable
    public var fieldCount: Int {
        switch self {
        case .routing: 13
        case .memory: 10
        case .attention: 9
        case .compute: 14
        case .execution: 12
        case .agentEvolution: 11
        case .rag: 13
        case .system: 11
        case .point: 5
        }
    }

    /// The kind's fields in their order on the wire and in the table.
    public var columns: [MetricColumn] {
        switch self {
        case .routing: Self.routingColumns
        case .memory: Self.memoryColumns
        case .attention: Self.attentionColumns
        case .compute: Self.computeColumns
        case .execution: Self.executionColumns
        case .agentEvolution: Self.agentEvolutionColumns
        case .rag: Self.ragColumns
        case .system: Self.systemColumns
        case .point: Self.pointColumns
        }
    }

    private static let routingColumns: [MetricColumn] = [
        MetricColumn(
            name: "query_id", type: .text, coding: .prefix, unit: nil,
            knownValues: [],
            about: "The query that was routed",
            since: 1, presenceBit: 2),
        MetricColumn(
            name: "query_text", type: .text, coding: .dictionary, unit: nil,
            knownValues: [],
            about: "Its text",
            since: 1, presenceBit: 3),
        MetricColumn(
            name: "complexity_score", type: .float32, coding: nil, unit: nil,
            knownValues: [],
            about: "How demanding the router found the query",
            since: 1, presenceBit: 4),
        MetricColumn(
            name: "confidence_score", type: .float32, coding: nil, unit: nil,
            knownValues: [],
            about: "How sure the router was of its choice",
            since: 1, presenceBit: 5),
        MetricColumn(
            name: "model_selected", type: .text, coding: .dictionary, unit: nil,
            knownValues: [],
            about: "The model that was chosen",
            since: 1, presenceBit: 6),
        MetricColumn(
            name: "routing_time_ms", type: .int32, coding: nil, unit: "milliseconds",
            knownValues: [],
            about: "Time of the choice alone",
            since: 1, presenceBit: 7),
        MetricColumn(
            name: "embedding_time_ms", type: .int32, coding: nil, unit: "milliseconds",
            knownValues: [],
            about: "Time to embed the query",
            since: 1, presenceBit: 8),
        MetricColumn(
            name: "threshold_comparison_time_ms", type: .int32, coding: nil, unit: "milliseconds",
            knownValues: [],
            about: "Time to compare scores with thresholds",
            since: 1, presenceBit: 9),
        MetricColumn(
            name: "total_routing_time_ms", type: .int32, coding: nil, unit: "milliseconds",
            knownValues: [],
            about: "Time of the whole routing",
            since: 1, presenceBit: 10),
        MetricColumn(
            name: "tokens_estimated", type: .int32, coding: nil, unit: "tokens",
            knownValues: [],
            about: "Estimated size of the query",
            since: 1, presenceBit: 11),
        MetricColumn(
            name: "context_length", type: .int32, coding: nil, unit: nil,
            knownValues: [],
            about: "Length of the context that goes with the query",
            since: 1, presenceBit: 12),
        MetricColumn(
            name: "user_intent", type: .text, coding: .dictionary, unit: nil,
            knownValues: [],
            about: "What the user wants, as the router classified it",
            since: 1, presenceBit: 13),
        MetricColumn(
            name: "domain_detected", type: .text, coding: .dictionary, unit: nil,
            knownValues: [],
            about: "The subject area of the query",
            since: 1, presenceBit: 14),
    ]

    private static let memoryColumns: [MetricColumn] = [
        MetricColumn(
            name: "agent_id", type: .text, coding: .dictionary, unit: nil,
            knownValues: [],
            about: "The agent that used its memory",
            since: 1, presenceBit: 2),
        MetricColumn(
            name: "memory_type", type: .text, coding: .dictionary, unit: nil,
            knownValues: [],
            about: "The kind of memory",
            since: 1, presenceBit: 3),
        MetricColumn(
            name: "memory_operation", type: .text, coding: .dictionary, unit: nil,
            knownValues: ["read", "write", "compress", "prune"],
            about: "What was done",
            since: 1, presenceBit: 4),
        MetricColumn(
            name: "memory_size_bytes", type: .int64, coding: nil, unit: "bytes",
            knownValues: [],
            about: "Size of what was read or written",
            since: 1, presenceBit: 5),
        MetricColumn(
            name: "memory_tokens", type: .int32, coding: nil, unit: "tokens",
            knownValues: [],
            about: "The same in tokens",
            since: 1, presenceBit: 6),
        MetricColumn(
            name: "operation_time_ms", type: .int32, coding: nil, unit: "milliseconds",
            knownValues: [],
            about: "Time of the operation",
            since: 1, presenceBit: 7),
        MetricColumn(
            name: "cache_hit", type: .bool, coding: nil, unit: nil,
            knownValues: [],
            about: "Whether the read was answered from a cache",
            since: 1, presenceBit: 8),
        MetricColumn(
            name: "compression_ratio", type: .float32, coding: nil, unit: nil,
            knownValues: [],
            about: "Size before compression divided by size after it",
            since: 1, presenceBit: 10),
        MetricColumn(
            name: "importance_score", type: .float32, coding: nil, unit: nil,
            knownValues: [],
            about: "How important the entry is to the agent",
            since: 1, presenceBit: 11),
        MetricColumn(
            name: "access_count", type: .int32, coding: nil, unit: nil,
            knownValues: [],
            about: "How often the entry was used",
            since: 1, presenceBit: 12),
    ]

    private static let attentionColumns: [MetricColumn] = [
        MetricColumn(
            name: "model_id", type: .text, coding: .dictionary, unit: nil,
            knownValues: [],
            about: "The model",
            since: 1, presenceBit: 2),
        MetricColumn(
            name: "layer_id", type: .int32, coding: nil, unit: nil,
            knownValues: [],
            about: "Number of the layer",
            since: 1, presenceBit: 3),
        MetricColumn(
            name: "attention_heads", type: .int32, coding: nil, unit: nil,
            knownValues: [],
            about: "Heads of the layer",
            since: 1, presenceBit: 4),
        MetricColumn(
            name: "attention_pattern", type: .text, coding: .dictionary, unit: nil,
            knownValues: [],
            about: "Which positions attend to which",
            since: 1, presenceBit: 5),
        MetricColumn(
            name: "attention_entropy", type: .float32, coding: nil, unit: nil,
            knownValues: [],
            about: "Entropy of the attention weights",
            since: 1, presenceBit: 6),
        MetricColumn(
            name: "attention_focus", type: .float32, coding: nil, unit: nil,
            knownValues: [],
            about: "How concentrated the attention is",
            since: 1, presenceBit: 7),
        MetricColumn(
            name: "attention_diversity", type: .float32, coding: nil, unit: nil,
            knownValues: [],
            about: "How much the heads differ",
            since: 1, presenceBit: 8),
        MetricColumn(
            name: "computation_time_ms", type: .int32, coding: nil, unit: "milliseconds",
            knownValues: [],
            about: "Time of the layer",
            since: 1, presenceBit: 9),
        MetricColumn(
            name: "memory_usage_mb", type: .float32, coding: nil, unit: "megabytes",
            knownValues: [],
            about: "Memory of the layer",
            since: 1, presenceBit: 10),
    ]

    private static let computeColumns: [MetricColumn] = [
        MetricColumn(
            name: "model_id", type: .text, coding: .dictionary, unit: nil,
            knownValues: [],
            about: "The model",
            since: 1, presenceBit: 2),
        MetricColumn(
            name: "operation_type", type: .text, coding: .dictionary, unit: nil,
            knownValues: ["inference", "training", "fine-tuning"],
            about: "What the model did",
            since: 1, presenceBit: 3),
        MetricColumn(
            name: "batch_size", type: .int32, coding: nil, unit: nil,
            knownValues: [],
            about: "Sequences computed together",
            since: 1, presenceBit: 4),
        MetricColumn(
            name: "sequence_length", type: .int32, coding: nil, unit: nil,
            knownValues: [],
            about: "Length of each sequence",
            since: 1, presenceBit: 5),
        MetricColumn(
            name: "tokens_processed", type: .int64, coding: nil, unit: "tokens",
            knownValues: [],
            about: "Tokens of the whole batch",
            since: 1, presenceBit: 6),
        MetricColumn(
            name: "computation_time_ms", type: .int32, coding: nil, unit: "milliseconds",
            knownValues: [],
            about: "Time of the batch",
            since: 1, presenceBit: 7),
        MetricColumn(
            name: "gpu_utilization_percent", type: .float32, coding: nil, unit: "percent",
            knownValues: [],
            about: "Share of the GPU in use",
            since: 1, presenceBit: 8),
        MetricColumn(
            name: "gpu_memory_used_mb", type: .float32, coding: nil, unit: "megabytes",
            knownValues: [],
            about: "GPU memory in use",
            since: 1, presenceBit: 9),
        MetricColumn(
            name: "cpu_utilization_percent", type: .float32, coding: nil, unit: "percent",
            knownValues: [],
            about: "Share of the processors in use",
            since: 1, presenceBit: 10),
        MetricColumn(
            name: "cpu_memory_used_mb", type: .float32, coding: nil, unit: "megabytes",
            knownValues: [],
            about: "Main memory in use",
            since: 1, presenceBit: 11),
        MetricColumn(
            name: "throughput_tokens_per_sec", type: .float32, coding: nil, unit: "tokens per second",
            knownValues: [],
            about: "Tokens processed in a second",
            since: 1, presenceBit: 12),
        MetricColumn(
            name: "latency_p50_ms", type: .float32, coding: nil, unit: "milliseconds",
            knownValues: [],
            about: "Median latency",
            since: 1, presenceBit: 13),
        MetricColumn(
            name: "latency_p95_ms", type: .float32, coding: nil, unit: "milliseconds",
            knownValues: [],
            about: "Latency that 95 of 100 requests stayed below",
            since: 1, presenceBit: 14),
        MetricColumn(
            name: "latency_p99_ms", type: .float32, coding: nil, unit: "milliseconds",
            knownValues: [],
            about: "Latency that 99 of 100 requests stayed below",
            since: 1, presenceBit: 15),
    ]

    private static let executionColumns: [MetricColumn] = [
        MetricColumn(
            name: "execution_id", type: .text, coding: .prefix, unit: nil,
            knownValues: [],
            about: "The run",
            since: 1, presenceBit: 2),
        MetricColumn(
            name: "agent_id", type: .text, coding: .dictionary, unit: nil,
            knownValues: [],
            about: "The agent that ran the code",
            since: 1, presenceBit: 3),
        MetricColumn(
            name: "language", type: .text, coding: .dictionary, unit: nil,
            knownValues: [],
            about: "Programming language",
            since: 1, presenceBit: 4),
        MetricColumn(
            name: "code_length", type: .int32, coding: nil, unit: nil,
            knownValues: [],
            about: "Length of the code",
            since: 1, presenceBit: 5),
        MetricColumn(
            name: "execution_time_ms", type: .int32, coding: nil, unit: "milliseconds",
            knownValues: [],
            about: "Time of the run",
            since: 1, presenceBit: 6),
        MetricColumn(
            name: "memory_used_mb", type: .float32, coding: nil, unit: "megabytes",
            knownValues: [],
            about: "Memory of the run",
            since: 1, presenceBit: 7),
        MetricColumn(
            name: "cpu_used_percent", type: .float32, coding: nil, unit: "percent",
            knownValues: [],
            about: "Processor use of the run",
            since: 1, presenceBit: 8),
        MetricColumn(
            name: "success", type: .bool, coding: nil, unit: nil,
            knownValues: [],
            about: "Whether the run ended without an error",
            since: 1, presenceBit: 9),
        MetricColumn(
            name: "error_type", type: .text, coding: .dictionary, unit: nil,
            knownValues: [],
            about: "What kind of error ended it",
            since: 1, presenceBit: 11),
        MetricColumn(
            name: "corrections_applied", type: .int32, coding: nil, unit: nil,
            knownValues: [],
            about: "How often the code was corrected before this run",
            since: 1, presenceBit: 12),
        MetricColumn(
            name: "sandbox_id", type: .text, coding: .prefix, unit: nil,
            knownValues: [],
            about: "The sandbox that it ran in",
            since: 1, presenceBit: 13),
        MetricColumn(
            name: "timeout_occurred", type: .bool, coding: nil, unit: nil,
            knownValues: [],
            about: "Whether the run was ended for taking too long",
            since: 1, presenceBit: 14),
    ]

    private static let agentEvolutionColumns: [MetricColumn] = [
        MetricColumn(
            name: "agent_id", type: .text, coding: .dictionary, unit: nil,
            knownValues: [],
            about: "The agent",
            since: 1, presenceBit: 2),
        MetricColumn(
            name: "domain", type: .text, coding: .dictionary, unit: nil,
            knownValues: [],
            about: "Its subject area",
            since: 1, presenceBit: 3),
        MetricColumn(
            name: "evolution_event", type: .text, coding: .dictionary, unit: nil,
            knownValues: ["created", "trained", "graduated", "retired", "interaction"],
            about: "What happened to the agent",
            since: 1, presenceBit: 4),
        MetricColumn(
            name: "interactions_count", type: .int32, coding: nil, unit: nil,
            knownValues: [],
            about: "Interactions so far",
            since: 1, presenceBit: 5),
        MetricColumn(
            name: "success_rate", type: .float32, coding: nil, unit: nil,
            knownValues: [],
            about: "Share of successful interactions",
            since: 1, presenceBit: 6),
        MetricColumn(
            name: "graduation_score", type: .float32, coding: nil, unit: nil,
            knownValues: [],
            about: "Score of its graduation",
            since: 1, presenceBit: 7),
        MetricColumn(
            name: "memory_utilization", type: .float32, coding: nil, unit: nil,
            knownValues: [],
            about: "Share of its memory in use",
            since: 1, presenceBit: 8),
        MetricColumn(
            name: "domain_expertise", type: .float32, coding: nil, unit: nil,
            knownValues: [],
            about: "How well it knows its subject area",
            since: 1, presenceBit: 9),
        MetricColumn(
            name: "collaboration_count", type: .int32, coding: nil, unit: nil,
            knownValues: [],
            about: "Collaborations with other agents",
            since: 1, presenceBit: 10),
        MetricColumn(
            name: "playbook_contributions", type: .int32, coding: nil, unit: nil,
            knownValues: [],
            about: "Entries it added to the shared playbook",
            since: 1, presenceBit: 11),
        MetricColumn(
            name: "learning_rate", type: .float32, coding: nil, unit: nil,
            knownValues: [],
            about: "How fast it learns",
            since: 1, presenceBit: 12),
    ]

    private static let ragColumns: [MetricColumn] = [
        MetricColumn(
            name: "query_id", type: .text, coding: .prefix, unit: nil,
            knownValues: [],
            about: "The query that was answered",
            since: 1, presenceBit: 2),
        MetricColumn(
            name: "rag_type", type: .text, coding: .dictionary, unit: nil,
            knownValues: ["mini_rag", "full_rag", "guided_search"],
            about: "The method of retrieval",
            since: 1, presenceBit: 3),
        MetricColumn(
            name: "query_text", type: .text, coding: .dictionary, unit: nil,
            knownValues: [],
            about: "Its text",
            since: 1, presenceBit: 4),
        MetricColumn(
            name: "retrieval_time_ms", type: .int32, coding: nil, unit: "milliseconds",
            knownValues: [],
            about: "Time to find and rank documents",
            since: 1, presenceBit: 5),
        MetricColumn(
            name: "documents_retrieved", type: .int32, coding: nil, unit: nil,
            knownValues: [],
            about: "Documents that were found",
            since: 1, presenceBit: 6),
        MetricColumn(
            name: "documents_relevant", type: .int32, coding: nil, unit: nil,
            knownValues: [],
            about: "Those of them that were relevant",
            since: 1, presenceBit: 7),
        MetricColumn(
            name: "relevance_score", type: .float32, coding: nil, unit: nil,
            knownValues: [],
            about: "How relevant the documents are together",
            since: 1, presenceBit: 8),
        MetricColumn(
            name: "context_length", type: .int32, coding: nil, unit: nil,
            knownValues: [],
            about: "Length of the context made of them",
            since: 1, presenceBit: 9),
        MetricColumn(
            name: "context_tokens", type: .int32, coding: nil, unit: "tokens",
            knownValues: [],
            about: "The same in tokens",
            since: 1, presenceBit: 10),
        MetricColumn(
            name: "search_strategy", type: .text, coding: .dictionary, unit: nil,
            knownValues: [],
            about: "How documents were looked for",
            since: 1, presenceBit: 11),
        MetricColumn(
            name: "vector_search_time_ms", type: .int32, coding: nil, unit: "milliseconds",
            knownValues: [],
            about: "Time of the vector search",
            since: 1, presenceBit: 12),
        MetricColumn(
            name: "reranking_time_ms", type: .int32, coding: nil, unit: "milliseconds",
            knownValues: [],
            about: "Time to rank the documents again",
            since: 1, presenceBit: 13),
        MetricColumn(
            name: "total_rag_time_ms", type: .int32, coding: nil, unit: "milliseconds",
            knownValues: [],
            about: "Time of the whole retrieval",
            since: 1, presenceBit: 14),
    ]

    private static let systemColumns: [MetricColumn] = [
        MetricColumn(
            name: "system_id", type: .text, coding: .dictionary, unit: nil,
            knownValues: [],
            about: "The host or service",
            since: 1, presenceBit: 2),
        MetricColumn(
            name: "cpu_usage_percent", type: .float32, coding: nil, unit: "percent",
            knownValues: [],
            about: "Share of the processors in use",
            since: 1, presenceBit: 3),
        MetricColumn(
            name: "memory_usage_percent", type: .float32, coding: nil, unit: "percent",
            knownValues: [],
            about: "Share of the memory in use",
            since: 1, presenceBit: 4),
        MetricColumn(
            name: "disk_usage_percent", type: .float32, coding: nil, unit: "percent",
            knownValues: [],
            about: "Share of the disk in use",
            since: 1, presenceBit: 5),
        MetricColumn(
            name: "network_io_bytes", type: .int64, coding: nil, unit: "bytes",
            knownValues: [],
            about: "Received and sent since the start of the host",
            since: 1, presenceBit: 6),
        MetricColumn(
            name: "active_connections", type: .int32, coding: nil, unit: nil,
            knownValues: [],
            about: "Open connections",
            since: 1, presenceBit: 7),
        MetricColumn(
            name: "active_agents", type: .int32, coding: nil, unit: nil,
            knownValues: [],
            about: "Agents at work",
            since: 1, presenceBit: 8),
        MetricColumn(
            name: "total_requests", type: .int64, coding: nil, unit: nil,
            knownValues: [],
            about: "Requests since the start",
            since: 1, presenceBit: 9),
        MetricColumn(
            name: "error_rate", type: .float32, coding: nil, unit: nil,
            knownValues: [],
            about: "Share of requests that failed",
            since: 1, presenceBit: 10),
        MetricColumn(
            name: "response_time_avg_ms", type: .float32, coding: nil, unit: "milliseconds",
            knownValues: [],
            about: "Average time of an answer",
            since: 1, presenceBit: 11),
        MetricColumn(
            name: "throughput_requests_per_sec", type: .float32, coding: nil, unit: "requests per second",
            knownValues: [],
            about: "Requests answered in a second",
            since: 1, presenceBit: 12),
    ]

    private static let pointColumns: [MetricColumn] = [
        MetricColumn(
            name: "metric_type", type: .text, coding: .dictionary, unit: nil,
            knownValues: ["routing", "memory", "attention", "compute", "execution", "agent_evolution", "rag", "system"],
            about: "The kind of record that the value belongs to",
            since: 1, presenceBit: 2),
        MetricColumn(
            name: "metric_name", type: .text, coding: .dictionary, unit: nil,
            knownValues: [],
            about: "Name of the value",
            since: 1, presenceBit: 3),
        MetricColumn(
            name: "value", type: .float64, coding: nil, unit: nil,
            knownValues: [],
            about: "The value as a number",
            since: 1, presenceBit: 4),
        MetricColumn(
            name: "value_text", type: .text, coding: .dictionary, unit: nil,
            knownValues: [],
            about: "The value as a text",
            since: 1, presenceBit: 5),
        MetricColumn(
            name: "level", type: .text, coding: .dictionary, unit: nil,
            knownValues: ["debug", "info", "warning", "error", "critical"],
            about: "How important it is",
            since: 1, presenceBit: 6),
    ]
}
