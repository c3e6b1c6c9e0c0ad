//! The background worker is in nobody's way: commands that want a database for themselves,
//! shutdown, crashes, standbys, pg_upgrade, servers without it.

use std::process::Command;
use std::thread;
use std::time::Duration;

use eventlog_tests::{Cluster, cluster, db, text};
use postgres::NoTls;
use postgres::error::SqlState;

use super::worker::{
    HANG, NOTE, pids, preloaded, replace_maintain, wait_for, wait_for_log, wait_for_runs,
    wait_for_worker,
};

#[test]
fn a_database_can_be_dropped_renamed_and_copied_between_runs_and_during_one() {
    let cluster = preloaded("quiet, busy, copied, renamed, forced");
    for database in ["quiet", "busy", "copied", "renamed", "forced"] {
        db::create_log(&cluster, database);
        replace_maintain(&cluster, database, NOTE);
    }
    let mut client = cluster.connect("postgres", "postgres");
    wait_for_runs(&cluster, "quiet", 2);
    client.batch_execute("DROP DATABASE quiet").unwrap();

    for (database, sql) in [
        ("busy", "DROP DATABASE busy"),
        ("copied", "CREATE DATABASE copy TEMPLATE copied"),
        ("renamed", "ALTER DATABASE renamed RENAME TO another"),
        ("forced", "DROP DATABASE forced WITH (FORCE)"),
    ] {
        replace_maintain(&cluster, database, HANG);
        wait_for_worker(&cluster, database);
        // PostgreSQL waits five seconds for others to leave, for which a loaded machine may be too slow.
        let mut attempts = 0;
        while let Err(error) = client.batch_execute(sql) {
            attempts += 1;
            let is_in_use = error.code() == Some(&SqlState::OBJECT_IN_USE);
            assert!(is_in_use && attempts < 4, "{sql}: {error:?}\n{}", cluster.log());
        }
        // Two at once hang at most, so that the next has a place.
        if database == "copied" {
            wait_for_worker(&cluster, "copied");
            replace_maintain(&cluster, "copied", NOTE);
            let pid = wait_for_worker(&cluster, "copied");
            text(&mut client, &format!("SELECT pg_terminate_backend({pid})"));
        }
    }
    let log = cluster.log();
    for database in ["busy", "copied", "renamed"] {
        let line = format!("\"{database}\" was stopped for a command that needs the database");
        assert!(log.contains(&line), "{line}\n{log}");
    }
    wait_for_log(&cluster, "failed: database \"busy\" does not exist");
    wait_for_runs(&cluster, "copied", 2);
}

#[test]
fn the_extension_can_be_dropped_during_a_run_and_made_again() {
    let cluster = preloaded("app");
    db::create_log(&cluster, "app");
    replace_maintain(&cluster, "app", HANG);
    wait_for_worker(&cluster, "app");
    let mut client = cluster.connect("app", "postgres");
    client
        .batch_execute("SET client_min_messages = error; DROP EXTENSION eventlog CASCADE")
        .unwrap();
    let pid = wait_for_worker(&cluster, "app");
    text(&mut client, &format!("SELECT pg_terminate_backend({pid})"));
    wait_for_log(&cluster, "failed: extension \"eventlog\" is not installed there");
    drop(client);
    let mut client = cluster.connect("app", "postgres");
    client.batch_execute("CREATE EXTENSION eventlog; SELECT eventlog.create_log()").unwrap();
    wait_for_log(&cluster, "maintenance of database \"app\" works again");
}

#[test]
fn the_server_stops_in_every_mode_during_a_run_and_maintains_again_after_a_kill() {
    let cluster = preloaded("app");
    db::create_log(&cluster, "app");
    replace_maintain(&cluster, "app", HANG);
    for mode in ["smart", "fast", "immediate"] {
        wait_for_worker(&cluster, "app");
        cluster.stop_in_mode(mode);
        cluster.start_again();
    }
    let pid = wait_for_worker(&cluster, "app");
    assert!(Command::new("kill").args(["-9", &pid]).status().unwrap().success());
    wait_for_log(&cluster, "all server processes terminated; reinitializing");
    wait_for(&cluster, "the end of recovery", || {
        cluster.config("app", "postgres").connect(NoTls).is_ok()
    });
    assert_ne!(wait_for_worker(&cluster, "app"), pid);
    replace_maintain(&cluster, "app", NOTE);
    let hanging = wait_for_worker(&cluster, "app");
    cluster.psql("app", "postgres", &format!("SELECT pg_terminate_backend({hanging})")).unwrap();
    wait_for_runs(&cluster, "app", 2);
    let crashes = cluster.log().matches("reinitializing").count();
    assert_eq!(crashes, 1, "{}", cluster.log());
}

#[test]
fn a_standby_has_no_worker_until_it_is_promoted() {
    let cluster = preloaded("app");
    db::create_log(&cluster, "app");
    replace_maintain(&cluster, "app", NOTE);
    let standby = cluster.standby_with(&[
        ("shared_preload_libraries", "eventlog"),
        ("eventlog.maintenance_interval", "1s"),
        ("eventlog.databases", "app"),
        ("max_worker_processes", "16"),
    ]);
    wait_for_runs(&cluster, "app", 3);
    assert_eq!(pids(&standby, "eventlog launcher"), Vec::<String>::new());
    cluster.stop();
    text(&mut standby.connect("postgres", "postgres"), "SELECT pg_promote()");
    wait_for_runs(&standby, "app", 2);
}

#[test]
fn pg_upgrade_and_a_server_for_a_single_user_start_no_worker() {
    let cluster = preloaded("app");
    db::create_log(&cluster, "app");
    replace_maintain(&cluster, "app", NOTE);
    wait_for_runs(&cluster, "app", 1);
    cluster.stop();
    // As pg_upgrade starts it.
    let data = cluster.folder().join("data");
    let pg_ctl = |arguments: &[&str]| {
        let mut command = cluster::program("pg_ctl");
        command.arg("-D").arg(&data).arg("-l").arg(cluster.folder().join("log"));
        cluster::run(command.args(["-w", "-s"]).args(arguments))
    };
    pg_ctl(&["-o", "-b", "start"]);
    thread::sleep(Duration::from_secs(2));
    assert_eq!(pids(&cluster, "eventlog launcher"), Vec::<String>::new());
    pg_ctl(&["stop", "-m", "fast"]);

    let mut single = cluster::program("postgres");
    single.arg("--single").arg("-D").arg(&data).arg("app");
    let answer = cluster::run(&mut single);
    assert!(answer.contains("backend>"), "{answer}");
    cluster.start_again();
    wait_for_runs(&cluster, "app", 1);
}

#[test]
fn without_preload_the_settings_are_there_and_everything_works_by_hand() {
    let db = eventlog_tests::Db::new();
    let mut client = db.superuser();
    client.batch_execute("LOAD 'eventlog'").unwrap();
    assert_eq!(text(&mut client, "SHOW eventlog.databases"), "");
    assert_eq!(text(&mut client, "SHOW eventlog.maintenance_interval"), "5min");
    let workers = "SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'eventlog%'";
    assert_eq!(text(&mut client, workers), "0");
    client.batch_execute("CALL eventlog.maintain()").unwrap();
    db.connect("log_owner").batch_execute("CALL eventlog.maintain()").unwrap();
    assert_eq!(text(&mut client, "SELECT count(*) FROM eventlog.maintenance_runs"), "2");
}

#[test]
fn where_there_is_no_slot_for_a_worker_it_says_so_and_the_server_works() {
    let cluster = Cluster::start(&[
        ("shared_preload_libraries", "eventlog"),
        ("eventlog.maintenance_interval", "1s"),
        ("eventlog.databases", "app"),
        // The launcher's own, and the one of logical replication.
        ("max_worker_processes", "2"),
    ]);
    db::create_roles(&cluster);
    db::create_log(&cluster, "app");
    wait_for_log(&cluster, "failed: there is no free slot for a background worker");
    let mut client = cluster.connect("app", "postgres");
    client.batch_execute("CALL eventlog.maintain()").unwrap();
}
