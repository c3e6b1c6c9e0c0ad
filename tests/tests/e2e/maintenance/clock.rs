//! The server's clock jumps, and nothing is dropped or lost for it.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use eventlog_tests::{Cluster, TENANT_A, db, rows, text};
use postgres::Client;

const LIBRARIES: [&str; 3] = ["/usr/lib", "/usr/lib64", "/usr/local/lib"];

/// A server whose clock is as far off as a file says. The clock by which the machine runs is its own.
pub(crate) struct Server {
    pub(crate) cluster: Cluster,
    offset: PathBuf,
}

impl Server {
    pub(crate) fn start(offset: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("eventlog-clock-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::write(&path, offset).expect("a new file");
        let library = library().to_string_lossy().into_owned();
        let cluster = Cluster::start_with_environment(&[
            ("LD_PRELOAD", &library),
            ("FAKETIME_TIMESTAMP_FILE", &path.to_string_lossy()),
            ("FAKETIME_NO_CACHE", "1"),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
            ("FAKETIME_DONT_RESET", "1"),
        ]);
        db::create_roles(&cluster);
        db::create_log(&cluster, "app");
        let server = Server { cluster, offset: path };
        server
            .connect()
            .batch_execute(&format!(
                "SELECT eventlog.define_event('ping');
                 SELECT eventlog._make_partition(now() - g * interval '1 month') FROM generate_series(1, 2) g;
                 INSERT INTO eventlog.events (tenant_id, name, created_at)
                 SELECT '{TENANT_A}', 'ping', now() - g * interval '10 days' FROM generate_series(0, 5) g"
            ))
            .unwrap();
        server
    }

    pub(crate) fn connect(&self) -> Client {
        self.cluster.connect("app", "log_owner")
    }

    /// Sets the clock, as far off as this, and waits until the server goes by it.
    pub(crate) fn set(&self, offset: &str) {
        fs::write(&self.offset, offset).expect("the file is ours");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The server itself is stopped later, and keeps what it read last.
        let _ = fs::write(&self.offset, "+0");
    }
}

/// Where Debian's package libfaketime puts it, and others.
fn library() -> PathBuf {
    let folders = LIBRARIES.iter().flat_map(|folder| {
        let below = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        std::iter::once(PathBuf::from(folder)).chain(below)
    });
    let mut libraries = folders.map(|folder| folder.join("faketime/libfaketime.so.1"));
    libraries
        .find(|library| library.exists())
        .expect("libfaketime, which `make setup-tests` installs")
}

/// Outcome, actions and failures of a run.
fn run(owner: &mut Client, call: &str) -> [String; 3] {
    owner.batch_execute(call).unwrap();
    let last = "SELECT outcome, array_to_string(actions, '; '), array_to_string(failures, '; ')
        FROM eventlog.maintenance_runs ORDER BY id DESC LIMIT 1";
    rows(owner, last).remove(0).try_into().unwrap()
}

const RUN: &str = "CALL eventlog.maintain()";
const TRUST: &str = "CALL eventlog.maintain(trust_clock => true)";
const EVENTS: &str = "SELECT count(*) FROM eventlog.events";
const PARTITIONS: &str =
    "SELECT string_agg(partition_name, ' ' ORDER BY from_at) FROM eventlog._partitions";
const DOUBT: &str = "SELECT coalesce(clock_doubt, 'none') FROM eventlog.stat_maintenance";
const IS_AHEAD: &str = "SELECT announced_until > now() FROM eventlog.rollup_state";
const WRONG: &str = "SELECT count(*) FROM eventlog.verify_rollups() WHERE NOT is_sealed";

#[test]
fn a_clock_ten_years_ahead_or_a_day_back_is_not_believed_and_all_is_well_once_it_is_right_again() {
    let server = Server::start("+0");
    let mut owner = server.connect();
    assert_eq!(run(&mut owner, RUN)[0], "done");
    let before = text(&mut owner, PARTITIONS);
    for (offset, events) in [("+10y", "7"), ("-1d", "8"), ("+3d", "9")] {
        server.set(offset);
        let mut owner = server.connect();
        // It is logged by the clock that is there.
        owner.batch_execute(&format!("SELECT eventlog.log_event('{TENANT_A}', 'ping')")).unwrap();
        assert_eq!(text(&mut owner, EVENTS), events);
        for _ in 0..2 {
            let [outcome, actions, failures] = run(&mut owner, RUN);
            assert_eq!(outcome, "incomplete", "{offset} {failures}");
            // What is late is counted.
            assert!(
                actions.is_empty() || actions == "counted 1 late events in the rollups",
                "{actions}"
            );
            assert!(failures.contains("the server's clock says"), "{offset} {failures}");
        }
        let doubt = text(&mut owner, DOUBT);
        assert!(
            doubt.contains("nothing is dropped or deleted until the clock is trusted"),
            "{doubt}"
        );
        assert_eq!(text(&mut owner, "SELECT due FROM eventlog.stat_maintenance"), "{}");
        assert_eq!(text(&mut owner, EVENTS), events);
        server.set("+0");
        let mut owner = server.connect();
        let [outcome, _, failures] = run(&mut owner, RUN);
        assert_eq!(outcome, "done", "{offset} {failures}");
        assert_eq!(text(&mut owner, DOUBT), "none");
        assert_eq!(text(&mut owner, IS_AHEAD), "f");
        assert_eq!(text(&mut owner, EVENTS), events);
    }
    let after = text(&mut owner, PARTITIONS);
    assert!(before.split(' ').all(|partition| after.contains(partition)), "{before}\n{after}");
    // Those of other times are read raw, or were late, and counted.
    assert_eq!(text(&mut owner, WRONG), "0");
}

#[test]
fn a_jump_is_believed_once_two_runs_a_day_apart_agree_or_where_the_owner_says_so() {
    for retention in ["90 days", "20 years"] {
        believe_a_jump(retention);
    }
}

fn believe_a_jump(retention: &str) {
    let drops = retention == "90 days";
    let server = Server::start("+0");
    let mut owner = server.connect();
    owner
        .batch_execute(&format!("UPDATE eventlog.log_config SET retention = '{retention}'"))
        .unwrap();
    assert_eq!(run(&mut owner, RUN)[0], "done");
    server.set("+1y");
    let mut owner = server.connect();
    assert_eq!(run(&mut owner, RUN)[0], "incomplete");
    let told =
        server.cluster.psql("app", "log_owner", "CALL eventlog.maintain(dry_run => true)").unwrap();
    assert!(!told.contains("would drop"), "{told}");
    // The machine has run for a day since, and the clock went on as it did.
    let day_ago = "UPDATE eventlog.maintenance_settings
        SET doubted_at = doubted_at - interval '1 day', doubted_uptime = doubted_uptime - 86400";
    owner.batch_execute(day_ago).unwrap();
    let [outcome, actions, failures] = run(&mut owner, RUN);
    assert_eq!(outcome, "done", "{failures}");
    assert_eq!(actions.contains("dropped partition"), drops, "{actions}");
    // Back again: the watermark, too, and by a word.
    server.set("+0");
    let mut owner = server.connect();
    assert_eq!(run(&mut owner, RUN)[0], "incomplete");
    assert_eq!(text(&mut owner, IS_AHEAD), "t");
    owner.batch_execute(&format!("SELECT eventlog.log_event('{TENANT_A}', 'ping')")).unwrap();
    assert_eq!(text(&mut owner, "SELECT count(*) FROM eventlog.late_events"), "1");
    let [outcome, actions, _] = run(&mut owner, TRUST);
    assert_eq!(outcome, "done");
    assert!(actions.contains("took the watermark of the rollups back to"), "{actions}");
    let back = "SELECT announced_until = date_trunc('day', now() + interval '1 day', 'UTC') AND rolled_until = announced_until
        FROM eventlog.rollup_state";
    assert_eq!(text(&mut owner, back), "t");
    assert_eq!(text(&mut owner, "SELECT count(*) FROM eventlog.late_events"), "0");
    assert!(drops || text(&mut owner, WRONG) == "0");
    // A day later it is in use as ever.
    server.set("+26h");
    let mut owner = server.connect();
    let [outcome, _, failures] = run(&mut owner, TRUST);
    assert_eq!(outcome, "done", "{failures}");
    let mut owner = server.connect();
    owner.batch_execute(&format!("SELECT eventlog.log_event('{TENANT_A}', 'ping')")).unwrap();
    assert_eq!(text(&mut owner, "SELECT count(*) FROM eventlog.late_events"), "0");
    assert_eq!(text(&mut owner, IS_AHEAD), "f");
    assert!(drops || text(&mut owner, WRONG) == "0");
}

#[test]
fn an_hour_back_over_the_border_of_a_partition_loses_nothing() {
    let server = Server::start("+0");
    let mut owner = server.connect();
    // Half an hour after the border of a partition that is a day.
    let to_border = "SELECT (EXTRACT(epoch FROM date_trunc('day', now() + interval '1 day', 'UTC') - now()) + 1800)::bigint";
    let seconds: i64 = text(&mut owner, to_border).parse().unwrap();
    owner
        .batch_execute(
            "DO $$ DECLARE p record; BEGIN FOR p IN SELECT partition_name FROM eventlog._partitions LOOP
                EXECUTE format('DROP TABLE eventlog.%I', p.partition_name); END LOOP; END $$;
             UPDATE eventlog.log_config SET partition_interval = '1 day', premake = '1 day'",
        )
        .unwrap();
    let mut logged = 0;
    for offset in [seconds, seconds - 3600, seconds] {
        server.set(&format!("+{offset}"));
        let mut owner = server.connect();
        for _ in 0..3 {
            owner
                .batch_execute(&format!("SELECT eventlog.log_event('{TENANT_A}', 'ping')"))
                .unwrap();
            logged += 1;
            run(&mut owner, RUN);
        }
    }
    let mut owner = server.connect();
    assert_eq!(run(&mut owner, TRUST)[0], "done");
    assert_eq!(text(&mut owner, EVENTS), logged.to_string());
    let days = "SELECT count(DISTINCT tableoid) FROM eventlog.events";
    assert_eq!(text(&mut owner, days), "2");
    server.set(&format!("+{}", seconds + 7200));
    let mut owner = server.connect();
    assert_eq!(run(&mut owner, TRUST)[0], "done");
    assert_eq!(text(&mut owner, WRONG), "0");
    assert_eq!(
        text(&mut owner, "SELECT sum(events) FROM eventlog.daily_counts"),
        logged.to_string()
    );
}

#[test]
fn a_machine_that_was_off_for_days_is_believed_and_one_that_was_off_for_longer_is_asked_about() {
    let server = Server::start("+0");
    let mut owner = server.connect();
    for (age, boot, outcome) in [
        ("6 days", "another", "done"),
        ("8 days", "another", "incomplete"),
        ("-1 hour", "another", "incomplete"),
        ("0", "another", "done"),
    ] {
        owner
            .batch_execute(&format!(
                "UPDATE eventlog.maintenance_settings SET clock_at = now() - interval '{age}', clock_boot = '{boot}'"
            ))
            .unwrap();
        let [found, _, failures] = run(&mut owner, RUN);
        assert_eq!(found, outcome, "{age} {failures}");
    }
    // A log whose retention is short loses all of it sooner.
    owner
        .batch_execute(
            "UPDATE eventlog.log_config SET retention = '10 days';
             UPDATE eventlog.maintenance_settings SET clock_at = now() - interval '2 days', clock_boot = 'another'",
        )
        .unwrap();
    assert_eq!(run(&mut owner, RUN)[0], "incomplete");
    assert_eq!(run(&mut owner, TRUST)[0], "done");
}
