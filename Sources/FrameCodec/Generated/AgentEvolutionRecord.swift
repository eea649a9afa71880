// Generated from protocol/kinds.json by `swift run kinds-generator`: change it there.
// swift-format-ignore-file

import MetricKinds

/// An agent was created, learned or changed. Every field may be absent; see `MetricKind.agentEvolution` for the table.
public struct AgentEvolutionRecord: MetricRecord, Equatable {
    public static var kind: MetricKind { .agentEvolution }

    /// Microseconds since the Unix epoch, UTC.
    public var time: Int64
    /// The agent.
    public var agentID: String?
    /// Its subject area.
    public var domain: String?
    /// What happened to the agent. Known values: created, trained, graduated, retired, interaction.
    public var evolutionEvent: String?
    /// Interactions so far.
    public var interactionsCount: Int32?
    /// Share of successful interactions.
    public var successRate: Float?
    /// Score of its graduation.
    public var graduationScore: Float?
    /// Share of its memory in use.
    public var memoryUtilization: Float?
    /// How well it knows its subject area.
    public var domainExpertise: Float?
    /// Collaborations with other agents.
    public var collaborationCount: Int32?
    /// Entries it added to the shared playbook.
    public var playbookContributions: Int32?
    /// How fast it learns.
    public var learningRate: Float?
    public var tags: Tags?
    public var metadata: Metadata?

    /// A record with only its time set, or with the fields given.
    public init(
        time: Int64,
        agentID: String? = nil,
        domain: String? = nil,
        evolutionEvent: String? = nil,
        interactionsCount: Int32? = nil,
        successRate: Float? = nil,
        graduationScore: Float? = nil,
        memoryUtilization: Float? = nil,
        domainExpertise: Float? = nil,
        collaborationCount: Int32? = nil,
        playbookContributions: Int32? = nil,
        learningRate: Float? = nil,
        tags: Tags? = nil,
        metadata: Metadata? = nil
    ) {
        self.time = time
        self.agentID = agentID
        self.domain = domain
        self.evolutionEvent = evolutionEvent
        self.interactionsCount = interactionsCount
        self.successRate = successRate
        self.graduationScore = graduationScore
        self.memoryUtilization = memoryUtilization
        self.domainExpertise = domainExpertise
        self.collaborationCount = collaborationCount
        self.playbookContributions = playbookContributions
        self.learningRate = learningRate
        self.tags = tags
        self.metadata = metadata
    }

    @inlinable
    public func write(to writer: inout RecordWriter) throws(RecordError) {
        var fields = writer.beginFields()
        defer { writer.fields = fields }
        if let agentID {
            try writer.text(agentID, bit: 2, &fields)
        }
        if let domain {
            try writer.text(domain, bit: 3, &fields)
        }
        if let evolutionEvent {
            try writer.text(evolutionEvent, bit: 4, &fields)
        }
        if let interactionsCount {
            fields.int32(interactionsCount, bit: 5)
        }
        if let successRate {
            fields.float32(successRate, bit: 6)
        }
        if let graduationScore {
            fields.float32(graduationScore, bit: 7)
        }
        if let memoryUtilization {
            fields.float32(memoryUtilization, bit: 8)
        }
        if let domainExpertise {
            fields.float32(domainExpertise, bit: 9)
        }
        if let collaborationCount {
            fields.int32(collaborationCount, bit: 10)
        }
        if let playbookContributions {
            fields.int32(playbookContributions, bit: 11)
        }
        if let learningRate {
            fields.float32(learningRate, bit: 12)
        }
    }
}
