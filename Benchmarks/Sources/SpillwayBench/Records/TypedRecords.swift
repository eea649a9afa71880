// Typed records, as a program holds them before it sends them, from the values of generated ones.

import FrameCodec

/// A typed record that can be made from a record of any kind.
protocol MadeFromValues: MetricRecord {
    init(values record: AnyRecord)
}

extension RoutingRecord: MadeFromValues {
    init(values record: AnyRecord) {
        var f = FieldCursor(record)
        self.init(
            time: record.time, queryID: f.text(), queryText: f.text(), complexityScore: f.f32(),
            confidenceScore: f.f32(), modelSelected: f.text(), routingTimeMs: f.i32(), embeddingTimeMs: f.i32(),
            thresholdComparisonTimeMs: f.i32(), totalRoutingTimeMs: f.i32(), tokensEstimated: f.i32(),
            contextLength: f.i32(), userIntent: f.text(), domainDetected: f.text(), tags: record.tags,
            metadata: record.metadata)
    }
}

extension MemoryRecord: MadeFromValues {
    init(values record: AnyRecord) {
        var f = FieldCursor(record)
        self.init(
            time: record.time, agentID: f.text(), memoryType: f.text(), memoryOperation: f.text(),
            memorySizeBytes: f.i64(), memoryTokens: f.i32(), operationTimeMs: f.i32(), cacheHit: f.bool(),
            compressionRatio: f.f32(), importanceScore: f.f32(), accessCount: f.i32(), tags: record.tags,
            metadata: record.metadata)
    }
}

extension AttentionRecord: MadeFromValues {
    init(values record: AnyRecord) {
        var f = FieldCursor(record)
        self.init(
            time: record.time, modelID: f.text(), layerID: f.i32(), attentionHeads: f.i32(),
            attentionPattern: f.text(), attentionEntropy: f.f32(), attentionFocus: f.f32(),
            attentionDiversity: f.f32(), computationTimeMs: f.i32(), memoryUsageMb: f.f32(), tags: record.tags,
            metadata: record.metadata)
    }
}

extension ComputeRecord: MadeFromValues {
    init(values record: AnyRecord) {
        var f = FieldCursor(record)
        self.init(
            time: record.time, modelID: f.text(), operationType: f.text(), batchSize: f.i32(),
            sequenceLength: f.i32(), tokensProcessed: f.i64(), computationTimeMs: f.i32(),
            gpuUtilizationPercent: f.f32(), gpuMemoryUsedMb: f.f32(), cpuUtilizationPercent: f.f32(),
            cpuMemoryUsedMb: f.f32(), throughputTokensPerSec: f.f32(), latencyP50Ms: f.f32(), latencyP95Ms: f.f32(),
            latencyP99Ms: f.f32(), tags: record.tags, metadata: record.metadata)
    }
}

extension ExecutionRecord: MadeFromValues {
    init(values record: AnyRecord) {
        var f = FieldCursor(record)
        self.init(
            time: record.time, executionID: f.text(), agentID: f.text(), language: f.text(), codeLength: f.i32(),
            executionTimeMs: f.i32(), memoryUsedMb: f.f32(), cpuUsedPercent: f.f32(), success: f.bool(),
            errorType: f.text(), correctionsApplied: f.i32(), sandboxID: f.text(), timeoutOccurred: f.bool(),
            tags: record.tags, metadata: record.metadata)
    }
}

extension AgentEvolutionRecord: MadeFromValues {
    init(values record: AnyRecord) {
        var f = FieldCursor(record)
        self.init(
            time: record.time, agentID: f.text(), domain: f.text(), evolutionEvent: f.text(),
            interactionsCount: f.i32(), successRate: f.f32(), graduationScore: f.f32(), memoryUtilization: f.f32(),
            domainExpertise: f.f32(), collaborationCount: f.i32(), playbookContributions: f.i32(),
            learningRate: f.f32(), tags: record.tags, metadata: record.metadata)
    }
}

extension RagRecord: MadeFromValues {
    init(values record: AnyRecord) {
        var f = FieldCursor(record)
        self.init(
            time: record.time, queryID: f.text(), ragType: f.text(), queryText: f.text(), retrievalTimeMs: f.i32(),
            documentsRetrieved: f.i32(), documentsRelevant: f.i32(), relevanceScore: f.f32(), contextLength: f.i32(),
            contextTokens: f.i32(), searchStrategy: f.text(), vectorSearchTimeMs: f.i32(), rerankingTimeMs: f.i32(),
            totalRagTimeMs: f.i32(), tags: record.tags, metadata: record.metadata)
    }
}

extension SystemRecord: MadeFromValues {
    init(values record: AnyRecord) {
        var f = FieldCursor(record)
        self.init(
            time: record.time, systemID: f.text(), cpuUsagePercent: f.f32(), memoryUsagePercent: f.f32(),
            diskUsagePercent: f.f32(), networkIoBytes: f.i64(), activeConnections: f.i32(), activeAgents: f.i32(),
            totalRequests: f.i64(), errorRate: f.f32(), responseTimeAvgMs: f.f32(),
            throughputRequestsPerSec: f.f32(), tags: record.tags, metadata: record.metadata)
    }
}

extension PointRecord: MadeFromValues {
    init(values record: AnyRecord) {
        var f = FieldCursor(record)
        self.init(
            time: record.time, metricType: f.text(), metricName: f.text(), value: f.f64(), valueText: f.text(),
            level: f.text(), tags: record.tags, metadata: record.metadata)
    }
}
