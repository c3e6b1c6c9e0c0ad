//! Taking over a table of events that the application had before.

use std::time::Instant;

use eventlog_tests::{Db, TENANT_A, TENANT_B, assert_refused, rows, scaled, text};
use postgres::Client;

const IMPORT: &str =
    "SELECT imported, rejected, already_there FROM eventlog.import_events('public.events')";

/// The classic table with `n` good rows over two years, and a log that knows their names.
fn classic(n: usize) -> (Db, Client) {
    let db = Db::new();
    let mut superuser = db.superuser();
    superuser
        .batch_execute(&format!(
            "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO log_owner;
             SELECT eventlog.define_event('ping', required_keys => '{{n}}', subject_keys => '{{n}}');
             CREATE TABLE public.events (id bigserial PRIMARY KEY, tenant_id uuid, name text, data jsonb, created_at timestamptz DEFAULT now());
             INSERT INTO public.events (tenant_id, name, data, created_at)
             SELECT CASE WHEN g % 3 = 0 THEN '{TENANT_A}'::uuid ELSE '{TENANT_B}'::uuid END, 'ping',
                    jsonb_build_object('n', g, 'x', NULL), now() - g * interval '2 years' / {n}
               FROM generate_series(1, {n}) g"
        ))
        .unwrap();
    (db, superuser)
}

#[test]
fn ids_times_and_counts_are_kept_and_a_second_import_doubles_nothing() {
    let n = scaled(20_000, 1_000_000);
    let (_db, mut superuser) = classic(n);
    superuser
        .batch_execute(&format!(
            "INSERT INTO public.events (id, tenant_id, name, data, created_at) VALUES
                (-1, '{TENANT_A}', 'bogus', '{{}}', now()), (-2, '{TENANT_A}', 'ping', '{{}}', now()),
                (-3, NULL, 'ping', '{{\"n\": 1}}', now()), (-4, '{TENANT_A}', NULL, '{{\"n\": 1}}', now()),
                (-5, '{TENANT_A}', 'ping', '[]', now()), (-6, '{TENANT_A}', 'ping', NULL, now()),
                (-7, '{TENANT_A}', 'ping', jsonb_build_object('n', repeat('x', 3000)), now()),
                (-8, '{TENANT_A}', 'ping', '{{\"n\": 1}}', 'infinity'), (-9, '{TENANT_A}', 'ping', '{{\"n\": 1}}', NULL)"
        ))
        .unwrap();
    let began = Instant::now();
    assert_eq!(rows(&mut superuser, IMPORT), [[n.to_string(), "9".into(), "0".into()]]);
    println!("{n} rows imported in {:.1} s", began.elapsed().as_secs_f64());
    let same = "SELECT count(*) FROM public.events s JOIN eventlog.events e USING (id, tenant_id, name, created_at)
                 WHERE e.data = jsonb_strip_nulls(s.data) AND e.subject = s.data ->> 'n'";
    assert_eq!(text(&mut superuser, same), n.to_string());
    let reasons = rows(
        &mut superuser,
        "SELECT sqlstate, idempotency_key, can_replay FROM eventlog.rejected_events ORDER BY idempotency_key",
    );
    let expected = [
        ["42704", "-1"],
        ["23514", "-2"],
        ["22004", "-3"],
        ["22004", "-4"],
        ["22023", "-5"],
        ["23514", "-6"],
        ["54000", "-7"],
        ["22023", "-8"],
        ["22004", "-9"],
    ];
    for (row, [sqlstate, id]) in reasons.iter().zip(expected) {
        assert_eq!(
            row[..],
            [sqlstate.to_owned(), format!("import of public.events: {id}"), "f".to_owned()]
        );
    }
    let infinite = "SELECT reason FROM eventlog.rejected_events WHERE idempotency_key LIKE '%-8'";
    assert_eq!(text(&mut superuser, infinite), "created_at must be finite");

    assert_eq!(
        rows(&mut superuser, IMPORT),
        [["0".to_owned(), "0".to_owned(), (n + 9).to_string()]]
    );
    superuser
        .batch_execute(&format!("INSERT INTO public.events (tenant_id, name, data) VALUES ('{TENANT_A}', 'ping', '{{\"n\": 0}}'); SELECT eventlog.define_event('bogus')"))
        .unwrap();
    // What a mended rule lets in goes in, and its row in the quarantine stays as a record.
    assert_eq!(
        rows(&mut superuser, IMPORT),
        [["2".to_owned(), "0".to_owned(), (n + 8).to_string()]]
    );
    // New events go on behind the imported ones.
    let id = text(
        &mut superuser,
        &format!("SELECT eventlog.log_event('{TENANT_A}', 'ping', '{{\"n\": 1}}')"),
    );
    assert!(id.parse::<usize>().unwrap() > n + 1, "{id}");
}

#[test]
fn a_source_that_cannot_be_imported_is_refused_with_a_reason() {
    let (db, mut superuser) = classic(100);
    superuser
        .batch_execute("CREATE TABLE public.other (id bigint, name text, data jsonb)")
        .unwrap();
    for (call, sqlstate, message) in [
        ("'public.other'", "42703", "table other has no column \"tenant_id\", \"created_at\""),
        ("'eventlog.events'", "22023", "into itself"),
        ("NULL", "22004", "source must not be null"),
        ("'public.nowhere'", "42P01", "nowhere"),
    ] {
        let outcome = eventlog_tests::refused(
            &mut superuser,
            &format!("SELECT eventlog.import_events({call})"),
        );
        assert_eq!(outcome.code().code(), sqlstate, "{outcome:?}");
        assert!(outcome.message().replace("public.", "").contains(message), "{outcome:?}");
    }
    superuser
        .batch_execute(&format!(
            "INSERT INTO public.events (tenant_id, name, data, created_at)
             SELECT '{TENANT_A}', 'ping', '{{\"n\": 1}}', '1850-01-01'::timestamptz + g * interval '1 month' FROM generate_series(1, 1500) g"
        ))
        .unwrap();
    assert_refused(&mut superuser, IMPORT, "54000", "partitions, limit 1200");
    assert_eq!(text(&mut superuser, "SELECT count(*) FROM eventlog.events"), "0");
    let mut member = db.connect_as("member", TENANT_A);
    assert_refused(&mut member, IMPORT, "42501", "the log belongs to log_owner");
}

#[test]
fn a_view_gives_other_columns_names_and_types() {
    let (_db, mut superuser) = classic(100);
    superuser
        .batch_execute(
            "CREATE TABLE public.audit (number int, who text, tenant text, what text, payload json, at timestamptz);
             INSERT INTO public.audit SELECT g, 'u' || g, gen_random_uuid(), 'ping', '{\"n\": 12345678901234567890.10}', now() FROM generate_series(1, 50) g;
             CREATE VIEW public.audit_events AS
             SELECT number AS id, tenant::uuid AS tenant_id, what AS name, payload AS data, at AS created_at, who AS actor, at - interval '1 s' AS occurred_at
               FROM public.audit",
        )
        .unwrap();
    assert_eq!(
        rows(&mut superuser, "SELECT * FROM eventlog.import_events('public.audit_events')"),
        [["50", "0", "0"]]
    );
    let stored = rows(
        &mut superuser,
        "SELECT actor, data, occurred_at < created_at FROM eventlog.events WHERE id = 7",
    );
    assert_eq!(stored, [["u7", r#"{"n": 12345678901234567890.10}"#, "t"]]);
}

#[test]
fn rows_without_an_id_are_quarantined_each_once() {
    let (_db, mut superuser) = classic(10);
    superuser
        .batch_execute(&format!(
            "CREATE TABLE public.loose (id bigint, tenant_id uuid, name text, data jsonb, created_at timestamptz);
             INSERT INTO public.loose VALUES (NULL, '{TENANT_A}', 'ping', '{{\"n\": 1}}', now()), (NULL, '{TENANT_A}', 'ping', '{{\"n\": 2}}', now())"
        ))
        .unwrap();
    let import = "SELECT * FROM eventlog.import_events('public.loose')";
    assert_eq!(rows(&mut superuser, import), [["0", "2", "0"]]);
    superuser
        .batch_execute(&format!(
            "INSERT INTO public.loose VALUES (NULL, '{TENANT_A}', 'ping', '{{\"n\": 3}}', now())"
        ))
        .unwrap();
    assert_eq!(rows(&mut superuser, import), [["0", "1", "2"]]);
}

#[test]
fn weights_are_kept_and_one_that_cannot_be_is_refused() {
    let db = Db::new();
    let mut superuser = db.superuser();
    superuser
        .batch_execute(&format!(
            "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO log_owner;
             SELECT eventlog.define_event('ping');
             CREATE TABLE public.events AS
             SELECT row_number() OVER () AS id, '{TENANT_A}'::uuid AS tenant_id, 'ping' AS name, '{{}}'::jsonb AS data,
                    now() AS created_at, w AS weight
               FROM unnest('{{NULL,1,2.5,1e30,0,0.5,-1,NaN,Infinity}}'::real[]) AS w"
        ))
        .unwrap();
    assert_eq!(rows(&mut superuser, IMPORT), [["4", "5", "0"]]);
    let kept = "SELECT array_agg(weight ORDER BY id) FROM eventlog.events";
    assert_eq!(text(&mut superuser, kept), "{NULL,1,2.5,1e+30}");
    let refused = "SELECT DISTINCT sqlstate, reason, weight FROM eventlog.rejected_events";
    assert_eq!(
        rows(&mut superuser, refused),
        [["22023", "weight must be finite, and at least 1", "∅"]]
    );
}
