import Testing

/// Walks through every interleaving of the model, or to the first violation.
struct Exploration {
    private(set) var states = 0
    private(set) var ends = 0
    private(set) var violation: RingModel.Violation?

    init(_ model: RingModel) {
        var numbers = [RingModel.State(): 0]
        var open = [RingModel.State()]
        // For each state those it was reached from, to see from where an end can be reached.
        var before: [[Int]] = [[]]
        var endNumbers: [Int] = []
        do throws(RingModel.Violation) {
            while let state = open.popLast() {
                let number = numbers[state, default: 0]
                if try model.isEnd(state) { endNumbers.append(number) }
                for actor in 0..<3 {
                    guard let next = try model.step(actor, from: state) else { continue }
                    if let known = numbers[next] {
                        before[known].append(number)
                    } else {
                        numbers[next] = before.count
                        before.append([number])
                        open.append(next)
                    }
                }
            }
            guard Self.reachable(from: endNumbers, by: before) == before.count else { throw .stuck }
        } catch {
            violation = error
        }
        states = before.count
        ends = endNumbers.count
    }

    private static func reachable(from starts: [Int], by edges: [[Int]]) -> Int {
        var isSeen = [Bool](repeating: false, count: edges.count)
        var open = starts
        var count = 0
        while let number = open.popLast() {
            if isSeen[number] { continue }
            isSeen[number] = true
            count += 1
            open.append(contentsOf: edges[number])
        }
        return count
    }
}

@Suite struct RingModelTests {
    static let equalClaims = RingModel(capacityUnits: 2, extents: [[1, 1, 1], [1, 1, 1]])
    static let paddedClaims = RingModel(capacityUnits: 3, extents: [[2, 1, 2], [1, 2, 1]])

    @Test(arguments: [equalClaims, paddedClaims])
    func `no interleaving loses, repeats, reorders or overwrites a claim or sleeps over one`(model: RingModel) {
        let exploration = Exploration(model)
        print("\(model.capacityUnits) units: \(exploration.states) states, \(exploration.ends) of them ends")
        #expect(exploration.violation == nil)
        #expect(exploration.ends > 0)
        #expect(exploration.states > 10_000)
    }

    @Test(arguments: RingModel.Mutant.allCases)
    func `the exploration catches each way of breaking the ring`(mutant: RingModel.Mutant) {
        var model = Self.paddedClaims
        model.mutant = mutant
        let exploration = Exploration(model)
        print("\(mutant): \(exploration.violation.map { "\($0)" } ?? "not caught") after \(exploration.states) states")
        #expect(exploration.violation != nil)
    }
}
