// The texts of generated records: made once, so that a record only refers to them.

/// The vocabulary of the generator. Changing it changes what a seed means.
struct GeneratedTexts {
    /// 500 questions of 30 characters, for example `explain vectors for agent 000?`.
    let queries: [String]
    let domains: [String]
    let intents: [String]
    let routedModels = ["capable-70b", "swift-8b"]
    let models = ["capable-70b", "swift-8b", "embedder-1b", "reranker-2b"]
    let agents: [String]
    let hosts: [String]
    let languages = ["python", "javascript", "swift", "sql", "bash"]
    let memoryTypes = ["working", "episodic", "semantic", "procedural"]
    let attentionPatterns = ["local", "global", "sparse", "sliding_window"]
    let errors = ["syntax_error", "type_error", "timeout", "out_of_memory", "import_error"]
    let searchStrategies = ["vector", "keyword", "hybrid"]
    let points: [(type: String, name: String)] = [
        ("system", "queue_depth"), ("system", "open_files"), ("rag", "index_lag_seconds"), ("compute", "batch_fill"),
        ("routing", "cache_hit_ratio"), ("execution", "sandboxes_running"), ("memory", "evictions"),
        ("attention", "heads_pruned"), ("agent_evolution", "playbook_size"),
    ]
    // Not from the kinds' known values, which may grow.
    let memoryOperations = ["read", "write", "compress", "prune"]
    let operationTypes = ["inference", "training", "fine-tuning"]
    let evolutionEvents = ["created", "trained", "graduated", "retired", "interaction"]
    let ragTypes = ["mini_rag", "full_rag", "guided_search"]
    let levels = ["debug", "info", "warning", "error", "critical"]

    init() {
        let verbs = ["explain", "compare", "summarise", "translate", "optimise"]
        let topics = [
            "vectors", "indexes", "caching", "routing", "retries", "queues", "ledgers", "shards", "locks", "joins",
        ]
        // By their length: each question has the one that brings it to 30 characters.
        let links = [7: "in case", 8: "for task", 9: "for agent", 10: "in project", 11: "for project"]
        queries = (0..<500).map { index in
            let head = "\(verbs[index % 5]) \(topics[index / 5 % 10])"
            let digits = String(index)
            let number = String(repeating: "0", count: 3 - digits.count) + digits
            // Two spaces, three digits and the question mark.
            return "\(head) \(links[30 - head.utf8.count - 6] ?? "in") \(number)?"
        }
        domains = [
            "finance", "medicine", "law", "physics", "chemistry", "biology", "history", "geography", "literature",
            "music", "sports", "travel", "cooking", "software", "hardware", "security", "networks", "databases",
            "mathematics", "education",
        ]
        intents = [
            "question", "summary", "translation", "code", "review", "planning", "search", "chat", "extraction",
            "classification",
        ]
        agents = (0..<64).map { "agent_" + ($0 < 10 ? "0\($0)" : "\($0)") }
        hosts = (0..<16).map { "host-" + ($0 < 10 ? "0\($0)" : "\($0)") }
    }

    /// A name and a number of eight digits, for example `query_00001234`. At most 15 bytes lie in the `String` itself.
    static func identifier(_ prefix: StaticString, _ number: Int) -> String {
        let prefixCount = prefix.utf8CodeUnitCount
        return String(unsafeUninitializedCapacity: prefixCount + 8) { bytes in
            for index in 0..<prefixCount { bytes[index] = prefix.utf8Start[index] }
            var rest = number
            for index in stride(from: prefixCount + 7, through: prefixCount, by: -1) {
                bytes[index] = UInt8(ascii: "0") + UInt8(rest % 10)
                rest /= 10
            }
            return prefixCount + 8
        }
    }
}
