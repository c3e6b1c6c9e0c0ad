//! Whose a producer is: the role's that sent its batches, whatever name it has, and nobody's else; in
//! a dump that is restored on another server, the role's of that name which was there for the dump.

use eventlog_tests::cluster::run;
use eventlog_tests::{Cluster, Db, TENANT_A, db, rows, text};
use postgres::Client;

use super::restore::target;

const PRODUCER: &str = "cccccccc-cccc-4ccc-8ccc-cccccccccccc";

/// Sends a batch; whether it was a repeat.
fn is_repeat(client: &mut Client, number: i64) -> bool {
    let batch = format!(
        "SET eventlog.tenant_id = '{TENANT_A}';
         SELECT is_repeat FROM eventlog.log_events(NULL, '{{tool_used}}', '{{\"{{\\\"toolName\\\": 1}}\"}}'::text[],
             producer => '{PRODUCER}', batch_number => {number})"
    );
    text(client, &batch) == "t"
}

/// The same in a new connection.
fn repeats(db: &Db, role: &str, number: i64) -> bool {
    is_repeat(&mut db.connect(role), number)
}

#[test]
fn a_role_that_is_made_again_under_its_name_has_none_of_the_former_ones_producers() {
    let db = Db::new();
    let mut superuser = db.superuser();
    superuser
        .batch_execute("CREATE ROLE again LOGIN; SELECT eventlog.grant_writer('again')")
        .unwrap();
    assert!(!repeats(&db, "again", 5));
    assert!(repeats(&db, "again", 5));
    let again = "DROP OWNED BY again; DROP ROLE again; CREATE ROLE again LOGIN;
                 SELECT eventlog.grant_writer('again')";
    superuser.batch_execute(again).unwrap();
    // Neither a repeat nor below the last number: it has no last one.
    for number in [1, 5] {
        assert!(!repeats(&db, "again", number), "{number}");
        assert!(repeats(&db, "again", number), "{number}");
    }
    assert_eq!(text(&mut superuser, "SELECT count(*) FROM eventlog.events"), "3");

    // Nor by membership alone, without a grant of its own.
    superuser
        .batch_execute(
            "DROP OWNED BY again; DROP ROLE again; CREATE ROLE again LOGIN; GRANT writer TO again",
        )
        .unwrap();
    assert!(!repeats(&db, "again", 5));
    assert!(repeats(&db, "again", 5));
    superuser
        .batch_execute("DROP ROLE again; CREATE ROLE again LOGIN; GRANT writer TO again")
        .unwrap();
    assert!(!repeats(&db, "again", 5));

    // What roles that are gone left behind goes by and by.
    let kept = "SELECT count(*) FROM eventlog.producers";
    superuser.batch_execute("CALL eventlog.maintain()").unwrap();
    assert_eq!(text(&mut superuser, kept), "1");
    superuser.batch_execute("DROP ROLE again").unwrap();
    superuser.batch_execute("CALL eventlog.maintain()").unwrap();
    assert_eq!(text(&mut superuser, kept), "0");
}

#[test]
fn a_role_that_is_renamed_keeps_its_producers_and_who_has_the_name_next_has_its_own() {
    let db = Db::new();
    let mut superuser = db.superuser();
    superuser
        .batch_execute("CREATE ROLE first LOGIN; SELECT eventlog.grant_writer('first')")
        .unwrap();
    assert!(!repeats(&db, "first", 3));
    superuser
        .batch_execute(
            "ALTER ROLE first RENAME TO second; CREATE ROLE first LOGIN; SELECT eventlog.grant_writer('first')",
        )
        .unwrap();
    assert!(!repeats(&db, "first", 2));
    assert!(repeats(&db, "second", 3));
    assert!(repeats(&db, "first", 2));
    // The names are swapped.
    superuser
        .batch_execute(
            "ALTER ROLE first RENAME TO third; ALTER ROLE second RENAME TO first; ALTER ROLE third RENAME TO second",
        )
        .unwrap();
    assert!(repeats(&db, "first", 3));
    assert!(repeats(&db, "second", 2));
    assert!(!repeats(&db, "first", 4));
    assert!(!repeats(&db, "second", 4));
    // A row says what its role is called by its last batch, for a dump.
    let kept = "SELECT p.role_name, p.batches FROM eventlog.producers p JOIN pg_roles r ON r.oid = p.role_oid AND r.rolname = p.role_name ORDER BY 1";
    assert_eq!(rows(&mut superuser, kept), [["first", "2"], ["second", "2"]]);
    superuser.batch_execute("DROP OWNED BY first, second; DROP ROLE first, second").unwrap();
}

/// As what a log of layout 1 has is by name, so is what it becomes: of the role with the name then.
#[test]
fn a_log_of_layout_1_counts_by_name_and_gives_each_role_its_producers_when_it_is_migrated() {
    let db = Db::empty();
    let mut superuser = db.superuser();
    superuser
        .batch_execute(
            "CREATE EXTENSION eventlog VERSION '0.1.0'; SELECT eventlog.create_log(owner => 'log_owner');
             SELECT eventlog.grant_writer('writer'), eventlog.grant_service('service'), eventlog.grant_writer('member');
             DROP ROLE IF EXISTS left1, left2; CREATE ROLE left1 LOGIN; CREATE ROLE left2 LOGIN; GRANT writer TO left1, left2",
        )
        .unwrap();
    let senders = ["writer", "service", "member", "postgres", "log_owner", "left1", "left2"];
    let mut open: Vec<Client> = senders.iter().map(|role| db.connect(role)).collect();
    for (client, number) in open.iter_mut().zip(10..) {
        assert!(!is_repeat(client, number));
        assert!(is_repeat(client, number));
    }
    superuser.batch_execute("ALTER EXTENSION eventlog UPDATE").unwrap();
    for (client, number) in open.iter_mut().zip(10..) {
        assert!(is_repeat(client, number));
    }
    // The rows of two roles that are gone, for one producer, are nobody's.
    open.truncate(5);
    superuser.batch_execute("DROP ROLE left1, left2; SELECT eventlog.migrate_log()").unwrap();
    for (client, number) in open.iter_mut().zip(10..) {
        assert!(is_repeat(client, number));
        assert!(!is_repeat(client, number + 1));
        assert!(is_repeat(client, number + 1));
    }
    assert_eq!(text(&mut superuser, "SELECT count(*) FROM eventlog.producers"), "5");
    superuser.batch_execute("CREATE ROLE left1 LOGIN; GRANT writer TO left1").unwrap();
    assert!(!repeats(&db, "left1", 15));
    superuser.batch_execute("DROP ROLE left1").unwrap();
}

/// A dump of another server, restored where the same roles are, and a role of a name that had another.
#[test]
fn on_another_server_a_batch_that_was_sent_is_known_from_a_role_that_was_granted_before_the_dump() {
    let source = Cluster::start(&[]);
    db::create_roles(&source);
    db::create_log(&source, "app");
    let granted =
        "CREATE ROLE gone LOGIN; CREATE ROLE of_a_group LOGIN; CREATE ROLE formerly LOGIN;
                   GRANT writer TO of_a_group";
    source.psql("app", "postgres", granted).unwrap();
    source
        .psql(
            "app",
            "postgres",
            "SELECT eventlog.grant_writer('gone'), eventlog.grant_writer('formerly')",
        )
        .unwrap();
    let senders =
        ["postgres", "log_owner", "writer", "member", "service", "gone", "of_a_group", "formerly"];
    for role in senders {
        assert!(!is_repeat(&mut source.connect("app", role), 7), "{role}");
    }
    // One is dropped; of another the name is another's, who was granted anew.
    source
        .psql(
            "app",
            "postgres",
            "DROP OWNED BY gone; DROP ROLE gone; ALTER ROLE formerly RENAME TO now;
             CREATE ROLE formerly LOGIN; SELECT eventlog.grant_writer('formerly')",
        )
        .unwrap();
    let dump = run(source.client("pg_dump").arg("app"));

    let target = target(false);
    let same = "CREATE ROLE gone LOGIN; CREATE ROLE of_a_group LOGIN; CREATE ROLE formerly LOGIN;
                CREATE ROLE now LOGIN; GRANT writer TO of_a_group";
    target.psql("app", "postgres", same).unwrap();
    target.psql("app", "postgres", &dump).unwrap_or_else(|error| panic!("{error}"));
    let mut superuser = target.connect("app", "postgres");
    superuser.batch_execute("SELECT eventlog.grant_writer('gone')").unwrap();
    // A role of this server is made again before it sent anything.
    superuser
        .batch_execute(
            "SET ROLE log_owner; SELECT eventlog.revoke_role('member'); RESET ROLE;
             DROP OWNED BY member; DROP ROLE member; CREATE ROLE member LOGIN;
             SELECT eventlog.grant_writer('member')",
        )
        .unwrap();
    let known: Vec<&str> = senders
        .into_iter()
        .chain(["now"])
        .filter(|role| is_repeat(&mut target.connect("app", role), 7))
        .collect();
    assert_eq!(known, ["postgres", "log_owner", "writer", "service", "now"]);
    for role in senders.into_iter().chain(["now"]) {
        let mut client = target.connect("app", role);
        assert!(is_repeat(&mut client, 7), "{role}");
        assert!(!is_repeat(&mut client, 8), "{role}");
    }

    // And back.
    let dump = run(target.client("pg_dump").arg("app"));
    source.psql("postgres", "postgres", "CREATE DATABASE back; CREATE ROLE gone LOGIN").unwrap();
    source.psql("back", "postgres", &dump).unwrap_or_else(|error| panic!("{error}"));
    assert!(is_repeat(&mut source.connect("back", "writer"), 8));
    assert!(!is_repeat(&mut source.connect("back", "writer"), 9));
    assert!(is_repeat(&mut source.connect("back", "writer"), 9));
}

/// Connections that come first after a restore take a row over once.
#[test]
fn connections_that_send_one_batch_at_once_after_a_restore_find_it_sent() {
    let db = Db::new();
    assert!(!repeats(&db, "member", 7));
    db.superuser()
        .batch_execute("UPDATE eventlog.producers SET cluster = 1, role_oid = 1")
        .unwrap();
    // Of an earlier server, below.
    db.superuser()
        .batch_execute(
            "INSERT INTO eventlog.producers (role_name, producer, batch_number, role_oid, cluster, updated_at)
             SELECT role_name, producer, 3, 2, 2, updated_at - interval '1 day' FROM eventlog.producers",
        )
        .unwrap();
    let senders: Vec<_> = (0..4)
        .map(|_| {
            let mut client = db.connect("member");
            std::thread::spawn(move || is_repeat(&mut client, 7))
        })
        .collect();
    for sender in senders {
        assert!(sender.join().expect("no error"));
    }
    assert_eq!(text(&mut db.superuser(), "SELECT count(*) FROM eventlog.events"), "1");
}
