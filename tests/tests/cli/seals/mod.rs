//! `eventlog anchor`, `eventlog verify` and `eventlog export --proofs`: seals outside of the server.

mod anchors;
mod authority;
mod log;
mod offline;
mod random_changes;
mod roots;
mod stamps;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

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

/// A log with a partition a day: what comes to one that is closed is late, also from the owner.
const MAKE: &str = "
    CREATE EXTENSION eventlog;
    SELECT eventlog.create_log(owner => 'log_owner', partition_interval => '1 day', premake => '1 day', retention => '100 years');
    SET SESSION AUTHORIZATION log_owner;
    SELECT eventlog.grant_reader('reader'), eventlog.grant_service('service'),
           eventlog.define_event('ping'), eventlog.define_event('pong'), eventlog.define_event('pong.z');
    SELECT eventlog._make_partition(d) FROM generate_series('2026-01-05 00:00+00'::timestamptz, '2026-01-07 00:00+00', '1 day') d;
";

/// Events of three days in January, with what files have trouble with, and one of today. 711 events of
/// tenant A are of one name and day.
const EVENTS: &str = r#"
    INSERT INTO eventlog.events (tenant_id, name, data, actor, subject, occurred_at, created_at, weight)
    SELECT CASE WHEN n % 9 = 0 THEN 'TENANT_B' ELSE 'TENANT_A' END::uuid,
           CASE WHEN n < 800 THEN 'ping' WHEN n % 3 = 0 THEN 'pong' ELSE 'pong.z' END,
           CASE n % 5
               WHEN 0 THEN '{"n": 1.50, "m": -0.0, "e": 1e30, "long": 12345678901234567890.1234567890}'::jsonb
               WHEN 1 THEN '{"é": "日本 \ud83d\ude80", "b\\\"\n": [true, null, [], {}, {"": "\u0001"}], "aa": {"b": 1, "a": 2}}'::jsonb
               ELSE jsonb_build_object('n', n, 'text', repeat('x', n % 40)) END,
           CASE WHEN n % 4 > 0 THEN 'user-' || n % 17 END, CASE WHEN n % 6 = 0 THEN E'a\t"b"\\' END,
           CASE WHEN n % 7 = 0 THEN '0044-03-15 12:00:00.000001+00 BC'::timestamptz END,
           '2026-01-05 00:00+00'::timestamptz + n / 800 * interval '1 day' + (n % 800) * interval '1.000001 minutes',
           CASE WHEN n % 10 = 0 THEN 1.1 END
      FROM generate_series(0, 2399) AS n;
    INSERT INTO eventlog.events (tenant_id, name, data) VALUES ('TENANT_A', 'ping', '{}');
"#;

/// Late events of the first day.
const LATE: &str = "
    INSERT INTO eventlog.events (tenant_id, name, data, actor, created_at)
    SELECT 'TENANT_A', 'pong', '{\"late\": true}', CASE WHEN n < 4 THEN 'late' ELSE 'other' END,
           '2026-01-05 12:00+00'::timestamptz + n * interval '1 second'
      FROM generate_series(1, 5) n";

/// Seals as if another day had passed, for which late events and receipts wait.
const SEAL: [&str; 2] = [
    "UPDATE eventlog.seal_state SET sealed_until = sealed_until - interval '1 day'",
    "CALL eventlog.maintain()",
];

/// Makes the log in a new database: three days are sealed, then a supplement, then three events of it are
/// erased.
fn make() -> Db {
    let db = Db::empty();
    db.superuser().batch_execute(MAKE).expect("the log is made");
    let mut owner = db.connect("log_owner");
    let forget = format!("CALL eventlog.forget_actor('{TENANT_A}', 'late')");
    for sql in [EVENTS, LATE, &forget] {
        let sql = sql.replace("TENANT_A", TENANT_A).replace("TENANT_B", TENANT_B);
        for sql in [&sql[..], SEAL[0], SEAL[1]] {
            owner.batch_execute(sql).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        }
    }
    db
}

/// A log with seals of three days.
struct Sealed {
    db: Db,
    owner: Client,
    folder: Folder,
    /// The number of its digests.
    digests: usize,
}

impl Sealed {
    fn new(name: &str) -> Self {
        static TEMPLATE: OnceLock<Db> = OnceLock::new();
        let db = Db::from_template(&TEMPLATE.get_or_init(make).name);
        let mut owner = db.connect("log_owner");
        let digests = text(&mut owner, "SELECT count(*) FROM eventlog.seal_digests");
        let digests = digests.parse().expect("a number");
        Sealed { db, owner, folder: Folder::new(name), digests }
    }

    /// Seals as if another day had passed, and returns how many digests there are then.
    fn seal(&mut self) -> usize {
        for sql in SEAL {
            self.owner.batch_execute(sql).expect("its own log");
        }
        let digests = text(&mut self.owner, "SELECT count(*) FROM eventlog.seal_digests");
        digests.parse().expect("a number")
    }

    /// Runs SQL that no trigger notices.
    fn tamper(&self, sql: &str) {
        let mut superuser = self.db.superuser();
        superuser
            .batch_execute(
                "DO $$ DECLARE r regclass; BEGIN
                     FOR r IN SELECT c.oid FROM pg_class c WHERE c.relnamespace = 'eventlog'::regnamespace AND c.relkind IN ('r', 'p') LOOP
                         EXECUTE format('ALTER TABLE %s DISABLE TRIGGER ALL', r);
                     END LOOP; END $$;
                 SET session_replication_role = replica",
            )
            .expect("a superuser");
        superuser.batch_execute(sql).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
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
    assert!(!stderr.is_empty(), "{command:?}\n{stdout}");
    (stdout, stderr)
}
