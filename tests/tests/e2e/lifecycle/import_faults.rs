//! An import in which some rows cannot be taken: each costs only itself, and the rest is there.

use eventlog_tests::{Db, TENANT_A, TENANT_B, assert_refused, db, rows, text};
use postgres::Client;

const IMPORT: &str =
    "SELECT imported, rejected, already_there FROM eventlog.import_events('public.source')";
const REASONS: &str =
    "SELECT idempotency_key, sqlstate, reason FROM eventlog.rejected_events ORDER BY id";

/// A log, and a source with `n` good rows of yesterday, half of them each tenant's.
fn source(n: u32, columns: &str) -> (Db, Client) {
    let db = Db::new();
    let mut superuser = db.superuser();
    superuser
        .batch_execute(&format!(
            "SELECT eventlog.define_event('ping');
             CREATE TABLE public.source ({columns});
             GRANT SELECT ON public.source TO log_owner;
             INSERT INTO public.source (id, tenant_id, name, data, created_at)
             SELECT g, (CASE WHEN g % 2 = 0 THEN '{TENANT_A}' ELSE '{TENANT_B}' END)::uuid, 'ping', '{{}}', now() - interval '1 day'
               FROM generate_series(1, {n}) g"
        ))
        .unwrap();
    (db, superuser)
}

const TYPED: &str = "id bigint, tenant_id uuid, name text, data jsonb, created_at timestamptz, occurred_at timestamptz,
                     actor text, weight real";

#[test]
fn a_row_that_something_on_events_refuses_is_quarantined_alone_among_all_tenants() {
    let (_db, mut superuser) = source(999, TYPED);
    superuser
        .batch_execute(
            "CREATE FUNCTION public.fussy() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN
                 IF NEW.actor = 'bad' THEN RAISE EXCEPTION 'this actor is not wanted'; END IF;
                 IF NEW.actor = 'number' THEN PERFORM NEW.data ->> 'secret', (NEW.data ->> 'secret')::integer; END IF;
                 IF NEW.actor = 'skip' THEN RETURN NULL; END IF;
                 RETURN NEW;
             END $$;
             CREATE TRIGGER fussy BEFORE INSERT ON eventlog.events FOR EACH ROW EXECUTE FUNCTION public.fussy();
             ALTER TABLE eventlog.events ADD CONSTRAINT no_odd_subject CHECK (subject <> 'odd')",
        )
        .unwrap();
    superuser
        .batch_execute(&format!(
            "ALTER TABLE public.source ADD subject text;
             INSERT INTO public.source (id, tenant_id, name, data, created_at, actor, subject) VALUES
                (2001, '{TENANT_A}', 'ping', '{{}}', now(), 'bad', NULL),
                (2002, '{TENANT_A}', 'ping', '{{\"secret\": \"hunter2\"}}', now(), 'number', NULL),
                (2003, '{TENANT_A}', 'ping', '{{}}', now(), NULL, 'odd'),
                (2004, '{TENANT_A}', 'ping', '{{}}', now(), 'skip', NULL)"
        ))
        .unwrap();
    assert_eq!(rows(&mut superuser, IMPORT), [["999", "3", "0"]]);
    let reasons = rows(&mut superuser, REASONS);
    let expected = [
        ["2001", "P0001", "this actor is not wanted"],
        ["2002", "22P02", "rejects one of its values"],
        ["2003", "23514", "violates check constraint \"no_odd_subject\""],
    ];
    assert_eq!(reasons.len(), 3);
    for (row, [id, sqlstate, reason]) in reasons.iter().zip(expected) {
        assert!(row[0].ends_with(id) && row[1] == sqlstate && row[2].contains(reason), "{row:?}");
        assert!(!row[2].contains("hunter2"), "{row:?}");
    }
    assert_eq!(text(&mut superuser, "SELECT count(*) FROM eventlog.events"), "999");
    // Once nothing refuses them they come in, and nothing twice.
    superuser.batch_execute("DROP TRIGGER fussy ON eventlog.events").unwrap();
    assert_eq!(rows(&mut superuser, IMPORT), [["3", "0", "1000"]]);
}

#[test]
fn a_value_that_no_column_of_the_log_can_hold_costs_its_row_only() {
    let (_db, mut superuser) = source(
        999,
        "id numeric, tenant_id text, name varchar(2000), data json, created_at timestamp, actor text, weight double precision",
    );
    superuser
        .batch_execute(&format!(
            "INSERT INTO public.source VALUES
                (2001, '{TENANT_A}', 'ping', '{{\"a\": \"\\u0000\"}}', now(), NULL, NULL),
                (2002, 'nobody', 'ping', '{{}}', now(), NULL, NULL),
                (1e30, '{TENANT_A}', 'ping', '{{}}', now(), NULL, NULL),
                (2003, '{TENANT_A}', 'ping', '{{\"a\": \"\\ud800\"}}', now(), NULL, NULL),
                (2004, '{TENANT_A}', 'ping', '{{}}', now(), NULL, 1e300),
                (2005, NULL, 'ping', '{{}}', now(), NULL, NULL),
                (2006, '{TENANT_A}', repeat('x', 1000), '{{}}', now(), NULL, NULL),
                (2007, '{TENANT_A}', 'ping', '{{}}', now(), repeat('x', 1000), NULL),
                (2008, '{TENANT_A}', 'ping', '{{}}', now(), NULL, 'NaN')"
        ))
        .unwrap();
    assert_eq!(rows(&mut superuser, IMPORT), [["999", "9", "0"]]);
    let reasons =
        rows(&mut superuser, "SELECT sqlstate, reason FROM eventlog.rejected_events ORDER BY id");
    let expected = [
        ["22P05", "data cannot be read as jsonb"],
        ["22P02", "tenant_id cannot be read as uuid"],
        ["22003", "id cannot be read as bigint"],
        ["22P02", "data cannot be read as jsonb"],
        ["22003", "weight cannot be read as real"],
        ["22004", "tenant_id must not be null"],
        ["42704", ""],
        ["22023", "actor is too long: 1000 bytes, limit 512"],
        ["22023", "weight must be finite, and at least 1"],
    ];
    for (row, [sqlstate, reason]) in reasons.iter().zip(expected) {
        assert!(row[0] == sqlstate && row[1].starts_with(reason), "{row:?}");
    }
    assert_eq!(rows(&mut superuser, IMPORT), [["0", "0", "1008"]]);
}

#[test]
fn ids_and_times_that_the_log_could_not_go_on_behind_are_refused_and_logging_goes_on() {
    let (db, mut superuser) = source(99, TYPED);
    superuser
        .batch_execute(&format!(
            "INSERT INTO public.source (id, tenant_id, name, data, created_at) VALUES
                (9223372036854775807, '{TENANT_A}', 'ping', '{{}}', now()),
                (4611686018427387904, '{TENANT_A}', 'ping', '{{}}', now()),
                (2001, '{TENANT_A}', 'ping', '{{}}', '294276-12-31'),
                (2002, '{TENANT_A}', 'ping', '{{}}', '4713-01-01 BC'),
                (2003, '{TENANT_A}', 'ping', '{{}}', '0001-01-01'),
                (2004, '{TENANT_A}', 'ping', '{{}}', 'infinity'),
                (2005, '{TENANT_A}', 'ping', '{{}}', '-infinity'),
                (2006, '{TENANT_A}', 'ping', '{{}}', now() + interval '1 hour')"
        ))
        .unwrap();
    assert_eq!(rows(&mut superuser, IMPORT), [["99", "8", "0"]]);
    let reasons = rows(
        &mut superuser,
        "SELECT DISTINCT ON (id) sqlstate, reason FROM eventlog.rejected_events ORDER BY id",
    );
    let expected = [
        "id is 9223372036854775807, limit 4611686018427387903",
        "id is 4611686018427387904, limit 4611686018427387903",
        "created_at is later than now and eventlog.max_clock_ahead",
        "created_at is before the year 1000",
        "created_at is before the year 1000",
        "created_at must be finite",
        "created_at must be finite",
        "created_at is later than now and eventlog.max_clock_ahead",
    ];
    for (row, reason) in reasons.iter().zip(expected) {
        assert_eq!(row[..], ["22023", reason]);
    }
    let mut member = db.connect_as("member", TENANT_A);
    let id = text(&mut member, "SELECT eventlog.log_event(NULL, 'ping')");
    assert!(id.parse::<i64>().unwrap() > 99, "{id}");
    // The highest id that is taken leaves room for as many again.
    superuser
        .batch_execute("UPDATE public.source SET id = 4611686018427387903 WHERE id = 1")
        .unwrap();
    assert_eq!(rows(&mut superuser, IMPORT), [["1", "0", "106"]]);
    assert_eq!(
        text(&mut member, "SELECT eventlog.log_event(NULL, 'ping') > 4611686018427387903"),
        "t"
    );
}

#[test]
fn nothing_of_a_tenant_that_opted_out_is_imported_or_kept() {
    let (_db, mut superuser) = source(10, TYPED);
    superuser
        .batch_execute(&format!(
            "SELECT eventlog.set_tenant('{TENANT_B}', is_opted_out => true);
             INSERT INTO public.source (id, tenant_id, name, data, created_at) VALUES (2001, '{TENANT_B}', 'unheard_of', '{{}}', now())"
        ))
        .unwrap();
    assert_eq!(rows(&mut superuser, IMPORT), [["5", "0", "0"]]);
    assert_eq!(text(&mut superuser, "SELECT count(*) FROM eventlog.rejected_events"), "0");
}

#[test]
fn rows_past_retention_are_announced_with_the_command_that_keeps_them() {
    let (db, mut superuser) = source(0, TYPED);
    superuser
        .batch_execute(&format!(
            "SELECT eventlog.set_tenant('{TENANT_B}', retention => '30 days');
             INSERT INTO public.source (id, tenant_id, name, data, created_at)
             SELECT g, '{TENANT_A}'::uuid, 'ping', '{{}}'::jsonb, now() - interval '200 days' FROM generate_series(1, 1000) g
              UNION ALL SELECT 2001, '{TENANT_B}', 'ping', '{{}}', now() - interval '40 days'"
        ))
        .unwrap();
    let told = |sql: &str| db::shared().told(&db.name, "log_owner", sql).unwrap();
    let said = told(IMPORT);
    for part in [
        "WARNING:  1000 events are past the log's retention of 90 days",
        "HINT:  to keep them: SELECT eventlog.create_log(retention => '1 years');",
        "WARNING:  1 events are past the retention of their tenant or their name",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    // A dry run of the log that was never maintained tells all that the run then does.
    let dry = told("CALL eventlog.maintain(dry_run => true)");
    for part in [
        "would count events in the rollups",
        "would drop partition events_p",
        "would delete events of tenant bbbbbbbb",
    ] {
        assert!(dry.contains(part), "{part}: {dry}");
    }
    // What the hint says keeps them.
    let mut owner = db.connect("log_owner");
    owner.batch_execute("SELECT eventlog.create_log(retention => '1 years')").unwrap();
    owner.batch_execute("CALL eventlog.maintain()").unwrap();
    assert_eq!(text(&mut owner, "SELECT count(*) FROM eventlog.events"), "1000");
}

#[test]
fn a_source_that_the_owner_may_not_read_is_named_with_the_grant() {
    let db = Db::new();
    let mut superuser = db.superuser();
    superuser
        .batch_execute(
            "CREATE SCHEMA shop;
             CREATE TABLE shop.events (id bigint, tenant_id uuid, name text, data jsonb, created_at timestamptz)",
        )
        .unwrap();
    let mut owner = db.connect("log_owner");
    let oid = text(&mut superuser, "SELECT 'shop.events'::regclass::oid");
    let import = format!("SELECT * FROM eventlog.import_events({oid}::regclass)");
    assert_refused(&mut owner, &import, "42501", "permission denied for table");
    let hint = eventlog_tests::refused(&mut owner, &import).hint().unwrap().to_owned();
    superuser.batch_execute(&hint).unwrap();
    assert_eq!(rows(&mut owner, &import), [["0", "0", "0"]]);
}
