// Where the spill is when nobody says it: beside the embedded database's default place.

import FrameCodec
import SpillwayClient
import TimescaleStore

extension CollectorSettings {
    /// The spill's directory; nil for none.
    func spillPath(environment: [String: String]) -> String? {
        if let given = spillDirectory { return given.isEmpty ? nil : given }
        switch database {
        case .discard: return nil
        case .embedded(let directory?): return directory + "-spill"
        case .embedded(nil): return Self.besideDatabase("spill", environment)
        case .server(let location):
            // One for each database: what was meant for one must not be replayed into another.
            return Self.besideDatabase("spill-" + hexadecimal(SourceIdentity.hash(location.description)), environment)
        }
    }

    private static func besideDatabase(_ name: String, _ environment: [String: String]) -> String? {
        let database = EmbeddedServer.defaultDirectory(environment: environment)
        return database.lastIndex(of: "/").map { database[..<$0] + "/" + name }
    }
}
