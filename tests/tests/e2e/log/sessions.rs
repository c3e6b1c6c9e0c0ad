//! Transactions, sessions and servers of every kind.

use std::thread;
use std::time::Duration;

use eventlog_tests::{Db, TENANT_A, assert_refused, db, rows, text};

const PING: &str = "SELECT eventlog.log_event(NULL, 'ping')";

fn open() -> Db {
    let db = Db::new();
    db.superuser().batch_execute("SELECT eventlog.define_event('ping')").unwrap();
    db
}

fn count(client: &mut postgres::Client) -> String {
    text(client, "SELECT count(*) FROM eventlog.events")
}

#[test]
fn an_event_lives_and_dies_with_its_savepoint_and_its_transaction() {
    let db = open();
    let mut member = db.connect_as("member", TENANT_A);
    member
        .batch_execute(&format!("BEGIN; {PING}; SAVEPOINT a; {PING}; ROLLBACK TO a; {PING}; SAVEPOINT b; {PING}; RELEASE b; COMMIT"))
        .unwrap();
    assert_eq!(count(&mut member), "3");
    member.batch_execute(&format!("BEGIN; {PING}; ROLLBACK")).unwrap();
    assert_eq!(count(&mut member), "3");
}

#[test]
fn prepare_transaction_keeps_the_event_through_a_crash() {
    let cluster = eventlog_tests::Cluster::start(&[]);
    db::create_roles(&cluster);
    db::create_log(&cluster, "app");
    cluster.psql("app", "postgres", "SELECT eventlog.define_event('ping')").unwrap();
    let mut member = cluster.connect("app", "member");
    member.batch_execute(&format!("SET eventlog.tenant_id = '{TENANT_A}'")).unwrap();
    member.batch_execute(&format!("BEGIN; {PING}; SELECT eventlog.try_log_event(NULL, 'bogus'); PREPARE TRANSACTION 'kept'")).unwrap();
    // The next transaction of the same backend owes nothing to it.
    member.batch_execute(&format!("BEGIN; {PING}; COMMIT")).unwrap();
    drop(member);
    cluster.crash();
    let mut superuser = cluster.connect("app", "postgres");
    assert_eq!(count(&mut superuser), "1");
    superuser.batch_execute("COMMIT PREPARED 'kept'").unwrap();
    assert_eq!(count(&mut superuser), "2");
    assert_eq!(text(&mut superuser, "SELECT count(*) FROM eventlog.rejected_events"), "1");
    cluster.restart();
    let mut member = cluster.connect("app", "member");
    member.batch_execute(&format!("SET eventlog.tenant_id = '{TENANT_A}'; {PING}")).unwrap();
    assert_eq!(count(&mut member), "3");
}

#[test]
fn a_trigger_of_another_table_logs_in_the_same_transaction() {
    let db = open();
    let mut superuser = db.superuser();
    superuser
        .batch_execute(
            "CREATE TABLE public.orders (id int);
             GRANT ALL ON public.orders TO member;
             CREATE FUNCTION public.log_order() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN
                    PERFORM eventlog.log_event(NULL, 'ping', jsonb_build_object('order', NEW.id));
                    RETURN NEW;
                END $$;
             CREATE TRIGGER log_order AFTER INSERT ON public.orders FOR EACH ROW EXECUTE FUNCTION public.log_order()",
        )
        .unwrap();
    let mut member = db.connect_as("member", TENANT_A);
    member.batch_execute("INSERT INTO public.orders SELECT generate_series(1, 50)").unwrap();
    assert_eq!(count(&mut member), "50");
    member.batch_execute("BEGIN; INSERT INTO public.orders VALUES (51); ROLLBACK").unwrap();
    assert_eq!(count(&mut member), "50");
    member.batch_execute("RESET eventlog.tenant_id").unwrap();
    assert_refused(&mut member, "INSERT INTO public.orders VALUES (52)", "42501", "no tenant");
    assert_eq!(text(&mut member, "SELECT count(*) FROM public.orders"), "50");
}

#[test]
fn discard_all_and_an_empty_search_path_leave_a_working_session() {
    let db = open();
    let mut member = db.connect_as("member", TENANT_A);
    for _ in 0..5 {
        text(&mut member, PING);
        text(&mut member, "SELECT eventlog.try_log_event(NULL, 'bogus')");
        member.batch_execute("DISCARD ALL").unwrap();
        assert_refused(&mut member, PING, "42501", "no tenant");
        member
            .batch_execute(&format!("SET search_path = ''; SET eventlog.tenant_id = '{TENANT_A}'"))
            .unwrap();
    }
    assert_eq!(count(&mut member), "5");
}

#[test]
fn a_sign_up_makes_the_tenant_and_logs_its_first_event_in_one_transaction() {
    let db = open();
    let mut superuser = db.superuser();
    superuser
        .batch_execute(
            "CREATE TABLE public.tenants (id uuid PRIMARY KEY); GRANT ALL ON public.tenants TO service;
             SELECT eventlog.reference_tenants('public.tenants', 'foreign_key')",
        )
        .unwrap();
    let mut service = db.connect("service");
    let log = format!("SELECT eventlog.log_event('{TENANT_A}', 'ping')");
    assert_refused(&mut service, &log, "23503", "foreign key");
    service
        .batch_execute(&format!(
            "BEGIN; INSERT INTO public.tenants VALUES ('{TENANT_A}'); {log}; COMMIT"
        ))
        .unwrap();
    assert_eq!(count(&mut service), "1");
    // A fault of the event for try_log_event, which goes on.
    text(&mut service, "SELECT eventlog.try_log_event(gen_random_uuid(), 'ping')");
    assert_eq!(text(&mut service, "SELECT sqlstate FROM eventlog.rejected_events"), "23503");
    service.batch_execute("DELETE FROM public.tenants").unwrap();
    assert_eq!(count(&mut service), "0", "the tenant's events went with it");

    superuser
        .batch_execute("SELECT eventlog.reference_tenants('public.tenants', 'trigger')")
        .unwrap();
    text(&mut service, &log);
    service.batch_execute(&format!("INSERT INTO public.tenants VALUES ('{TENANT_A}')")).unwrap();
    text(&mut service, &format!("SELECT eventlog.try_log_event('{TENANT_A}', 'bogus')"));
    assert_eq!(text(&mut service, "SELECT count(*) FROM eventlog.rejected_events"), "2");
    service.batch_execute("DELETE FROM public.tenants").unwrap();
    assert_eq!(count(&mut service), "0");
    assert_eq!(
        text(&mut service, "SELECT count(*) FROM eventlog.rejected_events"),
        "1",
        "the quarantine too"
    );
    assert_refused(
        &mut superuser,
        "SELECT eventlog.reference_tenants('public.tenants', tenant_key => 'nope')",
        "42703",
        "nope",
    );
    assert_refused(
        &mut superuser,
        "SELECT eventlog.reference_tenants('public.tenants', 'magic')",
        "22023",
        "magic",
    );
}

#[test]
fn a_read_only_transaction_reads_and_says_why_it_does_not_write() {
    let db = open();
    let mut member = db.connect_as("member", TENANT_A);
    text(&mut member, PING);
    let mut member = db.connect_as("member", TENANT_A);
    member.batch_execute("SET default_transaction_read_only = on").unwrap();
    assert_eq!(count(&mut member), "1");
    assert_eq!(text(&mut member, "SELECT is_valid FROM eventlog.validate_event('ping')"), "t");
    for verb in ["log_event", "try_log_event"] {
        for name in ["ping", "bogus"] {
            assert_refused(
                &mut member,
                &format!("SELECT eventlog.{verb}(NULL, '{name}')"),
                "25006",
                "read-only transaction",
            );
        }
    }
    assert_eq!(text(&mut member, "SELECT pg_current_xact_id_if_assigned()"), "∅");
}

#[test]
fn a_hot_standby_reads_and_says_why_it_does_not_write() {
    let cluster = eventlog_tests::Cluster::start(&[]);
    db::create_roles(&cluster);
    db::create_log(&cluster, "app");
    let mut primary = cluster.connect("app", "member");
    primary.batch_execute(&format!("SET eventlog.tenant_id = '{TENANT_A}'")).unwrap();
    let good = r#"'conversation_started', '{"sessionId": 1, "conversationId": 2}'"#;
    text(&mut primary, &format!("SELECT eventlog.log_event(NULL, {good})"));
    let standby = cluster.standby();
    let mut member = standby.connect("app", "member");
    member.batch_execute(&format!("SET eventlog.tenant_id = '{TENANT_A}'")).unwrap();
    assert_eq!(count(&mut member), "1");
    assert_eq!(
        text(&mut member, &format!("SELECT is_valid FROM eventlog.validate_event({good})")),
        "t"
    );
    for verb in ["log_event", "try_log_event"] {
        assert_refused(&mut member, &format!("SELECT eventlog.{verb}(NULL, {good})"), "25006", "");
    }
    // What changes on the primary is noticed there.
    cluster.psql("app", "postgres", "SELECT eventlog.define_event('brand_new')").unwrap();
    let mut known = "f".to_owned();
    for _ in 0..200 {
        known = text(&mut member, "SELECT is_valid FROM eventlog.validate_event('brand_new')");
        if known == "t" {
            break;
        }
        thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(known, "t");
}

#[test]
fn try_log_event_lets_cancel_timeout_and_deadlock_through() {
    let db = open();
    let mut superuser = db.superuser();
    superuser
        .batch_execute(
            "CREATE TABLE public.locks (id int PRIMARY KEY); INSERT INTO public.locks VALUES (1), (2);
             GRANT ALL ON public.locks TO member;
             CREATE FUNCTION public.act() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN
                    IF NEW.actor = 'sleep' THEN PERFORM pg_sleep(30);
                    ELSIF NEW.actor = 'serialize' THEN RAISE EXCEPTION 'retry' USING ERRCODE = '40001';
                    ELSIF NEW.actor = 'full' THEN RAISE EXCEPTION 'full' USING ERRCODE = '53100';
                    ELSIF NEW.actor LIKE 'lock %' THEN PERFORM FROM public.locks WHERE id = substr(NEW.actor, 6)::int FOR UPDATE;
                    END IF;
                    RETURN NEW;
                END $$;
             CREATE TRIGGER act BEFORE INSERT ON eventlog.events FOR EACH ROW EXECUTE FUNCTION public.act()",
        )
        .unwrap();
    let call = |actor: &str| {
        format!("SELECT eventlog.try_log_event(NULL, 'ping', '{{}}', actor => '{actor}')")
    };
    let mut member = db.connect_as("member", TENANT_A);
    member.batch_execute("SET statement_timeout = 200").unwrap();
    assert_refused(&mut member, &call("sleep"), "57014", "statement timeout");
    member.batch_execute("SET statement_timeout = 0").unwrap();
    assert_refused(&mut member, &call("serialize"), "40001", "retry");
    assert_refused(&mut member, &call("full"), "53100", "full");

    let cancel = member.cancel_token();
    let canceller = thread::spawn(move || {
        thread::sleep(Duration::from_millis(300));
        cancel.cancel_query(postgres::NoTls).expect("cancelled");
    });
    assert_refused(&mut member, &call("sleep"), "57014", "user request");
    canceller.join().unwrap();

    let mut other = db.connect_as("member", TENANT_A);
    member.batch_execute(&format!("BEGIN; {}", call("lock 1"))).unwrap();
    other.batch_execute(&format!("BEGIN; {}", call("lock 2"))).unwrap();
    let (first, second) = (call("lock 2"), call("lock 1"));
    let waiting = thread::spawn(move || {
        let outcome = other.simple_query(&second).map(|_| ()).map_err(|e| e.code().cloned());
        (other, outcome)
    });
    let outcome = member.simple_query(&first).map(|_| ()).map_err(|e| e.code().cloned());
    member.batch_execute("COMMIT").unwrap();
    let (mut other, other_outcome) = waiting.join().unwrap();
    other.batch_execute("COMMIT").unwrap();
    let deadlocks = [outcome, other_outcome]
        .into_iter()
        .filter_map(Result::err)
        .flatten()
        .map(|c| c.code().to_owned());
    assert_eq!(deadlocks.collect::<Vec<_>>(), ["40P01"]);
    assert_eq!(text(&mut superuser, "SELECT count(*) FROM eventlog.rejected_events"), "0");
}

#[test]
fn ten_thousand_tries_in_one_transaction_go_in_beside_readers() {
    let db = open();
    let mut member = db.connect_as("member", TENANT_A);
    let name = db.name.clone();
    let reader = thread::spawn(move || {
        let mut reader = db::shared().connect(&name, "member");
        reader.batch_execute(&format!("SET eventlog.tenant_id = '{TENANT_A}'")).unwrap();
        let counts: Vec<String> = (0..200).map(|_| count(&mut reader)).collect();
        assert!(counts.iter().all(|n| n == "0" || n == "10000"), "{counts:?}");
    });
    member.batch_execute("BEGIN").unwrap();
    let logged = text(
        &mut member,
        "SELECT count(eventlog.try_log_event(NULL, 'ping', '{}'::jsonb)) FROM generate_series(1, 10000)",
    );
    assert_eq!(logged, "10000");
    member.batch_execute("COMMIT").unwrap();
    reader.join().unwrap();
    assert_eq!(count(&mut member), "10000");
}

#[test]
fn replica_mode_keeps_the_guard_and_a_logical_subscriber_gets_every_row() {
    let publisher = eventlog_tests::Cluster::start(&[]);
    let subscriber = eventlog_tests::Cluster::start(&[]);
    for cluster in [&publisher, &subscriber] {
        db::create_roles(cluster);
        db::create_log(cluster, "app");
        cluster.psql("app", "postgres", "SELECT eventlog.define_event('ping')").unwrap();
    }
    let mut superuser = publisher.connect("app", "postgres");
    superuser.batch_execute("SET session_replication_role = replica; SET ROLE member").unwrap();
    superuser.batch_execute(&format!("SET eventlog.tenant_id = '{TENANT_A}'; {PING}")).unwrap();
    let bogus =
        format!("INSERT INTO eventlog.events (tenant_id, name) VALUES ('{TENANT_A}', 'bogus')");
    assert_refused(&mut superuser, &bogus, "42704", "bogus");
    superuser.batch_execute("RESET ROLE; RESET session_replication_role").unwrap();

    superuser.batch_execute("CREATE PUBLICATION log FOR TABLE eventlog.events WITH (publish_via_partition_root = true)").unwrap();
    let mut replica = subscriber.connect("app", "postgres");
    replica
        .batch_execute(&format!(
            "CREATE SUBSCRIPTION log CONNECTION 'host={} port=5432 user=postgres dbname=app' PUBLICATION log",
            publisher.folder().display()
        ))
        .unwrap();
    superuser.batch_execute(&format!("SELECT eventlog.log_event('{TENANT_A}', 'ping', jsonb_build_object('n', g)) FROM generate_series(1, 100) g")).unwrap();
    let all = "SELECT * FROM eventlog.events ORDER BY id";
    for _ in 0..400 {
        if count(&mut replica) == "101" {
            break;
        }
        thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(rows(&mut replica, all), rows(&mut superuser, all));
    // Policies bind readers there as well.
    let mut member = subscriber.connect("app", "member");
    assert_refused(&mut member, "SELECT * FROM eventlog.events", "42501", "no tenant");
    member.batch_execute(&format!("SET eventlog.tenant_id = '{TENANT_A}'")).unwrap();
    assert_eq!(count(&mut member), "101");
    replica.batch_execute("DROP SUBSCRIPTION log").unwrap();
}
