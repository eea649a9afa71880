// What the records of each kind say. Related fields fit together: parts add up to totals, percentiles ascend, an error
// has a type. Some fields are absent, as they are in real life.

import FrameCodec

extension RecordGenerator {
    func routing(_ draw: inout Draw) -> RoutingRecord {
        let complexity = draw.random.float(0...1)
        let routing = draw.random.int32(1...12)
        let embedding = draw.random.int32(2...25)
        let threshold = draw.random.int32(0...3)
        let tokens = draw.random.int32(20...2_000)
        return RoutingRecord(
            time: draw.time,
            queryID: GeneratedTexts.identifier("query_", draw.number),
            queryText: pick(texts.queries, &draw),
            complexityScore: complexity,
            confidenceScore: draw.random.float(0...1),
            modelSelected: texts.routedModels[complexity > 0.6 ? 0 : 1],
            routingTimeMs: routing,
            embeddingTimeMs: embedding,
            thresholdComparisonTimeMs: threshold,
            totalRoutingTimeMs: routing + embedding + threshold,
            tokensEstimated: tokens,
            contextLength: tokens * 4,
            userIntent: pick(texts.intents, &draw),
            domainDetected: pick(texts.domains, &draw))
    }

    func memory(_ draw: inout Draw) -> MemoryRecord {
        let operation = pick(texts.memoryOperations, &draw)
        let tokens = draw.random.int32(16...8_000)
        let isCompression = operation == "compress"
        return MemoryRecord(
            time: draw.time,
            agentID: pick(texts.agents, &draw),
            memoryType: pick(texts.memoryTypes, &draw),
            memoryOperation: operation,
            memorySizeBytes: Int64(tokens) * 6,
            memoryTokens: tokens,
            operationTimeMs: draw.random.int32(0...40),
            cacheHit: operation == "read" ? !draw.random.oneIn(4) : nil,
            compressionRatio: isCompression ? draw.random.float(1...8, steps: 100) : nil,
            importanceScore: draw.random.float(0...1),
            accessCount: draw.random.int32(0...500))
    }

    func attention(_ draw: inout Draw) -> AttentionRecord {
        let focus = draw.random.float(0...1)
        return AttentionRecord(
            time: draw.time,
            modelID: pick(texts.models, &draw),
            layerID: Int32(draw.number % 48),
            attentionHeads: 32,
            attentionPattern: pick(texts.attentionPatterns, &draw),
            attentionEntropy: draw.random.float(0...6),
            attentionFocus: focus,
            attentionDiversity: 1 - focus,
            computationTimeMs: draw.random.int32(1...30),
            memoryUsageMb: draw.random.float(64...2_048, steps: 10))
    }

    func compute(_ draw: inout Draw) -> ComputeRecord {
        let batch = Int32(1) << draw.random.int32(0...6)
        let length = draw.random.int32(64...4_096)
        let milliseconds = draw.random.int32(5...2_000)
        let tokens = Int64(batch) * Int64(length)
        let median = draw.random.float(5...200, steps: 100)
        let usesGPU = !draw.random.oneIn(8)
        return ComputeRecord(
            time: draw.time,
            modelID: pick(texts.models, &draw),
            operationType: pick(texts.operationTypes, &draw),
            batchSize: batch,
            sequenceLength: length,
            tokensProcessed: tokens,
            computationTimeMs: milliseconds,
            gpuUtilizationPercent: usesGPU ? draw.random.float(20...100, steps: 10) : nil,
            gpuMemoryUsedMb: usesGPU ? draw.random.float(1_000...80_000, steps: 1) : nil,
            cpuUtilizationPercent: draw.random.float(0...100, steps: 10),
            cpuMemoryUsedMb: draw.random.float(500...16_000, steps: 1),
            throughputTokensPerSec: Float(tokens) * 1_000 / Float(milliseconds),
            latencyP50Ms: median,
            latencyP95Ms: median * 2,
            latencyP99Ms: median * 3)
    }

    func execution(_ draw: inout Draw) -> ExecutionRecord {
        let succeeds = !draw.random.oneIn(8)
        let error = succeeds ? nil : pick(texts.errors, &draw)
        return ExecutionRecord(
            time: draw.time,
            executionID: GeneratedTexts.identifier("exec_", draw.number),
            agentID: pick(texts.agents, &draw),
            language: pick(texts.languages, &draw),
            codeLength: draw.random.int32(20...6_000),
            executionTimeMs: draw.random.int32(1...5_000),
            memoryUsedMb: draw.random.float(4...512, steps: 10),
            cpuUsedPercent: draw.random.float(0...100, steps: 10),
            success: succeeds,
            errorType: error,
            correctionsApplied: draw.random.int32(0...3),
            sandboxID: GeneratedTexts.identifier("box_", draw.number / 4),
            timeoutOccurred: error == "timeout")
    }

    func agentEvolution(_ draw: inout Draw) -> AgentEvolutionRecord {
        let event = pick(texts.evolutionEvents, &draw)
        return AgentEvolutionRecord(
            time: draw.time,
            agentID: pick(texts.agents, &draw),
            domain: pick(texts.domains, &draw),
            evolutionEvent: event,
            interactionsCount: draw.random.int32(0...20_000),
            successRate: draw.random.float(0...1),
            graduationScore: event == "graduated" ? draw.random.float(0...1) : nil,
            memoryUtilization: draw.random.float(0...1),
            domainExpertise: draw.random.float(0...1),
            collaborationCount: draw.random.int32(0...200),
            playbookContributions: draw.random.int32(0...50),
            learningRate: draw.random.float(0...1, steps: 100_000))
    }

    func rag(_ draw: inout Draw) -> RagRecord {
        let retrieved = draw.random.int32(1...50)
        let search = draw.random.int32(2...60)
        let reranking = draw.random.int32(1...40)
        let tokens = draw.random.int32(100...6_000)
        return RagRecord(
            time: draw.time,
            queryID: GeneratedTexts.identifier("query_", draw.number),
            ragType: pick(texts.ragTypes, &draw),
            queryText: pick(texts.queries, &draw),
            retrievalTimeMs: search + reranking,
            documentsRetrieved: retrieved,
            documentsRelevant: draw.random.int32(0...Int(retrieved)),
            relevanceScore: draw.random.float(0...1),
            contextLength: tokens * 4,
            contextTokens: tokens,
            searchStrategy: pick(texts.searchStrategies, &draw),
            vectorSearchTimeMs: search,
            rerankingTimeMs: reranking,
            totalRagTimeMs: search + reranking + draw.random.int32(1...20))
    }

    func system(_ draw: inout Draw) -> SystemRecord {
        SystemRecord(
            time: draw.time,
            systemID: texts.hosts[draw.number % texts.hosts.count],
            cpuUsagePercent: draw.random.float(0...100, steps: 10),
            memoryUsagePercent: draw.random.float(20...95, steps: 10),
            diskUsagePercent: draw.random.float(30...90, steps: 10),
            // Counters go up: by some 64 KiB and a few requests a record.
            networkIoBytes: Int64(draw.number) * 65_536 + Int64(draw.random.below(65_536)),
            activeConnections: draw.random.int32(0...2_000),
            activeAgents: draw.random.int32(0...64),
            totalRequests: Int64(draw.number) * 7 + Int64(draw.random.below(7)),
            errorRate: draw.random.float(0...1) / 20,
            responseTimeAvgMs: draw.random.float(5...400, steps: 100),
            throughputRequestsPerSec: draw.random.float(10...5_000, steps: 10))
    }

    func point(_ draw: inout Draw) -> PointRecord {
        let metric = texts.points[draw.random.below(texts.points.count)]
        let isRemark = draw.random.oneIn(16)
        return PointRecord(
            time: draw.time,
            metricType: metric.type,
            metricName: metric.name,
            value: Double(draw.random.below(1_000_000)) / 1_000,
            valueText: isRemark ? "changed by hand" : nil,
            level: isRemark ? pick(texts.levels, &draw) : "info")
    }

    @inline(__always)
    private func pick(_ values: [String], _ draw: inout Draw) -> String { values[draw.random.below(values.count)] }
}
