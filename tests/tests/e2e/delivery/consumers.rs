//! Who may use consumers, and what wrong uses get.

use eventlog_tests::{Db, TENANT_A, TENANT_B, assert_refused, rows, text};
use postgres::Client;

fn log() -> (Db, Client, Client) {
    let db = Db::new();
    let mut owner = db.connect("log_owner");
    owner
        .batch_execute("SELECT eventlog.grant_reader('reader'), eventlog.define_event('ping')")
        .expect("a reader");
    let mut reader = db.connect("reader");
    reader.batch_execute(&format!("SET eventlog.tenant_id = '{TENANT_A}'")).expect("a tenant");
    (db, owner, reader)
}

fn read(client: &mut Client, consumer: &str) -> Vec<String> {
    rows(client, &format!("SELECT name || coalesce(' ' || actor, '') FROM eventlog.read_events_after('{consumer}')")).concat()
}

fn fill(owner: &mut Client, tenant: &str, names: &str) {
    owner
        .batch_execute(&format!(
            "INSERT INTO eventlog.events (tenant_id, name) SELECT '{tenant}', unnest('{names}'::text[])"
        ))
        .expect("events");
}

#[test]
fn a_consumer_reads_what_comes_after_what_it_acknowledged_and_nothing_of_another_tenant() {
    let (_db, mut owner, mut reader) = log();
    fill(&mut owner, TENANT_A, "{ping,tool_used}");
    fill(&mut owner, TENANT_B, "{ping}");
    assert_eq!(read(&mut reader, "own"), ["ping", "tool_used"]);
    assert_eq!(
        read(&mut reader, "own"),
        ["ping", "tool_used"],
        "the same until it is acknowledged"
    );
    let first = text(&mut reader, "SELECT min(id) FROM eventlog.read_events_after('own')");
    reader
        .batch_execute(&format!("SELECT eventlog.acknowledge('own', {first})"))
        .expect("it was read");
    assert_eq!(read(&mut reader, "own"), ["tool_used"]);
    // Back is no way.
    reader.batch_execute("SELECT eventlog.acknowledge('own', 0)").expect("it was read");
    assert_eq!(read(&mut reader, "own"), ["tool_used"]);
    reader
        .batch_execute("SELECT eventlog.create_consumer('tools', names => '{tool_used}'), eventlog.create_consumer('new', start => 'now')")
        .expect("consumers");
    assert_eq!(read(&mut reader, "tools"), ["tool_used"]);
    assert_eq!(read(&mut reader, "new"), Vec::<String>::new());
    assert_eq!(
        rows(
            &mut reader,
            "SELECT consumer, ids_behind > 0, held_by IS NULL FROM eventlog.stat_consumers ORDER BY 1"
        ),
        [["new", "f", "t"], ["own", "t", "t"], ["tools", "t", "t"]]
    );
    reader.batch_execute("SELECT eventlog.drop_consumer('own')").expect("it is there");
    assert_eq!(read(&mut reader, "own"), ["ping", "tool_used"], "from the beginning");
}

#[test]
fn consumers_of_another_tenant_are_invisible_and_untouchable() {
    let (db, mut owner, mut reader) = log();
    owner
        .batch_execute(&format!(
            "SELECT eventlog.create_consumer('theirs', '{TENANT_B}'), eventlog.create_consumer('everybodys', eventlog.all_tenants())"
        ))
        .expect("consumers");
    assert_eq!(text(&mut reader, "SELECT count(*) FROM eventlog.stat_consumers"), "0");
    for call in [
        "create_consumer('mine', 'TENANT')",
        "read_events_after('theirs', tenant_id => 'TENANT')",
        "acknowledge('theirs', 0, 'TENANT')",
        "drop_consumer('theirs', 'TENANT')",
        "_begin_reading('TENANT', 'theirs')",
        "_add_consumer('TENANT', 'mine', NULL, 'now')",
        "_note_acknowledged('TENANT', 'theirs', 0)",
        "_skip_ids('TENANT', 'theirs', 0)",
        "_remove_consumer('TENANT', 'theirs')",
    ] {
        for tenant in [TENANT_B, "ffffffff-ffff-ffff-ffff-ffffffffffff"] {
            let sql = format!("SELECT eventlog.{}", call.replace("TENANT", tenant));
            assert_refused(&mut reader, &sql, "42501", "");
        }
    }
    // One who may only write reads nothing and has no consumers.
    let mut writer = db.connect("writer");
    writer.batch_execute(&format!("SET eventlog.tenant_id = '{TENANT_A}'")).expect("a tenant");
    assert_refused(
        &mut writer,
        "SELECT eventlog.create_consumer('mine')",
        "42501",
        "permission denied",
    );
    assert_refused(
        &mut writer,
        "SELECT * FROM eventlog.read_events_after('mine')",
        "42501",
        "permission denied",
    );
    assert_eq!(text(&mut owner, "SELECT count(*) FROM eventlog.consumers"), "2");
    owner.batch_execute(&format!("CALL eventlog.forget_tenant('{TENANT_B}')")).expect("an erasure");
    assert_eq!(
        text(&mut owner, "SELECT string_agg(consumer, ',') FROM eventlog.consumers"),
        "everybodys"
    );
}

#[test]
fn wrong_uses_say_what_is_right() {
    let (_db, mut owner, mut reader) = log();
    for (call, sqlstate, message) in [
        ("create_consumer(NULL)", "22004", "consumer must not be null"),
        ("create_consumer('')", "22023", "1 to 100 characters, got 0"),
        ("create_consumer('c', names => '{}')", "22023", "at least one name"),
        ("create_consumer('c', names => '{pong}')", "42704", "unknown event name \"pong\""),
        ("create_consumer('c', start => 'yesterday')", "22023", "beginning, now or the id"),
        ("acknowledge('c', 0)", "42704", "unknown consumer \"c\""),
        ("acknowledge('c', NULL)", "22004", "id must not be null"),
        ("acknowledge('c', 99999999)", "22023", "cannot have been read yet"),
        ("drop_consumer('c')", "42704", "unknown consumer \"c\""),
        ("read_events_after('c', 0)", "22023", "row_limit"),
    ] {
        assert_refused(&mut reader, &format!("SELECT eventlog.{call}"), sqlstate, message);
    }
    let many = "SELECT eventlog.create_consumer('c' || g) FROM generate_series(1, 101) g";
    assert_refused(&mut reader, many, "54000", "a tenant can have 100 consumers");
    reader.batch_execute("SELECT eventlog.create_consumer('c')").expect("the first");
    assert_refused(
        &mut reader,
        "SELECT eventlog.create_consumer('c')",
        "42710",
        "consumer \"c\" exists",
    );
    owner.batch_execute("ALTER SEQUENCE eventlog.events_id_seq CACHE 10").expect("a cache");
    assert_refused(
        &mut reader,
        "SELECT eventlog.read_events_after('c')",
        "55000",
        "drawn one by one",
    );
}

#[test]
fn a_writer_holds_ids_back_and_is_named_and_one_that_has_drawn_none_does_not() {
    let (db, mut owner, mut reader) = log();
    let mut idle = db.connect("member");
    idle.batch_execute("BEGIN; PREPARE p AS INSERT INTO eventlog.events (name) VALUES ('ping')")
        .expect("a lock");
    fill(&mut owner, TENANT_A, "{ping}");
    assert_eq!(read(&mut reader, "own"), ["ping"]);
    let mut late = db.connect("log_owner");
    late.batch_execute("BEGIN").expect("a transaction");
    fill(&mut late, TENANT_A, "{tool_used}");
    fill(&mut owner, TENANT_A, "{ping}");
    owner.batch_execute("SELECT pg_sleep(0.6)").expect("a look is due");
    assert_eq!(read(&mut reader, "own"), ["ping"]);
    owner.batch_execute("SELECT pg_sleep(1.1)").expect("a look is due");
    assert_eq!(read(&mut reader, "own"), ["ping"]);
    let held = text(&mut owner, "SELECT held_by FROM eventlog.stat_consumers");
    assert!(held.contains("log_owner") && !held.contains("member"), "{held}");
    late.batch_execute("COMMIT").expect("an end");
    owner.batch_execute("SELECT pg_sleep(0.6)").expect("a look is due");
    assert_eq!(read(&mut reader, "own"), ["ping", "tool_used", "ping"]);
}

#[test]
fn consumers_read_on_in_every_isolation_that_a_session_prefers() {
    for isolation in ["repeatable read", "serializable"] {
        let (_db, mut owner, mut reader) = log();
        let prefers = format!("SET default_transaction_isolation = '{isolation}'");
        reader.batch_execute(&prefers).expect("a setting");
        for events in 1..4 {
            fill(&mut owner, TENANT_A, "{ping}");
            owner.batch_execute("SELECT pg_sleep(0.6)").expect("a look is due");
            // The look of this transaction is for the next.
            read(&mut reader, "own");
            assert_eq!(read(&mut reader, "own").len(), events, "{isolation}");
        }
        let looks = text(&mut owner, "SELECT count(*) <= 2 FROM eventlog.delivery_looks");
        assert_eq!(looks, "t", "{isolation}");
    }
}

#[test]
fn a_transaction_with_one_snapshot_reads_no_further_than_its_snapshot() {
    let (db, mut owner, mut reader) = log();
    let mut writer = db.connect("log_owner");
    fill(&mut owner, TENANT_A, "{ping}");
    owner.batch_execute("SELECT pg_sleep(0.6)").expect("a look is due");
    assert_eq!(read(&mut reader, "own").len(), 1);
    writer.batch_execute("BEGIN").expect("a transaction");
    fill(&mut writer, TENANT_A, "{ping}");
    fill(&mut owner, TENANT_A, "{tool_used}");
    reader
        .batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM eventlog.events")
        .expect("a snapshot");
    writer.batch_execute("COMMIT; SELECT pg_sleep(0.6)").expect("it ends after the snapshot");
    // By its own look all three are certain; its snapshot shows two.
    for _ in 0..2 {
        assert_eq!(read(&mut reader, "own"), ["ping"]);
    }
    let first = "SELECT eventlog.acknowledge('own', min(id)) FROM eventlog.events";
    reader.batch_execute(&format!("{first}; COMMIT")).expect("the end");
    assert_eq!(read(&mut reader, "own"), ["ping", "tool_used"]);
}

#[test]
fn a_reader_in_a_long_transaction_holds_up_nobody() {
    let (db, mut owner, mut reader) = log();
    let mut other = db.connect("reader");
    other
        .batch_execute(&format!("SET eventlog.tenant_id = '{TENANT_A}'; BEGIN"))
        .expect("a transaction");
    fill(&mut owner, TENANT_A, "{ping}");
    assert_eq!(read(&mut other, "other"), ["ping"]);
    for more in 2..5 {
        fill(&mut owner, TENANT_A, "{ping}");
        owner.batch_execute("SELECT pg_sleep(0.6)").expect("a look is due");
        assert_eq!(read(&mut reader, "own").len(), more);
    }
    other.batch_execute("ROLLBACK").expect("an end");
}
