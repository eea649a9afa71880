// The numbered steps from an empty database to today's schema. The first makes the kinds' tables as today's program wants them;
// what changes in tables that are there is a new migration with the next number. Every statement can be repeated.

import MetricKinds

/// One step.
package struct Migration: Sendable {
    package let number: Int
    package let name: String
    /// The oldest schema version whose programs work with a database that has this step: a step that only adds leaves the
    /// collectors of older programs at work.
    package let needs: Int
    /// Columns that a later version of a kind brought. They are added wherever they are missing.
    package var columns: [(kind: MetricKind, since: UInt8)] = []
    package var statements: @Sendable (SchemaSQL.Target) -> [String] = { _ in [] }

    /// What refuses a batch that is stored already, also where its row has become a range.
    package static let ledgerTrigger = "refuse_stored_batch"

    /// A new version of a kind in `protocol/kinds.json` wants its step here, which names the kind and its version in `columns`.
    package static let all = [
        Migration(number: 1, name: "tables of the kinds, ledger, dead letters", needs: 1) { target in
            collectorTables + target.kinds.flatMap { SchemaSQL.tableStatements($0, target) }
        },
        Migration(number: 2, name: "frames of sessions, records of dead letters", needs: 2) { _ in sessionTables },
        Migration(number: 3, name: "policies, maintenance, ranges of the ledger", needs: 2) { target in
            maintenanceTables + [SchemaSQL.firstPolicies(target)]
        },
        Migration(number: 4, name: "ascending indexes on time", needs: 2) { _ in
            SchemaSQL.kindsByTable.map { SchemaSQL.turnTimeIndex($0) }
        },
        Migration(number: 5, name: "indexes for session ranges and dead letters of a batch", needs: 2) { _ in
            batchIndexes
        },
        Migration(number: 6, name: "comments on the kinds' columns", needs: 2) { _ in
            SchemaSQL.kindsByTable.map { ColumnComments.statement($0) }
        },
        Migration(number: 7, name: "parts of a batch by kind", needs: 2) { _ in kindParts },
    ]

    /// Notes in the database that the step is done.
    package var record: String {
        // The first steps come before the column.
        let (column, value) = number < 3 ? ("", "") : (", needs", ", \(needs)")
        return """
            INSERT INTO spillway.schema_version (version, name\(column)) VALUES (\(number), '\(name.replacing("'", with: "''"))'\(value))
            ON CONFLICT (version) DO NOTHING
            """
    }

    // MARK: the collector's own tables

    /// With the schema, and whether a program of today must have it.
    package static let collectorTableNames = [
        "schema_version", "batches", "dead_letters", "session_frames", "table_policies", "maintenance", "batch_ranges",
        "batch_parts",
    ]

    /// `batches` is the ledger of what was committed: its key is what makes a batch go in once. `dead_letters` keeps
    /// the records that the database refused, as the frames they came in.
    private static let collectorTables = [
        """
        CREATE TABLE IF NOT EXISTS spillway.schema_version (
            version integer PRIMARY KEY,
            name text NOT NULL,
            applied_at timestamptz NOT NULL DEFAULT now()
        )
        """,
        """
        CREATE TABLE IF NOT EXISTS spillway.batches (
            epoch bigint NOT NULL,
            sequence bigint NOT NULL,
            records integer NOT NULL,
            committed_at timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (epoch, sequence)
        )
        """,
        """
        CREATE TABLE IF NOT EXISTS spillway.dead_letters (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            at timestamptz NOT NULL DEFAULT now(),
            epoch bigint,
            sequence bigint,
            kind text,
            source bigint,
            reason text,
            sqlstate text,
            frame bytea NOT NULL
        )
        """,
    ]

    /// `session_frames` is what is stored of the frames that clients number and want acknowledged: `first` to the
    /// one before `behind`.
    private static let sessionTables = [
        """
        CREATE TABLE IF NOT EXISTS spillway.session_frames (
            source bigint NOT NULL,
            session bigint NOT NULL,
            first bigint NOT NULL,
            behind bigint NOT NULL,
            committed_at timestamptz NOT NULL DEFAULT now()
        )
        """,
        "CREATE INDEX IF NOT EXISTS session_frames_idx ON spillway.session_frames (source, session)",
        "ALTER TABLE spillway.dead_letters ADD COLUMN IF NOT EXISTS records integer NOT NULL DEFAULT 1",
    ]

    /// The ranges of a session in their order, so that a commit compares one row and not all of the session's; the letters of a
    /// batch, which a repeated attempt looks for.
    private static let batchIndexes = [
        "CREATE INDEX IF NOT EXISTS session_frames_end_idx ON spillway.session_frames (source, session, behind)",
        "DROP INDEX IF EXISTS spillway.session_frames_idx",
        "CREATE INDEX IF NOT EXISTS dead_letters_batch_idx ON spillway.dead_letters (epoch, sequence)",
    ]

    /// A table that accepts nothing holds up the rows of its own kind alone. The collector of an older program knows no such
    /// parts: it must not take over a spill of which some batches wait for a table.
    private static let kindParts = [
        "ALTER TABLE spillway.batch_parts ADD COLUMN IF NOT EXISTS kind smallint NOT NULL DEFAULT 0",
        "ALTER TABLE spillway.batch_parts DROP CONSTRAINT IF EXISTS batch_parts_pkey",
        "ALTER TABLE spillway.batch_parts ADD PRIMARY KEY (epoch, sequence, kind, frame)",
    ]

    /// `table_policies` holds what an operator decided for each table, and whether TimescaleDB's jobs were made to follow it. `maintenance` is the diary of what was dropped or
    /// pruned. `batch_ranges` is the ledger's older part, in which the batches of an epoch that follow each other are one row:
    /// nothing of it is ever forgotten, and a trigger lets a repeated batch fail on it as the key of `batches` does, with the rights of
    /// the owner: whoever may store may not have to read it. `batch_parts` is the ledger of a batch that is stored in several
    /// transactions, until the last one.
    private static let maintenanceTables = [
        "ALTER TABLE spillway.schema_version ADD COLUMN IF NOT EXISTS needs integer",
        "ALTER TABLE spillway.dead_letters ADD COLUMN IF NOT EXISTS record_index integer",
        """
        CREATE TABLE IF NOT EXISTS spillway.table_policies (
            table_name text PRIMARY KEY,
            chunk_interval interval NOT NULL,
            compress_after interval,
            drop_after interval,
            is_applied boolean NOT NULL DEFAULT false,
            changed_at timestamptz NOT NULL DEFAULT now()
        )
        """,
        """
        CREATE TABLE IF NOT EXISTS spillway.maintenance (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            at timestamptz NOT NULL DEFAULT now(),
            action text NOT NULL,
            subject text NOT NULL,
            detail text NOT NULL
        )
        """,
        """
        CREATE TABLE IF NOT EXISTS spillway.batch_ranges (
            epoch bigint NOT NULL,
            first bigint NOT NULL,
            behind bigint NOT NULL,
            PRIMARY KEY (epoch, first)
        )
        """,
        """
        CREATE TABLE IF NOT EXISTS spillway.batch_parts (
            epoch bigint NOT NULL,
            sequence bigint NOT NULL,
            frame integer NOT NULL,
            stored_at timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (epoch, sequence, frame)
        )
        """,
        """
        CREATE OR REPLACE FUNCTION spillway.refuse_stored_batch() RETURNS trigger LANGUAGE plpgsql
        SECURITY DEFINER SET search_path = pg_catalog AS $$
        BEGIN
            IF EXISTS (SELECT FROM spillway.batch_ranges r
                WHERE r.epoch = NEW.epoch AND r.first <= NEW.sequence AND r.behind > NEW.sequence)
            THEN
                RAISE unique_violation USING MESSAGE = 'this batch is stored already';
            END IF;
            IF EXISTS (SELECT FROM spillway.batch_parts p WHERE p.epoch = NEW.epoch AND p.sequence = NEW.sequence) THEN
                RAISE object_not_in_prerequisite_state USING MESSAGE = 'this batch was begun in parts';
            END IF;
            RETURN NEW;
        END $$
        """,
        """
        CREATE OR REPLACE TRIGGER \(ledgerTrigger) BEFORE INSERT ON spillway.batches
        FOR EACH ROW EXECUTE FUNCTION spillway.refuse_stored_batch()
        """,
    ]
}
