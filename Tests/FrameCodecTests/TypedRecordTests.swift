// Each typed record against the same record by column: a field written at a wrong bit or in a wrong order shows here.

import FrameCodec
import MetricKinds
import Testing

@Suite struct TypedRecordTests {
    /// The record that has in each column what the typed ones below have.
    private func byColumn(_ kind: MetricKind) throws -> AnyRecord {
        var record = AnyRecord(kind: kind, time: 1_000)
        for (index, column) in kind.columns.enumerated() {
            record.values[index] =
                switch column.type {
                case .text: .text(column.name)
                case .bool: .bool(true)
                case .int32: .int32(Int32(index) + 1)
                case .int64: .int64(Int64(index) - 1_000_000_000_000)
                case .float32: .float32(Float(index) + 0.5)
                case .float64: .float64(Double(index) + 0.25)
                }
        }
        record.tags = ["k": "v"]
        record.metadata = try Metadata(json: "{}")
        return record
    }

    private func check(_ record: some MetricRecord) throws {
        let kind = type(of: record).kind
        var record = record
        record.tags = ["k": "v"]
        record.metadata = try Metadata(json: "{}")
        let typed = TestEncoder()
        #expect(try typed.append(record))
        let generic = TestEncoder()
        #expect(try generic.append(try byColumn(kind)))
        let bytes = try typed.frame()
        #expect(bytes == generic.finished())
        #expect(try decodeFrame(bytes).visitor.records == [CollectedRecord(try byColumn(kind))])

        // Without fields, tags and metadata.
        let bare = TestEncoder()
        #expect(try bare.append(AnyRecord(kind: kind, time: 5)))
        let decoded = try decodeFrame(bare.frame()).visitor.records
        #expect(decoded == [CollectedRecord(AnyRecord(kind: kind, time: 5))])
    }

    @Test func `a routing record writes each field in its place`() throws {
        try check(
            RoutingRecord(
                time: 1_000, queryID: "query_id", queryText: "query_text", complexityScore: 2.5, confidenceScore: 3.5,
                modelSelected: "model_selected", routingTimeMs: 6, embeddingTimeMs: 7, thresholdComparisonTimeMs: 8,
                totalRoutingTimeMs: 9, tokensEstimated: 10, contextLength: 11, userIntent: "user_intent",
                domainDetected: "domain_detected"))
    }

    @Test func `a memory record writes each field in its place`() throws {
        try check(
            MemoryRecord(
                time: 1_000, agentID: "agent_id", memoryType: "memory_type", memoryOperation: "memory_operation",
                memorySizeBytes: 3 - 1_000_000_000_000, memoryTokens: 5, operationTimeMs: 6, cacheHit: true,
                compressionRatio: 7.5, importanceScore: 8.5, accessCount: 10))
    }

    @Test func `an attention record writes each field in its place`() throws {
        try check(
            AttentionRecord(
                time: 1_000, modelID: "model_id", layerID: 2, attentionHeads: 3,
                attentionPattern: "attention_pattern", attentionEntropy: 4.5, attentionFocus: 5.5,
                attentionDiversity: 6.5, computationTimeMs: 8, memoryUsageMb: 8.5))
    }

    @Test func `a compute record writes each field in its place`() throws {
        try check(
            ComputeRecord(
                time: 1_000, modelID: "model_id", operationType: "operation_type", batchSize: 3, sequenceLength: 4,
                tokensProcessed: 4 - 1_000_000_000_000, computationTimeMs: 6, gpuUtilizationPercent: 6.5,
                gpuMemoryUsedMb: 7.5, cpuUtilizationPercent: 8.5, cpuMemoryUsedMb: 9.5, throughputTokensPerSec: 10.5,
                latencyP50Ms: 11.5, latencyP95Ms: 12.5, latencyP99Ms: 13.5))
    }

    @Test func `an execution record writes each field in its place`() throws {
        try check(
            ExecutionRecord(
                time: 1_000, executionID: "execution_id", agentID: "agent_id", language: "language", codeLength: 4,
                executionTimeMs: 5, memoryUsedMb: 5.5, cpuUsedPercent: 6.5, success: true, errorType: "error_type",
                correctionsApplied: 10, sandboxID: "sandbox_id", timeoutOccurred: true))
    }

    @Test func `an agent evolution record writes each field in its place`() throws {
        try check(
            AgentEvolutionRecord(
                time: 1_000, agentID: "agent_id", domain: "domain", evolutionEvent: "evolution_event",
                interactionsCount: 4, successRate: 4.5, graduationScore: 5.5, memoryUtilization: 6.5,
                domainExpertise: 7.5, collaborationCount: 9, playbookContributions: 10, learningRate: 10.5))
    }

    @Test func `a rag record writes each field in its place`() throws {
        try check(
            RagRecord(
                time: 1_000, queryID: "query_id", ragType: "rag_type", queryText: "query_text", retrievalTimeMs: 4,
                documentsRetrieved: 5, documentsRelevant: 6, relevanceScore: 6.5, contextLength: 8, contextTokens: 9,
                searchStrategy: "search_strategy", vectorSearchTimeMs: 11, rerankingTimeMs: 12, totalRagTimeMs: 13))
    }

    @Test func `a system record writes each field in its place`() throws {
        try check(
            SystemRecord(
                time: 1_000, systemID: "system_id", cpuUsagePercent: 1.5, memoryUsagePercent: 2.5,
                diskUsagePercent: 3.5, networkIoBytes: 4 - 1_000_000_000_000, activeConnections: 6, activeAgents: 7,
                totalRequests: 7 - 1_000_000_000_000, errorRate: 8.5, responseTimeAvgMs: 9.5,
                throughputRequestsPerSec: 10.5))
    }

    @Test func `a point record writes each field in its place`() throws {
        try check(
            PointRecord(
                time: 1_000, metricType: "metric_type", metricName: "metric_name", value: 2.25,
                valueText: "value_text", level: "level"))
    }

    @Test func `one frame carries typed records of all kinds in the order of their blocks`() throws {
        let encoder = TestEncoder()
        #expect(try encoder.append(PointRecord(time: 9)))
        #expect(try encoder.append(SystemRecord(time: 8)))
        #expect(try encoder.append(RagRecord(time: 7)))
        #expect(try encoder.append(AgentEvolutionRecord(time: 6)))
        #expect(try encoder.append(ExecutionRecord(time: 5)))
        #expect(try encoder.append(ComputeRecord(time: 4)))
        #expect(try encoder.append(AttentionRecord(time: 3)))
        #expect(try encoder.append(MemoryRecord(time: 2)))
        #expect(try encoder.append(RoutingRecord(time: 1)))
        let records = try decodeFrame(encoder.frame()).visitor.records
        #expect(records.map(\.kind) == MetricKind.allCases)
        #expect(records.map(\.time) == Array(1...9))
    }
}
