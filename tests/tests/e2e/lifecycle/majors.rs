//! A log that was filled on an older PostgreSQL goes on with the one under test. `make test PG=NN`
//! brings one of the machine's own major version for it, `make test PG=all` every older one.

use std::fs;

use eventlog_tests::cluster::run;
use eventlog_tests::server::{Server, skip};
use eventlog_tests::{Cluster, TENANT_A, assert_refused, catalog, rows, text};
use postgres::Client;

use super::restore::{assert_the_log_works, contents, fill, next_id, target};

/// Older PostgreSQLs, or a word that there are none.
fn older() -> Vec<Server> {
    let servers = Server::older();
    if servers.is_empty() {
        skip("there is no older PostgreSQL with the extension (make test PG=18, make test PG=all)");
    }
    servers
}

/// A cluster of that PostgreSQL whose log is filled.
fn source(server: &Server, method: &str) -> Cluster {
    let cluster = Cluster::start_on(server, &[]);
    fill(&cluster, method);
    cluster
}

/// What must be alike before and after.
struct Log {
    catalog: Vec<String>,
    contents: Vec<Vec<String>>,
    payloads: Vec<Vec<String>>,
    next_id: String,
}

fn log(client: &mut Client) -> Log {
    // create_log() notes the table of tenants of this database and server anew.
    let is_of_this_database =
        |row: &[String]| row[0].starts_with("(t,") && row[0].contains('/') && !row[0].contains(' ');
    Log {
        catalog: catalog::lines_of_any_major(client),
        contents: contents(client).into_iter().filter(|row| !is_of_this_database(row)).collect(),
        payloads: rows(client, "SELECT id, data::text FROM eventlog.events ORDER BY id"),
        next_id: next_id(client),
    }
}

#[track_caller]
fn assert_alike(before: &Log, after: &Log) {
    catalog::assert_equal(&before.catalog, &after.catalog);
    assert_eq!(before.contents, after.contents);
    assert_eq!(before.payloads, after.payloads);
    assert_eq!(before.next_id, after.next_id);
}

/// Numbers and text as jsonb keeps them, to the last digit.
const PAYLOAD: &str = r#"{"a": 1, "n": 12345678901234567890.123456789, "z": 1.10, "e": 1e400, "t": "quote \" line\nback\\slash \u0001 ünïcode €"}"#;

fn fill_payloads(cluster: &Cluster) {
    let sql =
        format!("SELECT eventlog.log_event('{TENANT_A}', 'own', $payload${PAYLOAD}$payload$)");
    cluster.psql("app", "postgres", &sql).expect("an event that is odd, and valid");
}

#[test]
fn a_dump_of_each_older_major_restored_here_is_the_same_log() {
    for server in older() {
        for method in ["foreign_key", "trigger"] {
            let source = source(&server, method);
            fill_payloads(&source);
            let before = log(&mut source.connect("app", "postgres"));
            let target = target(false);
            // With its own pg_dump; pg_upgrade takes the newer one.
            let dump = run(source.client("pg_dump").arg("app"));
            target
                .psql("app", "postgres", &dump)
                .unwrap_or_else(|error| panic!("from {}: {error}", server.major()));
            let mut superuser = target.connect("app", "postgres");
            assert_alike(&before, &log(&mut superuser));
            superuser
                .batch_execute("SELECT eventlog.create_log()")
                .expect("nothing is left to make");
            assert_alike(&before, &log(&mut superuser));
            assert_the_log_works(&target);
        }
    }
}

#[test]
fn pg_upgrade_from_each_older_major_keeps_the_log_object_by_object() {
    for server in older() {
        let method = if server.major() % 2 == 0 { "foreign_key" } else { "trigger" };
        let source = source(&server, method);
        fill_payloads(&source);
        let mut superuser = source.connect("app", "postgres");
        superuser
            .batch_execute(
                "ALTER DATABASE app SET eventlog.redact_keys = 'password, cookie';
                 ALTER ROLE writer IN DATABASE app SET eventlog.on_unknown_name = 'quarantine'",
            )
            .unwrap();
        let settings = "SELECT setrole::regrole, setconfig FROM pg_db_role_setting WHERE setdatabase <> 0 ORDER BY 1";
        let settings_before = rows(&mut superuser, settings);
        drop(superuser);
        let before = log(&mut source.connect("app", "postgres"));
        let upgraded = source.upgrade_to(Server::under_test());
        let mut superuser = upgraded.connect("app", "postgres");
        assert_eq!(
            text(&mut superuser, "SELECT current_setting('server_version_num')::int / 10000"),
            Server::under_test().major().to_string()
        );
        assert_eq!(rows(&mut superuser, settings), settings_before);
        assert_alike(&before, &log(&mut superuser));
        superuser.batch_execute("SELECT eventlog.create_log()").expect("nothing is left to make");
        assert_alike(&before, &log(&mut superuser));
        assert_the_log_works(&upgraded);

        // What was written before and after is one log: erased by the tenants' table, guarded, and
        // it survives a crash.
        upgraded.crash();
        let mut superuser = upgraded.connect("app", "postgres");
        superuser
            .batch_execute(&format!("DELETE FROM public.tenants WHERE id = '{TENANT_A}'"))
            .unwrap();
        let left = format!("SELECT count(*) FROM eventlog.events WHERE tenant_id = '{TENANT_A}'");
        assert_eq!(text(&mut superuser, &left), "0");
        let mut member = upgraded.connect("app", "member");
        member.batch_execute(&format!("SET eventlog.tenant_id = '{TENANT_A}'")).unwrap();
        let unchecked = |columns: &str, values: &str| {
            format!(
                "INSERT INTO eventlog.events (tenant_id, name{columns}) VALUES ('{TENANT_A}', 'own'{values})"
            )
        };
        assert_refused(&mut member, &unchecked("", ""), "23514", "breaks 1 rule");
        assert_refused(&mut member, &unchecked(", weight", ", 2"), "42501", "");
        assert_refused(&mut member, &unchecked(", created_at", ", now()"), "42501", "");
        assert_refused(&mut member, "DELETE FROM eventlog.events", "42501", "");
    }
}

#[test]
fn maintain_goes_on_in_a_log_that_pg_upgrade_brought() {
    for server in older() {
        let source = source(&server, "none");
        let upgraded = source.upgrade_to(Server::under_test());
        let partitions = "SELECT count(*) FROM eventlog._partitions";
        let mut superuser = upgraded.connect("app", "postgres");
        let before = text(&mut superuser, partitions);
        superuser
            .batch_execute("UPDATE eventlog.log_config SET premake = premake + '3 months'")
            .unwrap();
        superuser.batch_execute("CALL eventlog.maintain()").unwrap();
        let after: u32 = text(&mut superuser, partitions).parse().unwrap();
        assert_eq!(after, before.parse::<u32>().unwrap() + 3);
        let log = fs::read_to_string(upgraded.folder().join("log")).expect("the server's log");
        assert!(!log.contains("PANIC") && !log.contains("FATAL:  invalid"), "{log}");
    }
}
