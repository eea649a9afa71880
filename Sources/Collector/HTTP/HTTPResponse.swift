// What an endpoint answers.

/// A response with its whole body.
struct HTTPResponse: Sendable {
    let status: Int
    let contentType: String
    let body: String

    static func json(_ body: String, status: Int = 200) -> HTTPResponse {
        HTTPResponse(status: status, contentType: "application/json", body: body)
    }

    static func text(_ body: String, status: Int = 200) -> HTTPResponse {
        HTTPResponse(status: status, contentType: "text/plain; charset=utf-8", body: body)
    }
}
