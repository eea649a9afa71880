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
            since: 1, presenceBit: 2),
        MetricColumn(
            name: "query_text", type: .text, coding: .dictionary, unit: nil,
            knownValues: [],
            since: 1, presenceBit: 3),
        MetricColumn(
            name: "complexity_score", type: .float32, coding: nil, unit: nil,
            knownValues: [],
            since: 1, presenceBit: 4),
        MetricColumn(
            name: "confidence_score", type: .float32, coding: nil, unit: nil,
            knownValues: [],
            since: 1, presenceBit: 5),
        MetricColumn(
            name: "model_selected", type: .text, coding: .dictionary, unit: nil,
            knownValues: [],
            since: 1, presenceBit: 6),
        MetricColumn(
            name: "routing_time_ms", type: .int32, coding: nil, unit: "milliseconds",
            knownValues: [],
            since: 1, presenceBit: 7),
        MetricColumn(
            name: "embedding_time_ms", type: .int32, coding: nil, unit: "milliseconds",
            knownValues: [],
            since: 1, presenceBit: 8),
        MetricColumn(
            name: "threshold_comparison_time_ms", type: .int32, coding: nil, unit: "milliseconds",
            knownValues: [],
            since: 1, presenceBit: 9),
        MetricColumn(
            name: "total_routing_time_ms", type: .int32, coding: nil, unit: "milliseconds",
            knownValues: [],
            since: 1, presenceBit: 10),
        MetricColumn(
            name: "tokens_estimated", type: .int32, coding: nil, unit: "tokens",
            knownValues: [],
            since: 1, presenceBit: 11),
        MetricColumn(
            name: "context_length", type: .int32, coding: nil, unit: nil,
            knownValues: [],
            since: 1, presenceBit: 12),
        MetricColumn(
            name: "user_intent", type: .text, coding: .dictionary, unit: nil,
            knownValues: [],
            since: 1, presenceBit: 13),
        MetricColumn(
            name: "domain_detected", type: .text, coding: .dictionary, unit: nil,
            knownValues: [],
            since: 1, presenceBit: 14),
    ]

    private static let memoryColumns: [MetricColumn] = [
        MetricColumn(
            name: "agent_id", type: .text, coding: .dictionary, unit: nil,
            knownValues: [],
            since: 1, presenceBit: 2),
        MetricColumn(
            name: "memory_type", type: .text, coding: .dictionary, unit: nil,
            knownValues: [],
            since: 1, presenceBit: 3),
        MetricColumn(
            name: "memory_operation", type: .text, coding: .dictionary, unit: nil,
            knownValues: ["read", "write", "compress", "prune"],
            since: 1, presenceBit: 4),
        MetricColumn(
            name: "memory_size_bytes", type: .int64, coding: nil, unit: "bytes",
            knownValues: [],
            since: 1, presenceBit: 5),
        MetricColumn(
            name: "memory_tokens", type: .int32, coding: nil, unit: "tokens",
            knownValues: [],
            since: 1, presenceBit: 6),
        MetricColumn(
            name: "operation_time_ms", type: .int32, coding: nil, unit: "milliseconds",
            knownValues: [],
            since: 1, presenceBit: 7),
        MetricColumn(
            name: "cache_hit", type: .bool, coding: nil, unit: nil,
            knownValues: [],
            since: 1, presenceBit: 8),
        MetricColumn(
            name: "compression_ratio", type: .float32, coding: nil, unit: nil,
            knownValues: [],
            since: 1, presenceBit: 10),
        MetricColumn(
            name: "importance_score", type: .float32, coding: nil, unit: nil,
            knownValues: [],
            since: 1, presenceBit: 11),
        MetricColumn(
            name: "access_count", type: .int32, coding: nil, unit: nil,
            knownValues: [],
            since: 1, presenceBit: 12),
    ]

    private static let attentionColumns: [MetricColumn] = [
        MetricColumn(
            name: "model_id", type: .text, coding: .dictionary, unit: nil,
            knownValues: [],
            since: 1, presenceBit: 2),
        MetricColumn(
            name: "layer_id", type: .int32, coding: nil, unit: nil,
            knownValues: [],
            since: 1, presenceBit: 3),
        MetricColumn(
            name: "attention_heads", type: .int32, coding: nil, unit: nil,
            knownValues: [],
            since: 1, presenceBit: 4),
        MetricColumn(
            name: "attention_pattern", type: .text, coding: .dictionary, unit: nil,
            knownValues: [],
            since: 1, presenceBit: 5),
        MetricColumn(
            name: "attention_entropy", type: .float32, coding: nil, unit: nil,
            knownValues: [],
            since: 1, presenceBit: 6),
        MetricColumn(
            name: "attention_focus", type: .float32, coding: nil, unit: nil,
            knownValues: [],
            since: 1, presenceBit: 7),
        MetricColumn(
            name: "attention_diversity", type: .float32, coding: nil, unit: nil,
            knownValues: [],
            since: 1, presenceBit: 8),
        MetricColumn(
            name: "computation_time_ms", type: .int32, coding: nil, unit: "milliseconds",
            knownValues: [],
            since: 1, presenceBit: 9),
        MetricColumn(
            name: "memory_usage_mb", type: .float32, coding: nil, unit: "megabytes",
            knownValues: [],
            since: 1, presenceBit: 10),
    ]

    private static let computeColumns: [MetricColumn] = [
        MetricColumn(
            name: "model_id", type: .text, coding: .dictionary, unit: nil,
            knownValues: [],
            since: 1, presenceBit: 2),
        MetricColumn(
            name: "operation_type", type: .text, coding: .dictionary, unit: nil,
            knownValues: ["inference", "training", "fine-tuning"],
            since: 1, presenceBit: 3),
        MetricColumn(
            name: "batch_size", type: .int32, coding: nil, unit: nil,
            knownValues: [],
            since: 1, presenceBit: 4),
        MetricColumn(
            name: "sequence_length", type: .int32, coding: nil, unit: nil,
            knownValues: [],
            since: 1, presenceBit: 5),
        MetricColumn(
            name: "tokens_processed", type: .int64, coding: nil, unit: "tokens",
            knownValues: [],
            since: 1, presenceBit: 6),
        MetricColumn(
            name: "computation_time_ms", type: .int32, coding: nil, unit: "milliseconds",
            knownValues: [],
            since: 1, presenceBit: 7),
        MetricColumn(
            name: "gpu_utilization_percent", type: .float32, coding: nil, unit: "percent",
            knownValues: [],
            since: 1, presenceBit: 8),
        MetricColumn(
            name: "gpu_memory_used_mb", type: .float32, coding: nil, unit: "megabytes",
            knownValues: [],
            since: 1, presenceBit: 9),
        MetricColumn(
            name: "cpu_utilization_percent", type: .float32, coding: nil, unit: "percent",
            knownValues: [],
            since: 1, presenceBit: 10),
        MetricColumn(
            name: "cpu_memory_used_mb", type: .float32, coding: nil, unit: "megabytes",
            knownValues: [],
            since: 1, presenceBit: 11),
        MetricColumn(
            name: "throughput_tokens_per_sec", type: .float32, coding: nil, unit: "tokens per second",
            knownValues: [],
            since: 1, presenceBit: 12),
        MetricColumn(
            name: "latency_p50_ms", type: .float32, coding: nil, unit: "milliseconds",
            knownValues: [],
            since: 1, presenceBit: 13),
        MetricColumn(
            name: "latency_p95_ms", type: .float32, coding: nil, unit: "milliseconds",
            knownValues: [],
            since: 1, presenceBit: 14),
        MetricColumn(
            name: "latency_p99_ms", type: .float32, coding: nil, unit: "milliseconds",
            knownValues: [],
            since: 1, presenceBit: 15),
    ]

    private static let executionColumns: [MetricColumn] = [
        MetricColumn(
            name: "execution_id", type: .text, coding: .prefix, unit: nil,
            knownValues: [],
            since: 1, presenceBit: 2),
        MetricColumn(
            name: "agent_id", type: .text, coding: .dictionary, unit: nil,
            knownValues: [],
            since: 1, presenceBit: 3),
        MetricColumn(
            name: "language", type: .text, coding: .dictionary, unit: nil,
            knownValues: [],
            since: 1, presenceBit: 4),
        MetricColumn(
            name: "code_length", type: .int32, coding: nil, unit: nil,
            knownValues: [],
            since: 1, presenceBit: 5),
        MetricColumn(
            name: "execution_time_ms", type: .int32, coding: nil, unit: "milliseconds",
            knownValues: [],
            since: 1, presenceBit: 6),
        MetricColumn(
            name: "memory_used_mb", type: .float32, coding: nil, unit: "megabytes",
            knownValues: [],
            since: 1, presenceBit: 7),
        MetricColumn(
            name: "cpu_used_percent", type: .float32, coding: nil, unit: "percent",
            knownValues: [],
            since: 1, presenceBit: 8),
        MetricColumn(
            name: "success", type: .bool, coding: nil, unit: nil,
            knownValues: [],
            since: 1, presenceBit: 9),
        MetricColumn(
            name: "error_type", type: .text, coding: .dictionary, unit: nil,
            knownValues: [],
            since: 1, presenceBit: 11),
        MetricColumn(
            name: "corrections_applied", type: .int32, coding: nil, unit: nil,
            knownValues: [],
            since: 1, presenceBit: 12),
        MetricColumn(
            name: "sandbox_id", type: .text, coding: .prefix, unit: nil,
            knownValues: [],
            since: 1, presenceBit: 13),
        MetricColumn(
            name: "timeout_occurred", type: .bool, coding: nil, unit: nil,
            knownValues: [],
            since: 1, presenceBit: 14),
    ]

    private static let agentEvolutionColumns: [MetricColumn] = [
        MetricColumn(
            name: "agent_id", type: .text, coding: .dictionary, unit: nil,
            knownValues: [],
            since: 1, presenceBit: 2),
        MetricColumn(
            name: "domain", type: .text, coding: .dictionary, unit: nil,
            knownValues: [],
            since: 1, presenceBit: 3),
        MetricColumn(
            name: "evolution_event", type: .text, coding: .dictionary, unit: nil,
            knownValues: ["created", "trained", "graduated", "retired", "interaction"],
            since: 1, presenceBit: 4),
        MetricColumn(
            name: "interactions_count", type: .int32, coding: nil, unit: nil,
            knownValues: [],
            since: 1, presenceBit: 5),
        MetricColumn(
            name: "success_rate", type: .float32, coding: nil, unit: nil,
            knownValues: [],
            since: 1, presenceBit: 6),
        MetricColumn(
            name: "graduation_score", type: .float32, coding: nil, unit: nil,
            knownValues: [],
            since: 1, presenceBit: 7),
        MetricColumn(
            name: "memory_utilization", type: .float32, coding: nil, unit: nil,
            knownValues: [],
            since: 1, presenceBit: 8),
        MetricColumn(
            name: "domain_expertise", type: .float32, coding: nil, unit: nil,
            knownValues: [],
            since: 1, presenceBit: 9),
        MetricColumn(
            name: "collaboration_count", type: .int32, coding: nil, unit: nil,
            knownValues: [],
            since: 1, presenceBit: 10),
        MetricColumn(
            name: "playbook_contributions", type: .int32, coding: nil, unit: nil,
            knownValues: [],
            since: 1, presenceBit: 11),
        MetricColumn(
            name: "learning_rate", type: .float32, coding: nil, unit: nil,
            knownValues: [],
            since: 1, presenceBit: 12),
    ]

    private static let ragColumns: [MetricColumn] = [
        MetricColumn(
            name: "query_id", type: .text, coding: .prefix, unit: nil,
            knownValues: [],
            since: 1, presenceBit: 2),
        MetricColumn(
            name: "rag_type", type: .text, coding: .dictionary, unit: nil,
            knownValues: ["mini_rag", "full_rag", "guided_search"],
            since: 1, presenceBit: 3),
        MetricColumn(
            name: "query_text", type: .text, coding: .dictionary, unit: nil,
            knownValues: [],
            since: 1, presenceBit: 4),
        MetricColumn(
            name: "retrieval_time_ms", type: .int32, coding: nil, unit: "milliseconds",
            knownValues: [],
            since: 1, presenceBit: 5),
        MetricColumn(
            name: "documents_retrieved", type: .int32, coding: nil, unit: nil,
            knownValues: [],
            since: 1, presenceBit: 6),
        MetricColumn(
            name: "documents_relevant", type: .int32, coding: nil, unit: nil,
            knownValues: [],
            since: 1, presenceBit: 7),
        MetricColumn(
            name: "relevance_score", type: .float32, coding: nil, unit: nil,
            knownValues: [],
            since: 1, presenceBit: 8),
        MetricColumn(
            name: "context_length", type: .int32, coding: nil, unit: nil,
            knownValues: [],
            since: 1, presenceBit: 9),
        MetricColumn(
            name: "context_tokens", type: .int32, coding: nil, unit: "tokens",
            knownValues: [],
            since: 1, presenceBit: 10),
        MetricColumn(
            name: "search_strategy", type: .text, coding: .dictionary, unit: nil,
            knownValues: [],
            since: 1, presenceBit: 11),
        MetricColumn(
            name: "vector_search_time_ms", type: .int32, coding: nil, unit: "milliseconds",
            knownValues: [],
            since: 1, presenceBit: 12),
        MetricColumn(
            name: "reranking_time_ms", type: .int32, coding: nil, unit: "milliseconds",
            knownValues: [],
            since: 1, presenceBit: 13),
        MetricColumn(
            name: "total_rag_time_ms", type: .int32, coding: nil, unit: "milliseconds",
            knownValues: [],
            since: 1, presenceBit: 14),
    ]

    private static let systemColumns: [MetricColumn] = [
        MetricColumn(
            name: "system_id", type: .text, coding: .dictionary, unit: nil,
            knownValues: [],
            since: 1, presenceBit: 2),
        MetricColumn(
            name: "cpu_usage_percent", type: .float32, coding: nil, unit: "percent",
            knownValues: [],
            since: 1, presenceBit: 3),
        MetricColumn(
            name: "memory_usage_percent", type: .float32, coding: nil, unit: "percent",
            knownValues: [],
            since: 1, presenceBit: 4),
        MetricColumn(
            name: "disk_usage_percent", type: .float32, coding: nil, unit: "percent",
            knownValues: [],
            since: 1, presenceBit: 5),
        MetricColumn(
            name: "network_io_bytes", type: .int64, coding: nil, unit: "bytes",
            knownValues: [],
            since: 1, presenceBit: 6),
        MetricColumn(
            name: "active_connections", type: .int32, coding: nil, unit: nil,
            knownValues: [],
            since: 1, presenceBit: 7),
        MetricColumn(
            name: "active_agents", type: .int32, coding: nil, unit: nil,
            knownValues: [],
            since: 1, presenceBit: 8),
        MetricColumn(
            name: "total_requests", type: .int64, coding: nil, unit: nil,
            knownValues: [],
            since: 1, presenceBit: 9),
        MetricColumn(
            name: "error_rate", type: .float32, coding: nil, unit: nil,
            knownValues: [],
            since: 1, presenceBit: 10),
        MetricColumn(
            name: "response_time_avg_ms", type: .float32, coding: nil, unit: "milliseconds",
            knownValues: [],
            since: 1, presenceBit: 11),
        MetricColumn(
            name: "throughput_requests_per_sec", type: .float32, coding: nil, unit: "requests per second",
            knownValues: [],
            since: 1, presenceBit: 12),
    ]

    private static let pointColumns: [MetricColumn] = [
        MetricColumn(
            name: "metric_type", type: .text, coding: .dictionary, unit: nil,
            knownValues: ["routing", "memory", "attention", "compute", "execution", "agent_evolution", "rag", "system"],
            since: 1, presenceBit: 2),
        MetricColumn(
            name: "metric_name", type: .text, coding: .dictionary, unit: nil,
            knownValues: [],
            since: 1, presenceBit: 3),
        MetricColumn(
            name: "value", type: .float64, coding: nil, unit: nil,
            knownValues: [],
            since: 1, presenceBit: 4),
        MetricColumn(
            name: "value_text", type: .text, coding: .dictionary, unit: nil,
            knownValues: [],
            since: 1, presenceBit: 5),
        MetricColumn(
            name: "level", type: .text, coding: .dictionary, unit: nil,
            knownValues: ["debug", "info", "warning", "error", "critical"],
            since: 1, presenceBit: 6),
    ]
}
