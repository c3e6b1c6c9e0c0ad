//! migrate_log() while the log is in use: nobody gets an error, nobody waits for long, and where a
//! transaction is in the way it gives up with nothing changed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use eventlog_tests::{Db, TENANT_A, db, refused, rows, text};
use postgres::Client;

const GOOD: &str = r#"'conversation_started', '{"sessionId": 1, "conversationId": 2}'"#;

/// A log of 0.1.0 under the new functions.
fn old_log() -> Db {
    let db = Db::empty();
    db::shared()
        .psql(
            &db.name,
            "postgres",
            "CREATE EXTENSION eventlog VERSION '0.1.0';
             SELECT eventlog.create_log(owner => 'log_owner');
             SET SESSION AUTHORIZATION log_owner;
             SELECT eventlog.grant_writer('member');
             SELECT eventlog.grant_reader('member');
             RESET SESSION AUTHORIZATION;
             ALTER EXTENSION eventlog UPDATE",
        )
        .unwrap_or_else(|error| panic!("{error}"));
    db
}

fn member(database: &str) -> Client {
    let mut client = db::shared().connect(database, "member");
    client.batch_execute(&format!("SET eventlog.tenant_id = '{TENANT_A}'")).unwrap();
    client
}

/// Does something again and again until it is told to stop; how often it was done.
#[derive(Debug)]
struct Busy {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
    threads: Vec<JoinHandle<()>>,
}

impl Busy {
    fn new() -> Self {
        Busy { stop: Arc::default(), done: Arc::default(), threads: Vec::new() }
    }

    fn start(&mut self, mut work: impl FnMut() + Send + 'static) {
        let (stop, done) = (Arc::clone(&self.stop), Arc::clone(&self.done));
        self.threads.push(thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                work();
                done.fetch_add(1, Ordering::Relaxed);
            }
        }));
    }

    /// Returns when everybody has done something, after this moment.
    fn wait(&self) {
        let wanted = self.done.load(Ordering::Relaxed) + 10 * self.threads.len();
        while self.done.load(Ordering::Relaxed) < wanted {
            assert!(!self.threads.iter().any(JoinHandle::is_finished), "somebody got an error");
            thread::yield_now();
        }
    }

    fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().expect("nobody got an error");
        }
    }
}

#[test]
fn writers_readers_and_owners_at_work_get_no_error_while_the_log_is_migrated() {
    let db = old_log();
    let mut busy = Busy::new();
    let log = format!("SELECT eventlog.log_event(NULL, {GOOD})");
    // One event a transaction; many; a new connection each time, which reads all rules anew.
    let (mut client, sql) = (member(&db.name), log.clone());
    busy.start(move || client.batch_execute(&sql).unwrap());
    let (mut client, sql) = (member(&db.name), format!("BEGIN; {log}; {log}; {log}; COMMIT"));
    busy.start(move || client.batch_execute(&sql).unwrap());
    let (name, sql) = (db.name.clone(), log.clone());
    busy.start(move || member(&name).batch_execute(&sql).unwrap());
    let mut client = member(&db.name);
    busy.start(move || {
        let batch = "SELECT * FROM eventlog.log_events(NULL, '{tool_used,bogus}', ARRAY['{\"toolName\": 1}', NULL]);
                     SELECT eventlog.try_log_event(NULL, 'bogus')";
        client.batch_execute(&format!("SET client_min_messages = error; {batch}")).unwrap();
    });
    let mut client = member(&db.name);
    busy.start(move || {
        client
            .batch_execute(
                "SELECT count(*) FROM eventlog.events; SELECT * FROM eventlog.stat_rejected",
            )
            .unwrap();
    });
    // Numbered batches, each sent again.
    let (mut client, mut number) = (member(&db.name), 0);
    busy.start(move || {
        number += 1;
        let batch = format!(
            "SELECT is_repeat FROM eventlog.log_events(NULL, '{{tool_used}}', ARRAY['{{\"toolName\": 1}}'],
                 producer => '{TENANT_A}', batch_number => {number})"
        );
        assert_eq!(text(&mut client, &batch), "f");
        assert_eq!(text(&mut client, &batch), "t");
    });
    // The owner changes rules in both orders of the tables, and each change is read by everybody.
    for sql in [
        "SELECT eventlog.define_event('a'); SELECT eventlog.set_tenant(gen_random_uuid(), max_bytes => 100)",
        "SELECT eventlog.set_tenant(gen_random_uuid(), max_bytes => 100); SELECT eventlog.define_event('b')",
    ] {
        let mut client = db.connect("log_owner");
        busy.start(move || client.batch_execute(&format!("BEGIN; {sql}; COMMIT")).unwrap());
    }
    busy.wait();
    let mut owner = db.connect("log_owner");
    owner.batch_execute("SET lock_timeout = '60s'").unwrap();
    assert_eq!(text(&mut owner, "SELECT eventlog.migrate_log()"), "2");
    busy.wait();
    busy.end();
    let unknown = "SELECT count(*) FROM eventlog.events WHERE name NOT IN ('conversation_started', 'tool_used')";
    assert_eq!(text(&mut owner, unknown), "0");
}

#[test]
fn a_transaction_that_holds_the_tables_makes_it_give_up_and_writers_go_on_meanwhile() {
    let db = old_log();
    let mut holder = member(&db.name);
    // Reads the rules inside its transaction, so holds their tables.
    holder.batch_execute(&format!("BEGIN; SELECT eventlog.log_event(NULL, {GOOD})")).unwrap();
    let (name, mut busy) = (db.name.clone(), Busy::new());
    busy.start(move || {
        member(&name).batch_execute(&format!("SELECT eventlog.log_event(NULL, {GOOD})")).unwrap();
    });
    let mut owner = db.connect("log_owner");
    owner.batch_execute("SET lock_timeout = '700ms'").unwrap();
    let outcome = refused(&mut owner, "SELECT eventlog.migrate_log()");
    assert_eq!(outcome.code().code(), "55P03", "{outcome:?}");
    assert!(outcome.hint().is_some_and(|hint| hint.contains("SET lock_timeout")), "{outcome:?}");
    assert_eq!(rows(&mut owner, "SHOW lock_timeout"), [["700ms"]]);
    assert_eq!(text(&mut owner, "SELECT layout_version FROM eventlog.log_config"), "1");
    busy.wait();
    holder.batch_execute("COMMIT").unwrap();
    owner.batch_execute("SET lock_timeout = '60s'").unwrap();
    assert_eq!(text(&mut owner, "SELECT eventlog.migrate_log()"), "2");
    busy.end();
    assert_eq!(rows(&mut owner, "SHOW lock_timeout"), [["1min"]]);
}

/// Tables on which the session holds a lock that stops writers or readers.
fn strongly_locked(client: &mut Client) -> Vec<Vec<String>> {
    let sql = "SELECT DISTINCT l.relation::regclass
                 FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
                WHERE l.pid = pg_backend_pid() AND c.relkind IN ('r', 'p')
                  AND c.relnamespace = 'eventlog'::regnamespace
                  AND l.mode IN ('AccessExclusiveLock', 'ExclusiveLock', 'ShareRowExclusiveLock')
                  AND c.oid IN (SELECT oid FROM was)
                ORDER BY 1";
    rows(client, sql)
}

#[test]
fn a_migration_takes_all_its_strong_locks_before_it_changes_anything() {
    let db = old_log();
    let mut owner = db.connect("log_owner");
    owner
        .batch_execute(
            "CREATE TEMP TABLE was AS
             SELECT oid FROM pg_class WHERE relnamespace = 'eventlog'::regnamespace;
             BEGIN; SELECT eventlog_private.lock_for_migration()",
        )
        .unwrap();
    let first = strongly_locked(&mut owner);
    assert_eq!(text(&mut owner, "SELECT eventlog.migrate_log()"), "2");
    assert_eq!(strongly_locked(&mut owner), first, "a later lock could end in a deadlock");
}

#[test]
fn of_two_who_migrate_at_once_both_succeed_and_a_rollback_leaves_the_older_layout() {
    let db = old_log();
    let mut first = db.connect("log_owner");
    first.batch_execute("BEGIN; SELECT eventlog.migrate_log(); ROLLBACK").unwrap();
    assert_eq!(text(&mut first, "SELECT layout_version FROM eventlog.log_config"), "1");
    assert_eq!(
        text(&mut member(&db.name), &format!("SELECT eventlog.log_event(NULL, {GOOD}) > 0")),
        "t"
    );

    let threads: Vec<_> = (0..4)
        .map(|_| {
            let mut owner = db.connect("log_owner");
            thread::spawn(move || {
                owner.batch_execute("SET lock_timeout = '60s'").unwrap();
                text(&mut owner, "SELECT eventlog.migrate_log()")
            })
        })
        .collect();
    for thread in threads {
        assert_eq!(thread.join().expect("no error"), "2");
    }
    assert_eq!(text(&mut first, "SELECT layout_version FROM eventlog.log_config"), "2");
}

#[test]
fn a_migration_inside_a_transaction_leaves_role_and_settings_as_they_were() {
    let db = old_log();
    let mut superuser = db.superuser();
    superuser.batch_execute("BEGIN; SET ROLE log_owner; SELECT eventlog.migrate_log()").unwrap();
    let state = "SELECT current_user, current_setting('role'), current_setting('lock_timeout'), current_setting('search_path')";
    assert_eq!(rows(&mut superuser, state), [["log_owner", "log_owner", "0", "\"$user\", public"]]);
    superuser.batch_execute("ROLLBACK; BEGIN; SELECT eventlog.migrate_log()").unwrap();
    assert_eq!(rows(&mut superuser, state), [["postgres", "none", "0", "\"$user\", public"]]);
    superuser.batch_execute("COMMIT").unwrap();
    assert_eq!(rows(&mut superuser, state), [["postgres", "none", "0", "\"$user\", public"]]);
}
