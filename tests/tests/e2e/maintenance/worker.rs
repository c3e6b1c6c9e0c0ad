//! The background worker: when it runs and as whom, and what it survives.

use std::thread;
use std::time::{Duration, Instant};

use eventlog_tests::{Cluster, assert_refused, cluster, db, rows, text};
use postgres::Client;

/// Long enough for a slow machine; nothing is asserted of how long something took.
const PATIENCE: Duration = Duration::from_secs(120);

/// A cluster with the library preloaded, roles, and a run each second in these databases.
pub(crate) fn preloaded(databases: &str) -> Cluster {
    let list = format!("'{databases}'");
    let cluster = Cluster::start(&[
        ("shared_preload_libraries", "eventlog"),
        ("eventlog.maintenance_interval", "1s"),
        ("eventlog.databases", &list),
        ("max_worker_processes", "16"),
    ]);
    db::create_roles(&cluster);
    cluster
}

/// Puts another body into maintain(), of the signature that it has, in place of the real one.
pub(crate) fn replace_maintain(cluster: &Cluster, database: &str, body: &str) {
    let sql = format!(
        "CREATE TABLE IF NOT EXISTS public.runs (
            number int GENERATED ALWAYS AS IDENTITY, at timestamptz DEFAULT clock_timestamp(), note text,
            transaction_id xid8 DEFAULT pg_current_xact_id());
         GRANT ALL ON public.runs TO log_owner;
         CREATE OR REPLACE PROCEDURE eventlog.maintain(dry_run boolean DEFAULT false, trust_clock boolean DEFAULT false) LANGUAGE plpgsql AS $$
         BEGIN {body} END $$"
    );
    cluster.psql(database, "postgres", &sql).expect("a superuser may");
}

pub(crate) const NOTE: &str = "INSERT INTO public.runs (note) VALUES ('run');";
pub(crate) const HANG: &str =
    "INSERT INTO public.runs (note) VALUES ('run'); COMMIT; PERFORM pg_catalog.pg_sleep(3600);";

pub(crate) fn wait_for(cluster: &Cluster, what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain: {what}\n{}", cluster.log());
        thread::sleep(Duration::from_millis(50));
    }
}

fn count(client: &mut Client, sql: &str) -> i64 {
    text(client, sql).parse().expect("a number")
}

/// Waits until a database has so many runs more than now.
pub(crate) fn wait_for_runs(cluster: &Cluster, database: &str, more: i64) {
    let mut client = cluster.connect(database, "postgres");
    let runs = "SELECT count(*) FROM public.runs";
    let before = count(&mut client, runs);
    wait_for(cluster, &format!("runs in {database}"), || count(&mut client, runs) >= before + more);
}

pub(crate) fn wait_for_log(cluster: &Cluster, line: &str) {
    wait_for(cluster, line, || cluster.log().contains(line));
}

/// The processes that are called so in `pg_stat_activity`.
pub(crate) fn pids(cluster: &Cluster, backend_type: &str) -> Vec<String> {
    let sql = format!("SELECT pid FROM pg_stat_activity WHERE backend_type = '{backend_type}'");
    let mut client = cluster.connect("postgres", "postgres");
    rows(&mut client, &sql).into_iter().flatten().collect()
}

/// Waits until a worker hangs in maintain() of the database; its number.
pub(crate) fn wait_for_worker(cluster: &Cluster, database: &str) -> String {
    let mut client = cluster.connect("postgres", "postgres");
    let sql = format!(
        "SELECT pid FROM pg_stat_activity
          WHERE backend_type = 'eventlog maintenance' AND datname = '{database}' AND wait_event = 'PgSleep'"
    );
    let mut found = Vec::new();
    wait_for(cluster, &format!("a worker in {database}"), || {
        found = rows(&mut client, &sql);
        !found.is_empty()
    });
    found.remove(0).remove(0)
}

#[test]
fn it_maintains_each_database_on_the_interval_as_the_logs_owner() {
    let cluster = preloaded("app, \"Odd, \"\"name\"\"\"");
    for database in ["app", "\"Odd, \"\"name\"\"\""] {
        let mut client = cluster.connect("postgres", "postgres");
        client.batch_execute(&format!("CREATE DATABASE {database}")).unwrap();
    }
    let make = "CREATE EXTENSION eventlog; SELECT eventlog.create_log(owner => 'log_owner')";
    for database in ["app", "Odd, \"name\""] {
        let mut client = cluster.connect(database, "postgres");
        client.batch_execute(make).unwrap();
        let done = "SELECT count(*) FROM eventlog.maintenance_runs WHERE outcome = 'done'";
        wait_for(&cluster, "two runs of the real one", || count(&mut client, done) >= 2);
    }
    // Settings of the database and the role do not lead it astray.
    let mut app = cluster.connect("app", "postgres");
    app.batch_execute(
        "ALTER DATABASE app SET search_path = public;
         ALTER ROLE log_owner SET default_transaction_isolation = 'serializable'",
    )
    .unwrap();
    replace_maintain(
        &cluster,
        "app",
        "INSERT INTO public.runs (note) VALUES (pg_catalog.concat_ws(' ', session_user, current_user,
            pg_catalog.current_setting('search_path'), pg_catalog.current_setting('transaction_isolation'), dry_run));
         COMMIT;
         INSERT INTO public.runs (note) VALUES ('second');
         ROLLBACK;
         INSERT INTO public.runs (note) VALUES ('third');",
    );
    wait_for_runs(&cluster, "app", 5);
    let notes = rows(&mut app, "SELECT note FROM public.runs ORDER BY number LIMIT 4");
    let whole = "log_owner log_owner pg_catalog, pg_temp read committed f";
    assert_eq!(notes, [[whole], ["third"], [whole], ["third"]]);
    assert_eq!(
        text(&mut app, "SELECT count(DISTINCT transaction_id) = count(*) FROM public.runs"),
        "t",
        "the procedure ends transactions"
    );
    // Neither of them fails once its log is there.
    let log = cluster.log();
    let since = log.rsplit("works again").next().unwrap_or_default();
    assert!(!since.contains("WARNING"), "{log}");
}

#[test]
fn it_shows_in_pg_stat_activity_and_a_hanging_database_does_not_keep_others_waiting() {
    let cluster = preloaded("app, other");
    db::create_log(&cluster, "app");
    db::create_log(&cluster, "other");
    replace_maintain(&cluster, "other", NOTE);
    replace_maintain(&cluster, "app", HANG);
    let pid = wait_for_worker(&cluster, "app");
    let mut client = cluster.connect("app", "postgres");
    let shown = format!(
        "SELECT datname, usename, application_name, state, query FROM pg_stat_activity WHERE pid = {pid}"
    );
    assert_eq!(
        rows(&mut client, &shown),
        [[
            "app",
            "log_owner",
            "eventlog maintenance",
            "active",
            "CALL eventlog.maintain(dry_run => false, trust_clock => false)"
        ]]
    );
    let launcher = "SELECT datname FROM pg_stat_activity WHERE backend_type = 'eventlog launcher'";
    assert_eq!(rows(&mut client, launcher), [["∅"]]);
    wait_for_runs(&cluster, "other", 2);

    // It is cancelled and ended as others are, and comes back.
    text(&mut client, &format!("SELECT pg_cancel_backend({pid})"));
    let cancelled =
        "eventlog: maintenance of database \"app\" failed: canceling statement due to user request";
    wait_for_log(&cluster, cancelled);
    let next = wait_for_worker(&cluster, "app");
    text(&mut client, &format!("SELECT pg_terminate_backend({next})"));
    wait_for_log(&cluster, "failed: terminating background worker");
    wait_for_worker(&cluster, "app");

    // Its launcher as well, which takes the worker along.
    let old = pids(&cluster, "eventlog launcher").remove(0);
    text(&mut client, &format!("SELECT pg_terminate_backend({old})"));
    wait_for(&cluster, "a new launcher", || {
        pids(&cluster, "eventlog launcher").first().is_some_and(|pid| *pid != old)
    });
    wait_for_worker(&cluster, "app");
    wait_for_runs(&cluster, "other", 2);
}

#[test]
fn a_reload_changes_the_list_and_the_interval_and_wrong_values_are_refused() {
    let cluster = preloaded("");
    for database in ["one", "two"] {
        db::create_log(&cluster, database);
        replace_maintain(&cluster, database, NOTE);
    }
    let mut client = cluster.connect("postgres", "postgres");
    let set = |client: &mut Client, setting: &str| {
        client.batch_execute(&format!("ALTER SYSTEM SET {setting}")).unwrap();
        client.batch_execute("SELECT pg_reload_conf()").unwrap();
    };
    set(&mut client, "eventlog.databases = one, two");
    wait_for_runs(&cluster, "one", 2);
    wait_for_runs(&cluster, "two", 2);

    set(&mut client, "eventlog.databases = 'two'");
    wait_for_runs(&cluster, "two", 3);
    let mut one = cluster.connect("one", "postgres");
    let runs = count(&mut one, "SELECT count(*) FROM public.runs");
    wait_for_runs(&cluster, "two", 3);
    assert_eq!(count(&mut one, "SELECT count(*) FROM public.runs"), runs);

    // A database that is new in the list is served at once, whatever the interval.
    set(&mut client, "eventlog.maintenance_interval = '10 d'");
    set(&mut client, "eventlog.databases = one, two");
    // Not `wait_for_runs`: the one run may be over before it begins to count.
    wait_for(&cluster, "a run at once", || {
        count(&mut one, "SELECT count(*) FROM public.runs") > runs
    });
    // A shorter interval counts at once.
    set(&mut client, "eventlog.maintenance_interval = '1s'");
    wait_for_runs(&cluster, "one", 2);
    set(&mut client, "eventlog.databases = ''");
    set(&mut client, "eventlog.databases = DEFAULT");

    for (value, reason) in [
        ("eventlog.maintenance_interval = 0", "outside the valid range"),
        ("eventlog.maintenance_interval = '31 d'", "outside the valid range"),
        ("eventlog.maintenance_interval = 'often'", "invalid value"),
        ("eventlog.databases = 'one,,two'", "invalid value"),
        ("eventlog.databases = 'one,'", "invalid value"),
        ("eventlog.databases = '\"one'", "invalid value"),
        ("eventlog.databases = '\"one\" two'", "invalid value"),
        ("eventlog.databases = '\"\"'", "invalid value"),
        (&format!("eventlog.databases = '{}'", "x".repeat(64)), "invalid value"),
    ] {
        assert_refused(&mut client, &format!("ALTER SYSTEM SET {value}"), "22023", reason);
    }
    let error =
        eventlog_tests::refused(&mut client, "ALTER SYSTEM SET eventlog.databases = 'one,,two'");
    assert_eq!(error.detail(), Some("A name is empty."));
    assert!(error.hint().is_some_and(|hint| hint.contains("commas")), "{error:?}");
    for setting in ["eventlog.databases = 'one'", "eventlog.maintenance_interval = 5"] {
        assert_refused(&mut client, &format!("SET {setting}"), "55P02", "cannot be changed now");
    }
    let log = cluster.log();
    let warnings: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("WARNING") && !line.contains("a role that can log in"))
        .collect();
    assert!(warnings.is_empty(), "{log}");
}

#[test]
fn each_database_that_fails_is_logged_once_with_its_reason_and_the_others_go_on() {
    let cluster =
        preloaded("nowhere, closed, plain, empty, broken, forbidden, planted, warned, good");
    let mut client = cluster.connect("postgres", "postgres");
    for database in ["plain", "empty", "planted"] {
        client.batch_execute(&format!("CREATE DATABASE {database}")).unwrap();
    }
    for database in ["closed", "broken", "forbidden", "warned", "good"] {
        db::create_log(&cluster, database);
        replace_maintain(&cluster, database, NOTE);
    }
    replace_maintain(&cluster, "broken", "RAISE EXCEPTION 'it is broken' USING HINT = 'mend it';");
    replace_maintain(&cluster, "warned", "RAISE WARNING 'it could not'; RAISE WARNING 'nor this';");
    cluster.psql("empty", "postgres", "CREATE EXTENSION eventlog").unwrap();
    // The owner of a database makes what a superuser's worker could take for ours.
    client.batch_execute("ALTER DATABASE planted OWNER TO dba").unwrap();
    cluster
        .psql(
            "planted",
            "dba",
            "CREATE SCHEMA eventlog;
             CREATE TABLE eventlog.events (id int) PARTITION BY RANGE (id);
             CREATE PROCEDURE eventlog.maintain(dry_run boolean) LANGUAGE sql AS 'CREATE TABLE public.caught ()'",
        )
        .unwrap();
    client
        .batch_execute(
            "ALTER DATABASE closed ALLOW_CONNECTIONS false; REVOKE CONNECT ON DATABASE forbidden FROM PUBLIC",
        )
        .unwrap();

    let reasons = [
        ("nowhere", "failed: database \"nowhere\" does not exist"),
        ("closed", "failed: database \"closed\" is not currently accepting connections"),
        ("plain", "failed: extension \"eventlog\" is not installed there"),
        ("empty", "failed: no log yet"),
        ("broken", "failed: it is broken"),
        ("forbidden", "failed: permission denied for database \"forbidden\""),
        ("planted", "failed: extension \"eventlog\" is not installed there"),
        ("warned", "is incomplete: it could not"),
    ];
    let line = |(database, reason): (&str, &str)| {
        format!("WARNING:  eventlog: maintenance of database \"{database}\" {reason}")
    };
    for reason in reasons {
        wait_for_log(&cluster, &line(reason));
    }
    wait_for_runs(&cluster, "good", 4);
    for reason in reasons {
        let again = cluster.log().matches(&line(reason)).count();
        assert_eq!(again, 1, "{reason:?}\n{}", cluster.log());
    }
    let before = cluster.log().len();
    wait_for_runs(&cluster, "good", 4);
    let log = cluster.log();
    assert!(!log[before..].contains("eventlog"), "{}", &log[before..]);
    assert!(log.contains("HINT:  mend it") && log.contains("DETAIL:  SQLSTATE P0001"), "{log}");
    assert!(!log.contains("FATAL:  database \"nowhere\""), "{log}");
    assert!(cluster.psql("planted", "dba", "TABLE public.caught").is_err());

    // What is mended works again.
    replace_maintain(&cluster, "broken", NOTE);
    cluster
        .psql(
            "plain",
            "postgres",
            "CREATE EXTENSION eventlog; SELECT eventlog.create_log(owner => 'log_owner')",
        )
        .unwrap();
    client.batch_execute("GRANT CONNECT ON DATABASE forbidden TO log_owner").unwrap();
    for database in ["broken", "plain", "forbidden"] {
        let works = format!("LOG:  eventlog: maintenance of database \"{database}\" works again");
        wait_for_log(&cluster, &works);
    }
}

#[test]
fn nobody_who_may_write_into_the_schema_gets_the_workers_rights() {
    let cluster = preloaded("app");
    db::create_log(&cluster, "app");
    // The owner of the log, in a procedure that would fit a call without arguments better, and in
    // triggers of its own tables, at once and at the end of the transaction, that take back
    // whatever role the session has.
    cluster
        .psql(
            "app",
            "postgres",
            "ALTER EVENT TRIGGER eventlog_refuse_functions DISABLE;
             GRANT USAGE, CREATE ON SCHEMA eventlog TO log_owner; GRANT CREATE ON SCHEMA public TO log_owner;
             SET SESSION AUTHORIZATION log_owner;
             CREATE TABLE public.caught AS SELECT NULL::text AS who, NULL::boolean AS can_log_in WHERE false;
             GRANT INSERT ON public.caught TO PUBLIC;
             CREATE PROCEDURE eventlog.maintain() LANGUAGE sql AS $$ INSERT INTO public.caught VALUES ('planted') $$;
             CREATE FUNCTION public.climb() RETURNS trigger LANGUAGE plpgsql AS $$
                DECLARE before name := current_user;
                BEGIN
                    BEGIN
                        PERFORM set_config('session_authorization', 'postgres', false);
                    EXCEPTION WHEN OTHERS THEN NULL;
                    END;
                    BEGIN
                        PERFORM set_config('role', 'none', false);
                    EXCEPTION WHEN OTHERS THEN NULL;
                    END;
                    INSERT INTO public.caught SELECT concat_ws(' ', TG_WHEN, current_user), rolcanlogin
                        FROM pg_roles WHERE rolname = 'log_owner';
                    RETURN NEW;
                END $$;
             CREATE TRIGGER climb BEFORE INSERT ON eventlog.maintenance_runs
                FOR EACH ROW EXECUTE FUNCTION public.climb();
             CREATE CONSTRAINT TRIGGER climb_late AFTER INSERT ON eventlog.maintenance_runs
                DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.climb()",
        )
        .unwrap();
    let mut client = cluster.connect("app", "postgres");
    for login in ["LOGIN", "NOLOGIN"] {
        client.batch_execute(&format!("ALTER ROLE log_owner {login}")).unwrap();
        let caught = format!(
            "SELECT count(*) FROM public.caught WHERE can_log_in = {} AND who LIKE 'AFTER%'",
            login == "LOGIN"
        );
        wait_for(&cluster, "triggers that fire", || count(&mut client, &caught) >= 2);
    }
    let who = "SELECT DISTINCT who FROM public.caught ORDER BY 1";
    assert_eq!(rows(&mut client, who), [["AFTER log_owner"], ["BEFORE log_owner"]]);
}

#[test]
fn the_session_is_the_owners_own_where_postgresql_can_give_it_to_a_worker() {
    let cluster = preloaded("app");
    db::create_log(&cluster, "app");
    replace_maintain(&cluster, "app", "INSERT INTO public.runs (note) VALUES (session_user);");
    let mut client = cluster.connect("app", "postgres");
    let last = "SELECT note FROM public.runs ORDER BY number DESC LIMIT 1";
    wait_for_runs(&cluster, "app", 1);
    assert_eq!(text(&mut client, last), "log_owner");
    client.batch_execute("ALTER ROLE log_owner NOLOGIN").unwrap();
    // One may be under way.
    wait_for_runs(&cluster, "app", 2);
    // Before 17 a role that may not log in cannot be given to one: see the test above.
    let expected = if cluster::major_version() >= 17 { "log_owner" } else { "postgres" };
    assert_eq!(text(&mut client, last), expected);
}

#[test]
fn an_owner_that_may_not_log_in_is_served_too() {
    let cluster = preloaded("app");
    db::create_log(&cluster, "app");
    let mut client = cluster.connect("app", "postgres");
    client.batch_execute("ALTER ROLE log_owner NOLOGIN").unwrap();
    let runs = "SELECT count(*) FROM eventlog.maintenance_runs WHERE outcome = 'done'";
    let former = count(&mut client, runs);
    wait_for(&cluster, "runs of maintain()", || count(&mut client, runs) >= former + 2);
}
