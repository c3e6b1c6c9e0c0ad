//! `eventlog export` and `import`: what goes out comes back the same, whatever is in it.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use eventlog_tests::{Db, TENANT_A, TENANT_B, db, rows, scaled, text};
use postgres::Client;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::server::{eventlog, failed, printed};

/// A folder for files, removed at the end.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("eventlog-{name}-{}", std::process::id()));
        fs::create_dir(&path).expect("a new folder");
        Folder(path)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).expect("the folder is ours");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn run(db: &Db, role: &str, arguments: &[&str]) -> Command {
    let mut command = eventlog(db::shared(), &db.name, role);
    command.args(arguments);
    command
}

fn of(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// Every value of every event, as text.
fn values(client: &mut Client) -> Vec<Vec<String>> {
    rows(
        client,
        "SELECT id, tenant_id, name, data::text, actor, subject, occurred_at, created_at, weight FROM eventlog.events ORDER BY id",
    )
}

/// Fails with the first event that is not the same.
fn assert_same(found: &[Vec<String>], wanted: &[Vec<String>], what: &str) {
    assert_eq!(found.len(), wanted.len(), "{what}");
    for (found, wanted) in found.iter().zip(wanted) {
        assert_eq!(found, wanted, "{what}");
    }
}

/// Those of the year 2026, which may be over.
pub(crate) fn make_partitions(owner: &mut Client) {
    let sql = "SELECT eventlog._make_partition(at) FROM generate_series('2026-01-01'::timestamptz, now(), '1 month') AS at";
    owner.batch_execute(sql).expect("its own log");
}

/// A log with a name that has no rules, so that nothing is made of its payloads.
fn log() -> Db {
    let db = Db::new();
    db.connect("log_owner").batch_execute("SELECT eventlog.define_event('anything')").unwrap();
    db
}

/// A log with what files have trouble with.
fn hostile() -> (Db, Client) {
    let db = log();
    let mut owner = db.connect("log_owner");
    make_partitions(&mut owner);
    let data = [
        r#"{"toolName": "a,b;\"c\"\\d\ne\r\n\tf", "é": "日本 \ud83d\ude80 \u202e"}"#,
        r#"{"toolName": "\\N", "n": [0.1000, 1e400, -0.0, 12345678901234567890.123456789]}"#,
        r#"{"toolName": "\u0001\u007f\\u0000", "deep": {"a": [null, {"b": []}], "": ""}}"#,
        r#"{"toolName": "=1+1\n\\.\n"}"#,
        r#"{"toolName": ""}"#,
    ];
    let labels = ["NULL", "' '", "E'x\\n\\\\.\\ny'", "'\"q\", ''s'''", "E'a\\tb\\r'", "'\\N'"];
    for (n, label) in labels.iter().enumerate() {
        for (m, data) in data.iter().enumerate() {
            let tenant = if (n + m) % 2 == 0 { TENANT_A } else { TENANT_B };
            let sql = format!(
                "INSERT INTO eventlog.events (tenant_id, name, data, actor, subject, occurred_at, created_at, weight)
                 VALUES ('{tenant}', 'anything', $1::text::jsonb, {label}, {label}, {}, '2026-01-01'::timestamptz + {n} * interval '1.000001 days', {})",
                if m % 2 == 0 { "NULL" } else { "'0044-03-15 12:00:00.000001+00 BC'" },
                if m % 3 == 0 { "NULL" } else { "1.1" },
            );
            owner.execute(&sql, &[data]).expect("a valid event");
        }
    }
    (db, owner)
}

#[test]
fn what_is_exported_is_imported_the_same_in_every_format() {
    let (source, mut client) = hostile();
    let wanted = values(&mut client);
    assert_eq!(wanted.len(), 30);
    let folder = Folder::new("formats");
    let last = wanted.last().expect("30")[0].clone();
    for name in ["events.csv", "events.ndjson", "events.json", "Events.JSONL"] {
        let path = folder.path(name);
        printed(&mut run(&source, "log_owner", &["export", of(&path)]));
        let target = log();
        let mut command = run(&target, "log_owner", &["import", of(&path), "--json"]);
        let counts: Value = serde_json::from_str(&printed(&mut command)).unwrap();
        let all = serde_json::json!({ "rows": 30, "imported": 30, "already_there": 0, "rejected": 0, "left_out": 0 });
        assert_eq!(counts, all, "{name}");
        let mut client = target.connect("log_owner");
        assert_same(&values(&mut client), &wanted, name);
        // Once more changes nothing, by a superuser too; and new events go on behind.
        let said = printed(&mut run(&target, "postgres", &["import", of(&path)]));
        assert_eq!(said, "30 rows: 0 imported, 30 already there, 0 rejected\n");
        assert_same(&values(&mut client), &wanted, name);
        let next = format!(
            "SELECT eventlog.log_event('{TENANT_A}', 'tool_used', '{{\"toolName\": \"t\"}}') > {last}"
        );
        assert_eq!(text(&mut client, &next), "t");
        // What came back goes out the same.
        let again = folder.path(&format!("again-{name}"));
        printed(&mut run(&target, "log_owner", &["export", of(&again), "--until", "2026-02-01"]));
        assert_eq!(fs::read(&again).unwrap(), fs::read(&path).unwrap(), "{name}");
    }
    let text = fs::read_to_string(folder.path("events.json")).unwrap();
    assert_eq!(serde_json::from_str::<Vec<&RawValue>>(&text).unwrap().len(), 30);
}

#[test]
fn streams_go_through_pipes_and_a_closed_one_is_no_failure() {
    let (source, mut client) = hostile();
    let target = log();
    for format in ["csv", "ndjson", "json"] {
        let mut export = run(&source, "log_owner", &["export", "--format", format]);
        let mut export = export.stdout(Stdio::piped()).spawn().unwrap();
        let mut import = run(&target, "log_owner", &["import", "-", "--format", format]);
        printed(import.stdin(export.stdout.take().unwrap()));
        assert!(export.wait().unwrap().success());
    }
    assert_same(&values(&mut target.connect("log_owner")), &values(&mut client), "through pipes");

    let many = "INSERT INTO eventlog.events (tenant_id, name, data)
                SELECT gen_random_uuid(), 'tool_used', '{\"toolName\": \"t\"}' FROM generate_series(1, 20000)";
    client.batch_execute(many).unwrap();
    for command in [&["export"][..], &["tail", "-n", "10000", "--tenant", TENANT_A, "-f"]] {
        let mut command = run(&source, "log_owner", command);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdout = child.stdout.take().unwrap();
        stdout.read_exact(&mut [0; 10]).unwrap();
        drop(stdout);
        // What comes makes tail notice.
        let more = format!(
            "SELECT eventlog.log_event('{TENANT_A}', 'tool_used', '{{\"toolName\": \"t\"}}')"
        );
        while child.try_wait().unwrap().is_none() {
            text(&mut client, &more);
        }
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && said.is_empty(), "{:?} {said}", output.status);
    }
}

#[test]
fn a_filter_and_the_policies_say_what_is_exported() {
    let (db, _) = hostile();
    let count = |role: &str, arguments: &[&str]| {
        printed(run(&db, role, &["export"]).args(arguments)).lines().count()
    };
    assert_eq!(count("log_owner", &[]), 30);
    assert_eq!(count("log_owner", &["--tenant", TENANT_A]), 15);
    assert_eq!(count("reader", &["--tenant", TENANT_B]), 15);
    assert_eq!(count("service", &["--names", "message_sent,anything"]), 30);
    assert_eq!(count("log_owner", &["--names", "x') OR true --"]), 0);
    assert_eq!(count("log_owner", &["--since", "2026-01-02", "--until", "2026-01-03"]), 5);
    let said = failed(&mut run(&db, "reader", &["export"]), 1);
    assert!(said.contains("--tenant"), "{said}");
    let said = failed(&mut run(&db, "outsider", &["export", "--tenant", TENANT_A]), 1);
    assert!(said.contains("permission denied"), "{said}");
    let said = failed(&mut run(&db, "log_owner", &["export", "--since", "soon"]), 1);
    assert!(said.contains("22007"), "{said}");
    let said = failed(&mut run(&db, "log_owner", &["export", "events.xml"]), 2);
    assert!(said.contains("--format"), "{said}");
    // Of a failure no file is left.
    let folder = Folder::new("filter");
    failed(&mut run(&db, "reader", &["export", of(&folder.path("x.csv"))]), 1);
    assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 0);
}

#[test]
fn rows_that_break_a_rule_are_told_by_line_and_take_no_others_with_them() {
    let db = Db::new();
    let folder = Folder::new("lines");
    let good = |id: u32| {
        format!(
            r#"{{"id":{id},"tenant_id":"{TENANT_A}","name":"tool_used","data":{{"toolName":"t"}},"created_at":"2026-01-01T00:00:00Z"}}"#
        )
    };
    let bad = |id: u32, from: &str, to: &str| good(id).replace(from, to);
    let lines = [
        good(1),
        "{".to_owned(),
        bad(3, "tool_used", "tool_usd"),
        bad(4, "toolName", "tool"),
        bad(5, "2026", "soon"),
        bad(6, TENANT_A, "nobody"),
        bad(7, "\"t\"", "\"\\u0000\""),
        good(8),
        bad(9, "\"id\":9,", ""),
        bad(10, "\"name\"", "\"nam\""),
        bad(11, "}}", "},\"weight\":0.5}")
            .replace("},\"weight\":0.5,", ",")
            .replace("T00:00:00Z\"}", "T00:00:00Z\",\"weight\":0.5}"),
        bad(12, "\"t\"", &format!("\"{}\"", "x".repeat(3000))),
        bad(13, "2026-01-01T00:00:00Z", "infinity"),
        good(14),
    ];
    let path = folder.write("lines.ndjson", lines.join("\n").as_bytes());
    let told = |command: &mut Command| {
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let stderr = String::from_utf8(output.stderr).unwrap();
        (String::from_utf8(output.stdout).unwrap(), stderr)
    };
    let (stdout, stderr) = told(&mut run(&db, "log_owner", &["import", of(&path)]));
    assert_eq!(stdout, "14 rows: 3 imported, 0 already there, 11 rejected\n", "{stderr}");
    for (line, why) in [
        (2, "EOF"),
        (3, "42704"),
        (4, "23514"),
        (5, "22007"),
        (6, "22P02"),
        (7, "22P05"),
        (9, "id is missing"),
        (10, "nam"),
        (11, "weight must be"),
        (12, "54000"),
        (13, "22023"),
    ] {
        let start = format!("eventlog: line {line}: ");
        let said = stderr.lines().find(|said| said.starts_with(&start));
        assert!(said.is_some_and(|said| said.contains(why)), "{line}: {stderr}");
    }
    let notices = stderr.lines().filter(|line| !line.starts_with("eventlog: line ")).count();
    assert_eq!((stderr.lines().count(), notices), (13, 2), "a notice and its hint: {stderr}");
    assert!(stderr.contains("are past the log's retention"), "{stderr}");
    let mut owner = db.connect("log_owner");
    assert_eq!(
        text(&mut owner, "SELECT array_agg(id ORDER BY id) FROM eventlog.events"),
        "{1,8,14}"
    );
    let quarantined = "SELECT array_agg(idempotency_key ORDER BY id) FROM eventlog.rejected_events";
    let keys = [3, 4, 11, 12, 13].map(|id| format!("\"import of import_lines: {id}\"")).join(",");
    assert_eq!(text(&mut owner, quarantined), format!("{{{keys}}}"));
    // Again: the same is told, and nothing is doubled.
    let (stdout, again) = told(&mut run(&db, "log_owner", &["import", of(&path)]));
    assert_eq!(stdout, "14 rows: 0 imported, 3 already there, 11 rejected\n");
    assert_eq!(again, stderr);
    assert_eq!(text(&mut owner, "SELECT count(*) FROM eventlog.rejected_events"), "5");

    let csv = format!(
        "name,id,tenant_id,created_at,data\ntool_used,20,{TENANT_A},2026-01-01,\"{{\"\"toolName\"\": \"\"t\"\"}}\"\n\ntool_used,x,{TENANT_A},2026-01-01,{{}}\nshort\n"
    );
    let path = folder.write("rows.csv", csv.as_bytes());
    let (stdout, stderr) = told(&mut run(&db, "log_owner", &["import", of(&path)]));
    assert!(
        stdout.starts_with("3 rows: 1 imported, 0 already there, 2 rejected"),
        "{stdout}{stderr}"
    );
    assert!(stderr.contains("line 4: ") && stderr.contains("line 5: found 1 fields"), "{stderr}");
}

#[test]
fn a_file_that_breaks_off_is_completed_by_typing_the_same_again() {
    let db = Db::new();
    let folder = Folder::new("again");
    let event = |id| {
        format!(
            r#"{{"id":{id},"tenant_id":"{TENANT_A}","name":"tool_used","data":{{"toolName":"t"}},"created_at":"2026-01-01T00:00:00Z"}}"#
        )
    };
    let events: Vec<String> = (1..=15_000).map(event).collect();
    let whole = format!("[{}]", events.join(","));
    let path = folder.write("events.json", &whole.as_bytes()[..whole.len() - 1000]);
    let said = failed(&mut run(&db, "log_owner", &["import", of(&path)]), 1);
    assert!(
        said.contains("10000 earlier events are in the log; run the same command again"),
        "{said}"
    );
    folder.write("events.json", whole.as_bytes());
    let said = printed(&mut run(&db, "log_owner", &["import", of(&path)]));
    assert_eq!(said, "15000 rows: 5000 imported, 10000 already there, 0 rejected\n");

    for (name, text, why) in [
        ("a.csv", "", "the file has no header"),
        ("a.csv", "id,name\n", "tenant_id is missing"),
        ("a.csv", "id,name,secret\n", "unknown column \"secret\""),
        ("a.json", "{}", "instead of an array"),
    ] {
        let path = folder.write(name, text.as_bytes());
        let said = failed(&mut run(&db, "log_owner", &["import", of(&path)]), 1);
        assert!(said.contains(why), "{text}: {said}");
    }
    let said = failed(&mut run(&db, "log_owner", &["import", "nowhere.csv"]), 1);
    assert!(said.contains("nowhere.csv"), "{said}");
    let path = folder.write("a.ndjson", event(1).as_bytes());
    let said = failed(&mut run(&db, "service", &["import", of(&path)]), 1);
    assert!(said.contains("as a member of log_owner"), "{said}");
}

/// Runs a command to its end; the most memory that it held, in bytes.
fn most_memory(command: &mut Command) -> usize {
    let mut child = command.stdout(Stdio::null()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut most = 0;
    loop {
        let now = fs::read_to_string(&status).unwrap_or_default();
        let kilobytes = now.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = kilobytes.and_then(|text| text.trim().trim_end_matches(" kB").parse().ok());
        most = most.max(kilobytes.unwrap_or(0_usize) << 10);
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "{status}");
            return most;
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}

/// `make proof` does it with a million events.
#[test]
fn many_events_go_out_and_in_with_memory_that_does_not_grow() {
    const MOST_OUT: usize = 24 << 20;
    const MOST_IN: usize = 48 << 20;
    let events = scaled(20_000, 1_000_000);
    let source = Db::new();
    let mut owner = source.connect("log_owner");
    make_partitions(&mut owner);
    owner
        .batch_execute(&format!(
            "INSERT INTO eventlog.events (tenant_id, name, data, actor, subject, occurred_at, created_at)
             SELECT CASE n % 3 WHEN 0 THEN '{TENANT_B}' ELSE '{TENANT_A}' END::uuid, 'skill_executed',
                    jsonb_build_object('skillName', 'skill ' || n % 97, 'success', n % 5 > 0, 'durationMs', n / 7.0, 'text', repeat('é', n % 50)),
                    'user ' || n % 1009, 'skill ' || n % 97, CASE WHEN n % 2 = 0 THEN '2026-01-01'::timestamptz END,
                    '2026-01-01'::timestamptz + n * interval '0.7 s'
               FROM generate_series(1, {events}) n"
        ))
        .unwrap();
    let digest =
        "SELECT count(*), sum(hashtextextended(e::text, 0)::numeric) FROM eventlog.events e";
    let wanted = rows(&mut owner, digest);
    let folder = Folder::new("many");
    for name in ["events.csv", "events.ndjson", "events.json"] {
        let path = folder.path(name);
        let out = most_memory(&mut run(&source, "log_owner", &["export", of(&path)]));
        let target = Db::new();
        let into = most_memory(&mut run(&target, "log_owner", &["import", of(&path)]));
        println!("{name}: {events} events, export {} KiB, import {} KiB", out >> 10, into >> 10);
        let found = rows(&mut target.connect("log_owner"), digest);
        assert_eq!(found, wanted, "{name}");
        assert!(
            (1..MOST_OUT).contains(&out) && (1..MOST_IN).contains(&into),
            "{name}: {out} {into}"
        );
        fs::remove_file(path).unwrap();
    }
}

#[test]
fn a_pipe_is_written_to_and_a_file_appears_when_it_is_complete() {
    let (db, _) = hostile();
    let folder = Folder::new("pipe");
    let path = folder.path("fifo");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let mut export = run(&db, "log_owner", &["export", of(&path), "--format", "ndjson"]);
    let mut export = export.stderr(Stdio::null()).spawn().unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 30);
    assert!(export.wait().unwrap().success());
    let path = folder.write("old.csv", b"old");
    let said = failed(&mut run(&db, "log_owner", &["export", of(&path)]), 2);
    assert!(said.contains("exists") && said.contains("--force"), "{said}");
    let said = failed(&mut run(&db, "outsider", &["export", "--force", of(&path)]), 1);
    assert!(said.contains("permission denied"), "{said}");
    assert_eq!(fs::read(&path).unwrap(), b"old", "a failure leaves what was there");
    printed(&mut run(&db, "log_owner", &["export", "--force", of(&path)]));
    assert_eq!(fs::read_to_string(&path).unwrap().lines().next().unwrap().split(',').count(), 9);
}
