//! Events that cannot be written, among those of other tenants, by the gateway and by an import: each
//! costs itself, and its reason is said.

use std::process::{Command, Output};

use eventlog_tests::{Db, TENANT_A, TENANT_B, db, rows, text};
use serde_json::{Value, json};

use crate::files::{Folder, make_partitions};
use crate::server::{GATEWAY, World, eventlog, make_key, metric, numbered};

const TENANT_C: &str = "cccccccc-cccc-4ccc-8ccc-cccccccccccc";

/// What the server ends a statement after.
const TIMER: &str = "statement_timeout = '500ms'";

/// Triggers of the user's, for whom some payloads are too much.
fn add_triggers(db: &Db) {
    db.superuser()
        .batch_execute(
            "CREATE FUNCTION public.watch() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN
                 IF new.data ? 'raises' THEN RAISE EXCEPTION 'not this one'; END IF;
                 IF new.data ? 'sleeps' THEN PERFORM pg_sleep(60); END IF;
                 RETURN new;
             END $$;
             CREATE TRIGGER watch BEFORE INSERT ON eventlog.events
                 FOR EACH ROW EXECUTE FUNCTION public.watch();
             CREATE FUNCTION public.watch_late() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN
                 IF new.data ? 'raisesLate' THEN RAISE EXCEPTION 'not at the end'; END IF;
                 IF new.data ? 'sleepsLate' THEN PERFORM pg_sleep(60); END IF;
                 RETURN NULL;
             END $$;
             CREATE CONSTRAINT TRIGGER watch_late AFTER INSERT ON eventlog.events
                 DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.watch_late()",
        )
        .unwrap();
}

/// A good event with one key more in its payload.
fn with(key: &str, value: Value) -> Value {
    json!({ "name": "tool_used", "data": { "toolName": "t", key: value } })
}

/// Events that the gateway takes and the log does not, with what is said of each.
fn accepted() -> Vec<(Value, &'static str, &'static str)> {
    let with_actor =
        json!({ "name": "tool_used", "data": { "toolName": "t" }, "actor": "a".repeat(600) });
    vec![
        (with("nul", json!("a\0b")), "22P05", "unsupported Unicode"),
        (with("raises", json!(true)), "P0001", "not this one"),
        (with("raisesLate", json!(true)), "P0001", "not at the end"),
        (with("long", json!("x".repeat(3_000))), "54000", "limit 2048"),
        (with_actor, "22023", "actor is too long"),
        (json!({ "name": "n".repeat(3_000) }), "42704", "unknown event name"),
        (with("sleeps", json!(true)), "57014", "statement timeout"),
    ]
}

/// Events that the gateway refuses at its door.
fn refused() -> Vec<(Value, &'static str)> {
    let event = |key: &str, value: &str| json!({ "name": "tool_used", "data": { "toolName": "t" }, key: value });
    vec![
        (event("actor", "a\0b"), "actor must not contain U+0000"),
        (event("occurredAt", "-004800-01-01T00:00:00Z"), "occurredAt must be a time"),
        (event("occurredAt", "300000-01-01T00:00:00Z"), "occurredAt must be a time"),
    ]
}

#[test]
fn an_event_that_cannot_be_written_costs_itself_at_the_gateway() {
    let db = Db::new();
    add_triggers(&db);
    let settings = format!("ALTER ROLE {GATEWAY} IN DATABASE {} SET {TIMER}", db.name);
    let world = World::of(db, &["--rate-limit", "0", "--wait-timeout", "60s"], &settings);
    let keys = [&world.key_a, &world.key_b, &make_key(db::shared(), &world.db.name, TENANT_C, &[])];
    let (accepted, refused) = (accepted(), refused());
    let mut http = world.http();
    for (event, says) in &refused {
        let answer = http.track(keys[0], &event.to_string());
        assert_eq!(answer.status, 400, "{event}");
        assert!(answer.message().contains(says), "{}", answer.message());
    }
    for (kind, (event, sqlstate, says)) in accepted.iter().enumerate() {
        // Good ones of its own tenant in the same request, and of all tenants around it.
        let first = kind * 1_000;
        std::thread::scope(|scope| {
            for (n, key) in keys.iter().enumerate() {
                let world = &world;
                scope.spawn(move || {
                    let mut http = world.http();
                    for begin in (0..300).step_by(60) {
                        let begin = first + n * 300 + begin;
                        let body = numbered(begin..begin + 60).to_string();
                        assert_eq!(http.track(key, &body).status, 202);
                    }
                });
            }
            let mut events = numbered(first + 900..first + 999);
            events.as_array_mut().unwrap().insert(50, event.clone());
            let answer = http.track_and_wait(keys[0], &events.to_string());
            assert_eq!(answer.status, 200, "{sqlstate}: {}", answer.text());
            let said = answer.json();
            assert_eq!((&said["written"], &said["rejected"]), (&json!(99), &json!(1)), "{said}");
            let verdict = &said["verdicts"][50];
            assert_eq!(
                (&verdict["status"], &verdict["sqlstate"]),
                (&json!("rejected"), &json!(sqlstate))
            );
            assert!(verdict["message"].as_str().unwrap().contains(says), "{verdict}");
        });
        // Accepted by itself, its end is in the counts and in what the gateway says.
        assert_eq!(http.track(keys[1], &event.to_string()).status, 202);
        world.settle();
        let count = |http: &mut _, outcome: &str| {
            metric(http, &format!("eventlog_events_total{{outcome=\"{outcome}\"}}"))
        };
        let (kinds, sqlstate) = (kind as u64 + 1, sqlstate);
        assert_eq!(count(&mut http, "written"), 999 * kinds, "{sqlstate}");
        assert_eq!(count(&mut http, "rejected"), 2 * kinds, "{sqlstate}");
        for lost in ["dropped", "unconfirmed"] {
            assert_eq!(count(&mut http, lost), 0, "{sqlstate}");
        }
    }
    let numbers: Vec<Vec<String>> = (0..accepted.len())
        .flat_map(|kind| (0..999).map(move |n| vec![(kind * 1_000 + n).to_string()]))
        .collect();
    let found = "SELECT data ->> 'n' FROM eventlog.events ORDER BY (data ->> 'n')::integer";
    assert_eq!(rows(&mut world.db.superuser(), found), numbers, "each good one once");
    let (code, log) = world.gateway.stop();
    assert_eq!(code, Some(0), "{log}");
    // The first at once; those that follow soon are added up, and none is missing.
    let refusals: Vec<&str> =
        log.lines().filter(|line| line.contains("events were refused")).collect();
    assert!(refusals[0].contains("22P05") && refusals[0].contains("events=1 "), "{log}");
    let events = |line: &&str| -> usize {
        let (_, rest) = line.split_once("events=").expect("it counts");
        rest.split(' ').next().and_then(|count| count.parse().ok()).expect("a number")
    };
    assert_eq!(refusals.iter().map(events).sum::<usize>(), 2 * accepted.len(), "{log}");
    assert!(log.contains("57014"), "{log}");
}

/// A row of a file.
fn row(id: usize, tenant: &str, data: Value) -> Value {
    json!({ "id": id, "tenant_id": tenant, "name": "tool_used", "data": data, "created_at": "2026-01-01T00:00:00Z" })
}

/// 999 rows of three tenants, and among them one of each kind that cannot be taken, with its line and
/// what is said of it.
fn poisoned() -> (String, Vec<(usize, &'static str)>) {
    let payload = || json!({ "toolName": "t" });
    let mut bad: Vec<(Value, &str)> = [
        ("nul", json!("a\0b"), "22P05"),
        ("raises", json!(true), "not this one (SQLSTATE P0001)"),
        ("raisesLate", json!(true), "not at the end (SQLSTATE P0001)"),
        ("long", json!("x".repeat(3_000)), "54000"),
        ("sleeps", json!(true), "longer than statement_timeout, 500 ms (SQLSTATE 57014)"),
        ("sleepsLate", json!(true), "longer than statement_timeout, 500 ms (SQLSTATE 57014)"),
    ]
    .into_iter()
    .zip(2_001..)
    .map(|((key, value, why), id)| (row(id, TENANT_A, json!({ "toolName": "t", key: value })), why))
    .collect();
    for (id, key, value, why) in [
        (3_001, "occurred_at", json!("300000-01-01T00:00:00Z"), "SQLSTATE 22008"),
        (
            3_002,
            "created_at",
            json!("0999-01-01T00:00:00Z"),
            "before the year 1000 (SQLSTATE 22023)",
        ),
        (3_003, "actor", json!("a".repeat(600)), "actor is too long"),
    ] {
        let mut row = row(id, TENANT_B, payload());
        row[key] = value;
        bad.push((row, why));
    }
    let (mut lines, mut told, mut bad) = (Vec::new(), Vec::new(), bad.into_iter());
    for n in 1..=999 {
        lines.push(row(n, [TENANT_A, TENANT_B, TENANT_C][n % 3], payload()).to_string());
        if n % 100 == 50
            && let Some((row, why)) = bad.next()
        {
            lines.push(row.to_string());
            told.push((lines.len(), why));
        }
    }
    assert!(bad.next().is_none());
    (lines.join("\n"), told)
}

/// An import under a timer.
fn import(db: &Db, path: &std::path::Path) -> Command {
    let mut command = eventlog(db::shared(), &db.name, "log_owner");
    command
        .arg("import")
        .arg(path)
        .env("PGOPTIONS", format!("-c {}", TIMER.replace([' ', '\''], "")));
    command
}

fn told(command: &mut Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

const IDS: &str = "SELECT id FROM eventlog.events ORDER BY id";

fn ids(ids: impl IntoIterator<Item = usize>) -> Vec<Vec<String>> {
    ids.into_iter().map(|id| vec![id.to_string()]).collect()
}

#[test]
fn a_row_that_cannot_be_written_costs_itself_in_an_import() {
    let db = Db::new();
    add_triggers(&db);
    let mut owner = db.connect("log_owner");
    make_partitions(&mut owner);
    let (lines, bad) = poisoned();
    let folder = Folder::new("poison");
    let path = folder.write("poison.ndjson", lines.as_bytes());
    let (code, stdout, stderr) = told(&mut import(&db, &path));
    assert_eq!(stdout, "1008 rows: 999 imported, 0 already there, 9 rejected\n", "{stderr}");
    assert_eq!(code, Some(1));
    // Besides the warning about the log's retention, which is said once.
    assert_eq!(stderr.matches("past the log's retention").count(), 1, "{stderr}");
    let said: Vec<&str> =
        stderr.lines().filter(|line| line.starts_with("eventlog: line")).collect();
    assert_eq!(said.len(), bad.len(), "{stderr}");
    for (said, (line, why)) in said.into_iter().zip(&bad) {
        assert!(said.starts_with(&format!("eventlog: line {line}: ")), "{line}: {stderr}");
        assert!(said.contains(why), "{why}: {said}");
    }
    assert_eq!(rows(&mut owner, IDS), ids(1..=999));
    let quarantined = "SELECT idempotency_key, sqlstate, claimed_tenant_id, name, data, role_name
                         FROM eventlog.rejected_events WHERE sqlstate = '57014' ORDER BY id";
    let key = |id: u32| format!("import of import_poison: {id}");
    let of =
        |id: u32| [&key(id), "57014", TENANT_A, "tool_used", "∅", "log_owner"].map(str::to_owned);
    assert_eq!(rows(&mut owner, quarantined), [of(2_005), of(2_006)]);
    let count = "SELECT count(*) FROM eventlog.rejected_events";
    let before = text(&mut owner, count);
    // Again: the same is told, and nothing is doubled.
    let (_, stdout, again) = told(&mut import(&db, &path));
    assert_eq!(stdout, "1008 rows: 0 imported, 999 already there, 9 rejected\n");
    assert_eq!(again, stderr);
    assert_eq!(text(&mut owner, count), before);
    // Once nothing refuses them they come in, behind what is there.
    db.superuser()
        .batch_execute(
            "DROP TRIGGER watch ON eventlog.events; DROP TRIGGER watch_late ON eventlog.events",
        )
        .unwrap();
    let (_, stdout, _) = told(&mut import(&db, &path));
    assert_eq!(stdout, "1008 rows: 4 imported, 999 already there, 5 rejected\n");
    assert_eq!(rows(&mut owner, IDS), ids((1..=999).chain([2_002, 2_003, 2_005, 2_006])));
}

#[test]
fn an_import_that_waits_or_is_ended_puts_no_row_aside() {
    let db = Db::new();
    let mut owner = db.connect("log_owner");
    let lines: Vec<String> =
        (1..=20).map(|n| row(n, TENANT_A, json!({ "toolName": "t" })).to_string()).collect();
    let folder = Folder::new("waits");
    let path = folder.write("waits.ndjson", lines.join("\n").as_bytes());
    let nothing = "SELECT (SELECT count(*) FROM eventlog.events), (SELECT count(*) FROM eventlog.rejected_events)";
    // Another import, as far as locks go.
    owner.batch_execute("BEGIN; CREATE TABLE eventlog.import_in_progress ()").unwrap();
    let (code, stdout, stderr) = told(&mut import(&db, &path));
    assert_eq!((code, stdout.as_str()), (Some(1), ""), "{stderr}");
    assert!(stderr.contains("55P03"), "{stderr}");
    owner.batch_execute("ROLLBACK").unwrap();
    assert_eq!(rows(&mut owner, nothing), [["0", "0"]]);
    // Who types pg_cancel_backend wants it to end.
    add_triggers(&db);
    let slow = row(21, TENANT_A, json!({ "toolName": "t", "sleeps": true })).to_string();
    let path = folder.write("ends.ndjson", format!("{}\n{slow}", lines.join("\n")).as_bytes());
    let mut command = import(&db, &path);
    let command = command.env("PGOPTIONS", "-c statement_timeout=1h");
    let child = command.stderr(std::process::Stdio::piped()).spawn().unwrap();
    let mut superuser = db.superuser();
    let sleeping = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()";
    eventlog_tests::wait_for(&mut superuser, sleeping, "1");
    let cancel = sleeping.replace("count(*)", "pg_cancel_backend(pid)");
    assert_eq!(text(&mut superuser, &cancel), "t");
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("user request (SQLSTATE 57014)"), "{stderr}");
    assert_eq!(rows(&mut owner, nothing), [["0", "0"]]);
}
