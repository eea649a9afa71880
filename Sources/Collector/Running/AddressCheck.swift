// The addresses of the settings, checked before the spill and the database are touched.

import Listeners

enum AddressCheck {
    /// - Parameter running: the collectors of this machine, which are asked for only when a port is taken.
    /// - Throws: for the first address that cannot be listened on, with the collector that has it.
    static func run(_ settings: CollectorSettings, running: () -> [RunningCollector]) throws(CollectorError) {
        try each("udp", settings.udp, settings, running) { (address) throws(ListenerError) in
            try ListenerProbe.datagrams(address, allowUnauthenticated: settings.allowUnauthenticated)
        }
        try each("tcp", settings.tcp, settings, running) { (address) throws(ListenerError) in
            try ListenerProbe.streams(address, allowUnauthenticated: settings.allowUnauthenticated)
        }
        try each("http", settings.http.map { [$0] } ?? [], settings, running) { (address) throws(ListenerError) in
            try ListenerProbe.streams(address, allowUnauthenticated: settings.allowUnauthenticated)
        }
    }

    private static func each(
        _ name: String, _ texts: [String], _ settings: CollectorSettings, _ running: () -> [RunningCollector],
        _ probe: (ListenAddress) throws(ListenerError) -> Void
    ) throws(CollectorError) {
        for text in texts {
            let address: ListenAddress
            do throws(ListenAddressError) {
                address = try ListenAddress(parsing: text)
            } catch {
                throw CollectorError(.configuration, "\(name): \(error)")
            }
            do throws(ListenerError) {
                try probe(address)
            } catch {
                throw explain(error, name, address, running)
            }
        }
    }

    private static func explain(
        _ error: ListenerError, _ name: String, _ address: ListenAddress, _ running: () -> [RunningCollector]
    ) -> CollectorError {
        switch error {
        case .unauthenticated where name == "http":
            return CollectorError(
                .configuration,
                "http: \(address) is not a loopback address, and anybody who reaches it could read the statistics: "
                    + "listen on 127.0.0.1 or [::1], or allow it with --allow-unauthenticated")
        case .addressInUse:
            guard let holder = running().first(where: { $0.addresses.contains("\(name) \(address)") }) else { break }
            return CollectorError(
                .unavailable,
                "a collector is running already: process id \(holder.processID) listens on \(name) \(address); stop it "
                    + "(kill \(holder.processID)), or choose another port with --\(name)")
        default: break
        }
        return CollectorError(error, setting: name)
    }
}
