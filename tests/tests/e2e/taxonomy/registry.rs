//! A change of the enum counts everywhere from its commit on, and nowhere before.

use eventlog_tests::{Db, TENANT_A, assert_refused, text};
use postgres::Client;

const LEVELS: [&str; 3] = ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"];

fn call(name: &str) -> String {
    format!("SELECT eventlog.log_event('{TENANT_A}', '{name}', '{{\"a\": 1}}')")
}

fn known(client: &mut Client, name: &str) -> bool {
    text(client, &format!("SELECT is_valid FROM eventlog.validate_event('{name}', '{{\"a\": 1}}')"))
        == "t"
}

#[test]
fn a_new_name_counts_in_open_transactions_of_every_level_from_the_commit_on() {
    let db = Db::new();
    let mut owner = db.connect("log_owner");
    for (i, level) in LEVELS.iter().enumerate() {
        let name = format!("fresh_{i}");
        let mut open = db.connect_as("member", TENANT_A);
        let mut idle = db.connect_as("member", TENANT_A);
        assert!(!known(&mut idle, &name));
        open.batch_execute(&format!(
            "BEGIN ISOLATION LEVEL {level}; SELECT count(*) FROM eventlog.events"
        ))
        .unwrap();
        assert!(!known(&mut open, &name));

        owner.batch_execute(&format!("BEGIN; SELECT eventlog.define_event('{name}')")).unwrap();
        assert!(known(&mut owner, &name), "at once in the transaction that defines it");
        assert!(!known(&mut open, &name), "not before the commit");
        assert!(!known(&mut idle, &name), "not before the commit");
        owner.batch_execute("COMMIT").unwrap();
        assert!(known(&mut open, &name), "{level}");
        text(&mut open, &call(&name));
        assert!(known(&mut idle, &name));

        owner
            .batch_execute(&format!(
                "SELECT eventlog.define_event('{name}', required_keys => '{{b}}')"
            ))
            .unwrap();
        assert!(!known(&mut open, &name), "a changed rule counts, {level}");
        owner
            .batch_execute(&format!(
                "SELECT eventlog.define_event('{name}', required_keys => '{{a}}')"
            ))
            .unwrap();
        assert!(known(&mut open, &name));
        owner.batch_execute(&format!("SELECT eventlog.retire_event('{name}')")).unwrap();
        assert!(!known(&mut open, &name), "a retired name is refused, {level}");
        open.batch_execute("COMMIT").unwrap();
        // The backend that reloaded inside the old snapshot is not left behind.
        assert!(!known(&mut open, &name));
        assert_refused(&mut open, &call(&name), "42704", "retired");
        owner
            .batch_execute(&format!("SELECT eventlog.define_event('{name}', status => 'active')"))
            .unwrap();
        text(&mut open, &call(&name));
        assert!(known(&mut idle, &name));
    }
}

#[test]
fn a_name_that_was_rolled_back_was_never_there() {
    let db = Db::new();
    let mut owner = db.connect("log_owner");
    let mut other = db.connect_as("member", TENANT_A);
    owner.batch_execute("BEGIN; SELECT eventlog.define_event('ghost')").unwrap();
    assert!(known(&mut owner, "ghost"));
    owner.batch_execute("ROLLBACK").unwrap();
    assert!(!known(&mut owner, "ghost"));
    assert!(!known(&mut other, "ghost"));
    owner.batch_execute("BEGIN; SAVEPOINT s; SELECT eventlog.define_event('ghost')").unwrap();
    assert!(known(&mut owner, "ghost"));
    owner.batch_execute("ROLLBACK TO s").unwrap();
    assert!(!known(&mut owner, "ghost"));
    owner.batch_execute("COMMIT").unwrap();
    assert!(!known(&mut owner, "ghost"));
    // Nor by an error in the statement that defines it.
    owner
        .batch_execute("SELECT eventlog.define_event('ghost'), 1/0")
        .expect_err("division by zero");
    assert!(!known(&mut owner, "ghost"));
}

#[test]
fn direct_changes_of_the_table_count_too() {
    let db = Db::new();
    let mut owner = db.connect("log_owner");
    let mut other = db.connect_as("member", TENANT_A);
    assert!(!known(&mut other, "direct"));
    owner.batch_execute("INSERT INTO eventlog.event_types (name) VALUES ('direct')").unwrap();
    assert!(known(&mut other, "direct"));
    owner
        .batch_execute("UPDATE eventlog.event_types SET name = 'renamed' WHERE name = 'direct'")
        .unwrap();
    assert!(!known(&mut other, "direct"));
    assert!(known(&mut other, "renamed"));
    owner.batch_execute("BEGIN; TRUNCATE eventlog.event_types").unwrap();
    assert!(!known(&mut owner, "renamed"));
    owner.batch_execute("ROLLBACK").unwrap();
    assert!(known(&mut owner, "renamed"));
    let mut superuser = db.superuser();
    superuser
        .batch_execute("SET session_replication_role = replica; DELETE FROM eventlog.event_types")
        .unwrap();
    assert!(!known(&mut other, "renamed"), "the trigger fires always");
}

#[test]
fn the_names_a_prepared_statement_knew_are_those_of_now() {
    let db = Db::new();
    let mut owner = db.connect("log_owner");
    let mut member = db.connect_as("member", TENANT_A);
    member
        .batch_execute(&format!("PREPARE log(text) AS SELECT eventlog.log_event('{TENANT_A}', $1)"))
        .unwrap();
    assert_refused(&mut member, "EXECUTE log('late')", "42704", "late");
    owner.batch_execute("SELECT eventlog.define_event('late')").unwrap();
    text(&mut member, "EXECUTE log('late')");
    owner.batch_execute("DELETE FROM eventlog.event_types WHERE name = 'late'").unwrap();
    assert_refused(&mut member, "EXECUTE log('late')", "42704", "late");
}

#[test]
fn dropping_and_making_the_log_again_is_noticed() {
    let db = Db::new();
    let mut superuser = db.superuser();
    superuser.batch_execute("SELECT eventlog.define_event('ping')").unwrap();
    text(&mut superuser, &call("ping"));
    superuser
        .batch_execute("DROP TABLE eventlog.events, eventlog.event_types, eventlog.rejected_events, eventlog.tenant_roles, eventlog.log_config CASCADE")
        .unwrap();
    assert_refused(&mut superuser, &call("ping"), "55000", "no log");
    superuser.batch_execute("SELECT eventlog.create_log(owner => 'log_owner')").unwrap();
    assert_refused(&mut superuser, &call("ping"), "42704", "ping");
    superuser.batch_execute("SELECT eventlog.define_event('ping')").unwrap();
    text(&mut superuser, &call("ping"));
}
