//! pg_cron calls `maintain()`. A job begins at a full minute, so these tests take one.

use eventlog_tests::{Cluster, Server, db, rows, text, wait_for};
use postgres::Client;

const LIBRARY: (&str, &str) = ("shared_preload_libraries", "'pg_cron'");
const DATABASE: (&str, &str) = ("cron.database_name", "'app'");

/// A log in a database, which notes as whom `maintain()` runs, and where a partition is missing.
fn make_log(cluster: &Cluster, database: &str) {
    db::create_log(cluster, database);
    cluster
        .psql(
            database,
            "postgres",
            "CREATE TABLE public.ran_as (role name, role_setting text);
             GRANT ALL ON public.ran_as TO PUBLIC;
             CREATE FUNCTION public.note() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN
                    INSERT INTO public.ran_as VALUES (current_user, current_setting('role'));
                    RETURN NULL;
                END $$;
             CREATE TRIGGER note AFTER INSERT OR UPDATE ON eventlog.maintenance_runs
                FOR EACH STATEMENT EXECUTE FUNCTION public.note();
             UPDATE eventlog.log_config SET premake = premake + '2 months'",
        )
        .unwrap();
}

/// Partitions that are missing: none once `maintain()` did its work.
const DUE: &str = "SELECT count(*) FROM eventlog_private.missing_partitions()";
/// What came of the first run of a job; empty until it ended.
fn ended(job: &str) -> String {
    format!(
        "SELECT coalesce((SELECT status || ' ' || return_message FROM cron.job_run_details JOIN cron.job USING (jobid)
                           WHERE jobname = '{job}' AND end_time IS NOT NULL ORDER BY runid LIMIT 1), '')"
    )
}

fn wait_until_ended(client: &mut Client, job: &str) -> String {
    wait_for(client, &format!("SELECT ({}) <> ''", ended(job)), "t");
    text(client, &ended(job))
}

#[track_caller]
fn assert_maintained_by_the_owner(cluster: &Cluster, database: &str) {
    let mut client = cluster.connect(database, "postgres");
    assert_eq!(text(&mut client, DUE), "0");
    assert_eq!(
        rows(&mut client, "SELECT DISTINCT outcome FROM eventlog.maintenance_runs"),
        [["done"]]
    );
    assert_eq!(rows(&mut client, "SELECT DISTINCT role FROM public.ran_as"), [["log_owner"]]);
}

#[test]
fn pg_cron_runs_maintain_as_the_logs_owner_in_background_workers() {
    if !Server::under_test().has_library("pg_cron") {
        return;
    }
    let cluster = Cluster::start(&[LIBRARY, DATABASE, ("cron.use_background_workers", "on")]);
    db::create_roles(&cluster);
    make_log(&cluster, "app");
    make_log(&cluster, "other");
    let mut superuser = cluster.connect("app", "postgres");
    assert_ne!(text(&mut superuser, DUE), "0");
    superuser
        .batch_execute(
            "CREATE EXTENSION pg_cron;
             ALTER ROLE log_owner NOLOGIN;
             CREATE ROLE log_keeper LOGIN IN ROLE log_owner;
             GRANT USAGE ON SCHEMA cron TO log_owner;
             SELECT cron.schedule('by a superuser', '* * * * *', 'CALL eventlog.maintain()');
             SELECT cron.schedule_in_database('by a member', '* * * * *', 'CALL eventlog.maintain()', 'other', 'log_keeper');
             SELECT cron.schedule_in_database('by a stranger', '* * * * *', 'CALL eventlog.maintain(true)', 'other', 'outsider');
             SET ROLE log_owner;
             SELECT cron.schedule('by the owner', '* * * * *', 'CALL eventlog.maintain()');
             RESET ROLE",
        )
        .unwrap();
    // pg_cron logs in as the role of the job, which an owner that nobody logs in as forbids: here
    // when the job is made (without a SQLSTATE of its own), above when it is run.
    let own = "SELECT cron.schedule_in_database('x', '* * * * *', 'CALL eventlog.maintain()', 'other', 'log_owner')";
    let error = superuser.batch_execute(own).expect_err("it may not log in");
    assert!(error.as_db_error().expect("of the server").message().contains("can not log in"));
    assert_eq!(wait_until_ended(&mut superuser, "by a superuser"), "succeeded CALL");
    assert_eq!(wait_until_ended(&mut superuser, "by a member"), "succeeded CALL");
    assert_maintained_by_the_owner(&cluster, "app");
    assert_maintained_by_the_owner(&cluster, "other");
    let refused = wait_until_ended(&mut superuser, "by the owner");
    assert!(refused.contains("not permitted to log in"), "{refused}");
    let refused = wait_until_ended(&mut superuser, "by a stranger");
    assert!(refused.starts_with("failed ERROR"), "{refused}");
}

#[test]
fn pg_cron_runs_maintain_over_a_connection_too() {
    if !Server::under_test().has_library("pg_cron") {
        return;
    }
    let cluster = Cluster::start(&[LIBRARY, DATABASE]);
    db::create_roles(&cluster);
    make_log(&cluster, "app");
    let mut superuser = cluster.connect("app", "postgres");
    superuser
        .batch_execute(&format!(
            "CREATE EXTENSION pg_cron;
             GRANT USAGE ON SCHEMA cron TO log_owner;
             SET ROLE log_owner;
             SELECT cron.schedule('maintain', '* * * * *', 'CALL eventlog.maintain()');
             RESET ROLE;
             UPDATE cron.job SET nodename = '{}'",
            cluster.folder().display()
        ))
        .unwrap();
    assert_eq!(wait_until_ended(&mut superuser, "maintain"), "succeeded CALL");
    assert_maintained_by_the_owner(&cluster, "app");
}
