// The kinds against the table that was agreed on, written out by hand: names, tables, columns in order, types.

import MetricKinds
import Testing

@Suite struct KindsTests {
    private struct Expected {
        let name: String
        let table: String
        let columns: String
    }

    private let kinds = [
        Expected(
            name: "routing", table: "routing_metrics",
            columns: """
                query_id text, query_text text, complexity_score f32, confidence_score f32, model_selected text, \
                routing_time_ms i32, embedding_time_ms i32, threshold_comparison_time_ms i32, \
                total_routing_time_ms i32, tokens_estimated i32, context_length i32, user_intent text, \
                domain_detected text
                """),
        Expected(
            name: "memory", table: "memory_metrics",
            columns: """
                agent_id text, memory_type text, memory_operation text, memory_size_bytes i64, memory_tokens i32, \
                operation_time_ms i32, cache_hit bool, compression_ratio f32, importance_score f32, access_count i32
                """),
        Expected(
            name: "attention", table: "attention_metrics",
            columns: """
                model_id text, layer_id i32, attention_heads i32, attention_pattern text, attention_entropy f32, \
                attention_focus f32, attention_diversity f32, computation_time_ms i32, memory_usage_mb f32
                """),
        Expected(
            name: "compute", table: "compute_metrics",
            columns: """
                model_id text, operation_type text, batch_size i32, sequence_length i32, tokens_processed i64, \
                computation_time_ms i32, gpu_utilization_percent f32, gpu_memory_used_mb f32, \
                cpu_utilization_percent f32, cpu_memory_used_mb f32, throughput_tokens_per_sec f32, \
                latency_p50_ms f32, latency_p95_ms f32, latency_p99_ms f32
                """),
        Expected(
            name: "execution", table: "execution_metrics",
            columns: """
                execution_id text, agent_id text, language text, code_length i32, execution_time_ms i32, \
                memory_used_mb f32, cpu_used_percent f32, success bool, error_type text, corrections_applied i32, \
                sandbox_id text, timeout_occurred bool
                """),
        Expected(
            name: "agent_evolution", table: "agent_evolution_metrics",
            columns: """
                agent_id text, domain text, evolution_event text, interactions_count i32, success_rate f32, \
                graduation_score f32, memory_utilization f32, domain_expertise f32, collaboration_count i32, \
                playbook_contributions i32, learning_rate f32
                """),
        Expected(
            name: "rag", table: "rag_metrics",
            columns: """
                query_id text, rag_type text, query_text text, retrieval_time_ms i32, documents_retrieved i32, \
                documents_relevant i32, relevance_score f32, context_length i32, context_tokens i32, \
                search_strategy text, vector_search_time_ms i32, reranking_time_ms i32, total_rag_time_ms i32
                """),
        Expected(
            name: "system", table: "system_metrics",
            columns: """
                system_id text, cpu_usage_percent f32, memory_usage_percent f32, disk_usage_percent f32, \
                network_io_bytes i64, active_connections i32, active_agents i32, total_requests i64, error_rate f32, \
                response_time_avg_ms f32, throughput_requests_per_sec f32
                """),
        Expected(
            name: "point", table: "metric_points",
            columns: "metric_type text, metric_name text, value f64, value_text text, level text"),
    ]

    @Test func `there are nine kinds with ids from 1`() {
        #expect(MetricKind.allCases.map(\.name) == kinds.map(\.name))
        #expect(MetricKind.allCases.map(\.rawValue) == Array(1...9))
    }

    @Test func `each kind has its table and its columns in order`() {
        #expect(MetricKind.schemaName == "metrics")
        for (kind, expected) in zip(MetricKind.allCases, kinds) {
            #expect(kind.tableName == expected.table)
            let columns = kind.columns.map { "\($0.name) \($0.type.rawValue)" }.joined(separator: ", ")
            #expect(columns == expected.columns)
            #expect(kind.fieldCount == kind.columns.count)
        }
    }

    @Test func `presence bits follow from the columns`() {
        for kind in MetricKind.allCases {
            var bit = 2
            for column in kind.columns {
                #expect(column.presenceBit == bit, "\(kind.name).\(column.name)")
                bit += column.type.presenceBits
            }
            #expect(Int(kind.presenceBits) == bit)
            #expect(kind.presenceBits(version: kind.version) == kind.presenceBits)
            #expect(kind.presenceBits(version: kind.version + 1) == nil)
        }
    }

    @Test func `texts and only texts have a coding`() {
        for column in MetricKind.allCases.flatMap(\.columns) {
            #expect((column.coding != nil) == (column.type == .text), "\(column.name)")
        }
        let prefixed = MetricKind.allCases.flatMap { kind in
            kind.columns.filter { $0.coding == .prefix }.map { "\(kind.name).\($0.name)" }
        }
        #expect(
            prefixed == ["routing.query_id", "execution.execution_id", "execution.sandbox_id", "rag.query_id"])
    }

    @Test func `known values are those of the table`() {
        func values(_ kind: MetricKind, _ column: String) -> [String]? {
            kind.columnIndex(named: column).map { kind.columns[$0].knownValues }
        }
        #expect(values(.memory, "memory_operation") == ["read", "write", "compress", "prune"])
        #expect(values(.compute, "operation_type") == ["inference", "training", "fine-tuning"])
        #expect(
            values(.agentEvolution, "evolution_event") == ["created", "trained", "graduated", "retired", "interaction"])
        #expect(values(.rag, "rag_type") == ["mini_rag", "full_rag", "guided_search"])
        #expect(values(.point, "metric_type") == Array(kinds.map(\.name).dropLast()))
        #expect(values(.point, "level") == ["debug", "info", "warning", "error", "critical"])
        #expect(values(.routing, "query_id") == [])
    }

    @Test func `kinds and columns are found by name`() {
        #expect(MetricKind(name: "agent_evolution") == .agentEvolution)
        #expect(MetricKind(name: "nothing") == nil)
        #expect(MetricKind.memory.columnIndex(named: "cache_hit") == 6)
        #expect(MetricKind.memory.columnIndex(named: "time") == nil)
    }

    @Test func `types have their names in PostgreSQL`() {
        #expect(
            ColumnType.allCases.map(\.sqlName)
                == ["TEXT", "BOOLEAN", "INTEGER", "BIGINT", "REAL", "DOUBLE PRECISION"])
    }
}
