import Collector

extension CommandError {
    /// A collector that could not start.
    init(_ error: CollectorError) {
        let code: FailureCode =
            switch error.kind {
            case .configuration: .configuration
            case .unavailable: .unavailable
            case .system: .software
            case .disk: .cannotCreate
            }
        self.init(code, error.description)
    }
}
