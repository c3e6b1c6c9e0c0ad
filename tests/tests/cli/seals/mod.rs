//! `eventlog anchor`, `eventlog verify` and `eventlog export --proofs`: seals outside of the server.

mod anchors;
mod authority;
mod log;
mod offline;
mod roots;
mod stamps;

use std::path::{Path, PathBuf};
use std::process::Command;

use eventlog_tests::{Db, TENANT_A, TENANT_B, db, rows, text};
use postgres::Client;

use crate::files::Folder;
use crate::server::eventlog;

/// A program of `tests/seals` in the Python that scripts/setup-tests makes for it.
fn python(name: &str) -> Command {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(root.join("../target/seals/bin/python3"));
    command.arg(root.join("seals").join(name));
    command
}

/// Events of the three days before today, and of today, with what files have trouble with. The tenants
/// have some of the same names; 700 events of tenant A are of one name and day.
const EVENTS: &str = r#"
    SELECT eventlog.define_event('ping'), eventlog.define_event('pong'), eventlog.define_event('pong.z');
    SELECT eventlog._make_partition(at) FROM generate_series(now() - interval '4 days', now(), '1 day') AS at;
    INSERT INTO eventlog.events (tenant_id, name, data, actor, subject, occurred_at, created_at, weight)
    SELECT CASE WHEN n % 9 = 0 THEN 'TENANT_B' ELSE 'TENANT_A' END::uuid,
           CASE WHEN n < 800 THEN 'ping' WHEN n % 3 = 0 THEN 'pong' ELSE 'pong.z' END,
           CASE n % 5
               WHEN 0 THEN '{"n": 1.50, "m": -0.0, "e": 1e30, "long": 12345678901234567890.1234567890}'::jsonb
               WHEN 1 THEN '{"é": "日本 \ud83d\ude80", "b\\\"\n": [true, null, [], {}, {"": "\u0001"}], "aa": {"b": 1, "a": 2}}'::jsonb
               ELSE jsonb_build_object('n', n, 'text', repeat('x', n % 40)) END,
           CASE WHEN n % 4 > 0 THEN 'user-' || n % 17 END, CASE WHEN n % 6 = 0 THEN E'a\t"b"\\' END,
           CASE WHEN n % 7 = 0 THEN '0044-03-15 12:00:00.000001+00 BC'::timestamptz END,
           date_trunc('day', now(), 'UTC') - interval '3 days' + n / 800 * interval '1 day' + (n % 800) * interval '1.000001 minutes',
           CASE WHEN n % 10 = 0 THEN 1.1 END
      FROM generate_series(0, 2399) AS n;
    INSERT INTO eventlog.events (tenant_id, name, data) VALUES ('TENANT_A', 'ping', '{}');
"#;

/// Seals the days before this time, as maintain() would have done then.
const SEAL_UNTIL: &str = "
    DO $$
    DECLARE
        until constant timestamptz := (SELECT rolled_until FROM eventlog.rollup_state);
    BEGIN
        UPDATE eventlog.rollup_state SET rolled_until = date_trunc('day', now(), 'UTC') - interval '1 day';
        WHILE eventlog_private.seal_days() > 0 LOOP END LOOP;
        UPDATE eventlog.rollup_state SET rolled_until = until;
    END
    $$;
";

/// A log with seals of three days.
struct Sealed {
    db: Db,
    owner: Client,
    folder: Folder,
}

impl Sealed {
    /// Makes one in which two days are sealed, then events come late to the first, and the third day is
    /// sealed with a supplement. Four events are erased then.
    fn new(name: &str) -> Self {
        let db = Db::new();
        let mut owner = db.connect("log_owner");
        let sql = EVENTS.replace("TENANT_A", TENANT_A).replace("TENANT_B", TENANT_B);
        owner.batch_execute(&sql).expect("events");
        // The first pass has the rollups only.
        owner.batch_execute("UPDATE eventlog.log_config SET seals = false").expect("its own log");
        owner.batch_execute("CALL eventlog.maintain()").expect("rollups");
        owner.batch_execute("UPDATE eventlog.log_config SET seals = true").expect("its own log");
        owner.batch_execute(SEAL_UNTIL).expect("seals");
        let late = format!(
            "INSERT INTO eventlog.events (tenant_id, name, data, actor, created_at)
             SELECT '{TENANT_A}', 'pong', '{{\"late\": true}}', 'late', date_trunc('day', now(), 'UTC') - interval '70 hours' + n * interval '1 second'
               FROM generate_series(1, 3) n"
        );
        owner.batch_execute(&late).expect("events");
        let mut sealed = Sealed { db, owner, folder: Folder::new(name) };
        sealed.maintain();
        sealed
            .owner
            .batch_execute(&format!("CALL eventlog.forget_actor('{TENANT_A}', 'late')"))
            .expect("an erasure");
        sealed.maintain();
        let until =
            "SELECT sealed_until = date_trunc('day', now(), 'UTC') FROM eventlog.seal_state";
        assert_eq!(text(&mut sealed.owner, until), "t");
        sealed
    }

    fn maintain(&mut self) {
        self.owner.batch_execute("CALL eventlog.maintain()").expect("its own log");
    }

    /// Runs SQL that no trigger, policy or constraint of a key notices.
    fn tamper(&self, sql: &str) {
        let mut superuser = self.db.superuser();
        superuser.batch_execute("SET session_replication_role = replica").expect("a superuser");
        superuser.batch_execute(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path(name)
    }

    /// The program with these arguments, as a role.
    fn run(&self, role: &str, arguments: &[&str]) -> Command {
        let mut command = eventlog(db::shared(), &self.db.name, role);
        command.args(arguments).current_dir(self.folder.path("."));
        command.env_remove("EVENTLOG_TENANT");
        command
    }

    /// Exports the log with its proofs.
    fn export(&self) {
        let export = ["export", "events.ndjson", "--proofs", "proofs.ndjson", "--force"];
        crate::server::printed(&mut self.run("log_owner", &export));
    }

    /// An event that is sealed, by a condition.
    fn an_event(&mut self, condition: &str) -> i64 {
        let sql = format!(
            "SELECT id FROM eventlog.events WHERE {condition} ORDER BY id LIMIT 1 OFFSET 5"
        );
        rows(&mut self.owner, &sql)[0][0].parse().expect("an id")
    }
}

/// Runs a command that must find a difference; what it printed, and what it said.
#[track_caller]
fn differs(command: &mut Command) -> (String, String) {
    let output = command.output().expect("it starts");
    let of = |bytes| String::from_utf8(bytes).expect("UTF-8");
    let (stdout, stderr) = (of(output.stdout), of(output.stderr));
    assert_eq!(output.status.code(), Some(1), "{command:?}\n{stdout}\n{stderr}");
    assert!(stderr.starts_with("eventlog: "), "{stderr}");
    (stdout, stderr)
}
