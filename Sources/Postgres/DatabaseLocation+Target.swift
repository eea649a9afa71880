// Which database a location leads to, without who asks: what is kept for one database is told apart from what is for another.

extension DatabaseLocation {
    /// Host, port and database as a URL. Without user, password and other settings, which may change.
    public var targetDescription: String {
        let host = value(of: "host") ?? value(of: "hostaddr") ?? "localhost"
        let port = value(of: "port") ?? "5432"
        let database = value(of: "dbname") ?? value(of: "user") ?? ""
        guard !host.hasPrefix("/"), !host.hasPrefix("@"), !host.contains(",") else {
            return "postgresql:///\(database)?host=\(host)&port=\(port)"
        }
        return "postgresql://\(host.contains(":") ? "[\(host)]" : host):\(port)/\(database)"
    }
}
