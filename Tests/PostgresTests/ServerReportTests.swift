import Testing

@testable import Postgres

@Suite struct ServerReportTests {
    @Test(arguments: [
        ("COPY routing_metrics, line 3, column query_id", 3),
        ("COPY t, line 12: \"1\t2\"", 12),
        ("COPY t, Zeile 7, Spalte x", 7),
        ("COPY metrics_2026, line 4", 4),
        ("PL/pgSQL function f() line 5 at RAISE\nCOPY t, line 2, column a", 2),
        ("SQL statement \"COPY x, line 9\"\nPL/pgSQL function f() line 5 at SQL statement", nil),
        ("COPY t", nil), ("", nil), ("COPY t, line 99999999999999999999", nil),
    ])
    func copyLineIsFoundInEveryContext(context: String, line: Int?) {
        let report = ServerReport(severity: "ERROR", sqlstate: SQLState("22000"), message: "m", context: context)
        #expect(report.copyLine == line)
    }

    @Test(arguments: [
        ("40001", true), ("40P01", true), ("53100", true), ("53300", true), ("55P03", true), ("57014", true),
        ("57P01", true), ("57P02", true), ("57P03", true), ("57P05", true), ("08006", true), ("25006", true),
        ("25P03", true), ("25P04", true), ("22021", false), ("23505", false),
        ("42P01", false), ("28P01", false), ("3D000", false), ("XX000", false), ("57P04", false),
    ])
    func transientCodesAreWorthAnotherTry(code: String, isTransient: Bool) {
        #expect(SQLState(code).isTransient == isTransient)
    }
}
