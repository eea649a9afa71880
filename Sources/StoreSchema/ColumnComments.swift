// What each table and column holds, as comments in the database: psql's \d+ and other tools show them.

import MetricKinds

package enum ColumnComments {
    /// Comments on the kinds' tables and those of their columns that are there. Can be repeated.
    package static func statement(_ kind: MetricKind) -> String {
        let rows = texts(kind).map { "(\(literal($0.column)), \(literal($0.text)))" }.joined(separator: ",\n        ")
        return """
            DO $$
            DECLARE c record;
            BEGIN
                IF pg_catalog.to_regclass('\(SchemaSQL.table(kind))') IS NULL THEN RETURN; END IF;
                COMMENT ON TABLE \(SchemaSQL.table(kind)) IS \(literal(kind.about));
                FOR c IN SELECT v.name, v.about FROM (VALUES
                    \(rows)
                ) v (name, about) JOIN pg_catalog.pg_attribute a
                    ON a.attrelid = pg_catalog.to_regclass('\(SchemaSQL.table(kind))') AND a.attname = v.name AND NOT a.attisdropped
                LOOP
                    EXECUTE pg_catalog.format('COMMENT ON COLUMN \(SchemaSQL.table(kind)).%I IS %L', c.name, c.about);
                END LOOP;
            END $$
            """
    }

    /// The comment on one column, for a column that is added later.
    package static func statement(_ kind: MetricKind, _ column: RequiredColumn) -> String {
        let text = texts(kind).first { $0.column == column.name }?.text ?? ""
        return "COMMENT ON COLUMN \(SchemaSQL.table(kind)).\(column.name) IS \(literal(text))"
    }

    /// Meaning, unit and known values of every column.
    package static func texts(_ kind: MetricKind) -> [(column: String, text: String)] {
        [("time", "When it happened")] + kind.columns.map { ($0.name, text($0)) } + [
            ("tags", "Names and values to filter and group by"), ("metadata", "Anything else, as a JSON object"),
        ]
    }

    private static func text(_ column: MetricColumn) -> String {
        column.about + (column.unit.map { "; in \($0)" } ?? "")
            + (column.knownValues.isEmpty ? "" : "; known values: \(column.knownValues.joined(separator: ", "))")
    }

    private static func literal(_ text: String) -> String { "'" + text.replacing("'", with: "''") + "'" }
}
