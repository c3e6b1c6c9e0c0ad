//! The rollups and the rows that they do not hold yet are all events there were, at every moment.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use eventlog_tests::random::Random;
use eventlog_tests::{Cluster, Db, TENANT_A, TENANT_B, db, rows, scaled, text};
use postgres::Client;
use postgres::error::SqlState;

/// A watermark that moves all the time instead of once an hour.
const QUICK: &str = "CREATE OR REPLACE FUNCTION eventlog_private.next_watermark() RETURNS timestamptz LANGUAGE sql VOLATILE
    AS 'SELECT pg_catalog.clock_timestamp() - interval ''100 milliseconds'''";

pub(crate) const TYPES: &str =
    "SELECT eventlog.define_event('ping', duration_key => 'ms', success_key => 'ok');
    SELECT eventlog.define_event('pong', error_key => 'error', count_subjects => false)";

/// What the reports say, and what the rows do.
const COMPARED: &str = "
    SELECT (SELECT coalesce(sum(events), 0) FROM eventlog._counts_by_name(t, '2020-01-01', '2100-01-01', NULL, '1 day')),
           (SELECT coalesce(sum(events), 0) FROM eventlog._counts_by_name(t, '2020-01-01', '2100-01-01', NULL, '1 hour')),
           (SELECT coalesce(sum(events), 0) FROM eventlog._counts_by_subject(t, '2020-01-01', '2100-01-01', NULL)),
           (SELECT actors FROM eventlog.summary(now() - interval '9 years', now() + interval '1 year', tenant_id => t)),
           (SELECT count(*) FROM eventlog.events WHERE tenant_id = t),
           (SELECT count(*) FROM eventlog.events WHERE tenant_id = t AND subject IS NOT NULL AND name = 'ping'),
           (SELECT count(DISTINCT actor) FROM eventlog.events WHERE tenant_id = t)
      FROM (VALUES ('TENANT'::uuid)) AS one (t)";

fn assert_exact(client: &mut Client, tenant: &str) {
    // The snapshot comes before the plan: a partition that is attached between the two, and its rows,
    // would be in the reports, which are planned last, and not in the count of rows.
    client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM pg_class").unwrap();
    let row = rows(client, &COMPARED.replace("TENANT", tenant)).concat();
    client.batch_execute("COMMIT").unwrap();
    assert_eq!(
        (&row[0], &row[1], &row[2], &row[3]),
        (&row[4], &row[4], &row[5], &row[6]),
        "{row:?}"
    );
}

fn event(random: &mut Random) -> String {
    let subject =
        if random.one_in(3) { "NULL".to_owned() } else { format!("'s{}'", random.below(4)) };
    let actor =
        if random.one_in(4) { "NULL".to_owned() } else { format!("'a{}'", random.below(30)) };
    match random.below(3) {
        0 => format!(
            "'pong', '{{\"error\": \"E{}\"}}', actor => {actor}, subject => {subject}",
            random.below(3)
        ),
        _ => format!(
            "'ping', '{{\"ms\": {}, \"ok\": {}}}', actor => {actor}, subject => {subject}",
            random.below(5000),
            random.one_in(2)
        ),
    }
}

/// Returns false if the transaction cannot be serialized with those of readers.
fn has_no_serialization_failure(client: &mut Client, sql: &str) -> bool {
    match client.batch_execute(sql) {
        Ok(()) => true,
        Err(error) if error.code() == Some(&SqlState::T_R_SERIALIZATION_FAILURE) => false,
        Err(error) => panic!("{error:?}"),
    }
}

/// One random thing that a writer does; how many events it committed.
pub(crate) fn act(
    client: &mut Client,
    random: &mut Random,
    tenant: &str,
    number: usize,
    prepared: &Mutex<Vec<(String, u64)>>,
) -> u64 {
    let log =
        |random: &mut Random| format!("SELECT eventlog.log_event('{tenant}', {});", event(random));
    let nap = Duration::from_millis(random.below(700) as u64);
    match random.below(10) {
        // A long transaction, which the watermark overtakes, in any isolation.
        0 | 1 => {
            let isolation = random.pick(&["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"]);
            client
                .batch_execute(&format!(
                    "BEGIN ISOLATION LEVEL {isolation}; SELECT count(*) FROM eventlog.event_types"
                ))
                .unwrap();
            thread::sleep(nap);
            let logs = has_no_serialization_failure(client, &(log(random) + &log(random)));
            thread::sleep(nap / 2);
            let commits = !random.one_in(4) && logs;
            let ends = if commits { "COMMIT" } else { "ROLLBACK" };
            if has_no_serialization_failure(client, ends) && commits { 2 } else { 0 }
        }
        // A savepoint that is undone, late.
        2 => {
            client.batch_execute("BEGIN").unwrap();
            thread::sleep(nap);
            client
                .batch_execute(&format!(
                    "{} SAVEPOINT s; {} ROLLBACK TO s; {} COMMIT",
                    log(random),
                    log(random),
                    log(random)
                ))
                .unwrap();
            2
        }
        // Prepared now, ended by somebody later.
        3 => {
            let name = format!("{}_{number}_{}", tenant, random.bits());
            client
                .batch_execute(&format!("BEGIN; {} PREPARE TRANSACTION '{name}'", log(random)))
                .unwrap();
            prepared.lock().unwrap().push((name, 1));
            0
        }
        // A plain INSERT in a transaction that idled.
        4 => {
            client.batch_execute("BEGIN").unwrap();
            thread::sleep(nap);
            client
                .batch_execute(&format!("INSERT INTO eventlog.events (tenant_id, name, actor) VALUES ('{tenant}', 'pong', 'plain'); COMMIT"))
                .unwrap();
            1
        }
        5 => {
            thread::sleep(nap / 10);
            let sql = format!(
                "SELECT written FROM eventlog.log_events(ARRAY['{tenant}', '{tenant}', '{tenant}']::uuid[], '{{ping,pong,bogus}}', NULL)"
            );
            text(client, &sql).parse().unwrap()
        }
        _ => {
            client.batch_execute(&log(random)).unwrap();
            1
        }
    }
}

#[test]
fn whatever_writers_do_the_reports_count_each_event_once_at_every_moment() {
    let cluster = Cluster::start(&[("max_prepared_transactions", "2000")]);
    db::create_roles(&cluster);
    db::create_log(&cluster, "app");
    let mut superuser = cluster.connect("app", "postgres");
    superuser.batch_execute(QUICK).unwrap();
    let mut owner = cluster.connect("app", "log_owner");
    owner.batch_execute(TYPES).unwrap();
    owner
        .batch_execute(
            "SELECT eventlog.grant_service('member');
             CREATE TABLE eventlog.history (id bigint, tenant_id uuid, name text, data jsonb, created_at timestamptz, actor text)",
        )
        .unwrap();
    superuser.batch_execute("CREATE TABLE public.told (n int)").unwrap();
    let committed = [AtomicU64::new(0), AtomicU64::new(0)];
    let tenants = [TENANT_A, TENANT_B];
    let prepared: [Mutex<Vec<(String, u64)>>; 2] = [Mutex::default(), Mutex::default()];
    let is_over = AtomicBool::new(false);
    let deadline = Instant::now() + Duration::from_secs(scaled(8, 90) as u64);

    thread::scope(|scope| {
        for number in 0..6 {
            let (cluster, committed, prepared, is_over) =
                (&cluster, &committed, &prepared, &is_over);
            scope.spawn(move || {
                let mut random = Random::new();
                let which = number % 2;
                let mut client = cluster.connect("app", "member");
                while !is_over.load(Ordering::Relaxed) {
                    let events =
                        act(&mut client, &mut random, tenants[which], number, &prepared[which]);
                    committed[which].fetch_add(events, Ordering::Relaxed);
                }
            });
        }
        // Ends what was prepared, some time.
        {
            let (cluster, committed, prepared, is_over) =
                (&cluster, &committed, &prepared, &is_over);
            scope.spawn(move || {
                let mut random = Random::new();
                let mut client = cluster.connect("app", "member");
                loop {
                    let ends = is_over.load(Ordering::Relaxed);
                    thread::sleep(Duration::from_millis(if ends {
                        1
                    } else {
                        random.below(400) as u64
                    }));
                    let which = random.below(2);
                    let next = prepared[which].lock().unwrap().pop();
                    if let Some((name, events)) = next {
                        let commits = !random.one_in(3);
                        client
                            .batch_execute(&format!(
                                "{} PREPARED '{name}'",
                                if commits { "COMMIT" } else { "ROLLBACK" }
                            ))
                            .unwrap();
                        committed[which]
                            .fetch_add(if commits { events } else { 0 }, Ordering::Relaxed);
                    } else if ends && prepared.iter().all(|list| list.lock().unwrap().is_empty()) {
                        break;
                    }
                }
            });
        }
        // Old events by import, by the owner's INSERT and COPY into closed months, whose partitions
        // come and go.
        {
            let (cluster, committed, is_over) = (&cluster, &committed, &is_over);
            scope.spawn(move || {
                let mut random = Random::new();
                let mut client = cluster.connect("app", "log_owner");
                let mut id = 1_000_000_000u64;
                while !is_over.load(Ordering::Relaxed) {
                    thread::sleep(Duration::from_millis(random.below(500) as u64));
                    let which = random.below(2);
                    let (tenant, days) = (tenants[which], 40 + random.below(40));
                    id += 10;
                    let sql = if random.one_in(2) {
                        format!(
                            "TRUNCATE eventlog.history;
                             INSERT INTO eventlog.history SELECT {id} + g, '{tenant}', 'ping', '{{\"ms\": 7}}', now() - interval '{days} days', 'old'
                               FROM generate_series(1, 5) g;
                             SELECT eventlog.import_events('eventlog.history')"
                        )
                    } else {
                        format!(
                            "SELECT eventlog._make_partition(now() - interval '{days} days');
                             INSERT INTO eventlog.events (tenant_id, name, data, created_at) SELECT '{tenant}', 'pong', '{{}}', now() - interval '{days} days'
                               FROM generate_series(1, 5) g"
                        )
                    };
                    client.batch_execute(&sql).unwrap();
                    committed[which].fetch_add(5, Ordering::Relaxed);
                }
            });
        }
        // Maintenance all the time, killed now and then between and within its steps.
        {
            let (cluster, is_over) = (&cluster, &is_over);
            scope.spawn(move || {
                let mut random = Random::new();
                let mut killer = cluster.connect("app", "postgres");
                while !is_over.load(Ordering::Relaxed) {
                    let mut client = cluster.connect("app", "log_owner");
                    let pid = text(&mut client, "SELECT pg_backend_pid()");
                    thread::scope(|run| {
                        run.spawn(move || client.batch_execute("CALL eventlog.maintain()").is_ok());
                        if random.one_in(3) {
                            thread::sleep(Duration::from_millis(random.below(150) as u64));
                            killer
                                .batch_execute(&format!("SELECT pg_terminate_backend({pid})"))
                                .unwrap();
                        }
                    });
                }
            });
        }
        // Somebody who looks. track_activities hides the others.
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let mut looker = cluster.connect("app", "log_owner");
            let mut looks = 0;
            while Instant::now() < deadline {
                for tenant in tenants {
                    assert_exact(&mut looker, tenant);
                }
                looks += 1;
            }
            println!("{looks} looks");
        }));
        is_over.store(true, Ordering::Relaxed);
        result.unwrap();
    });

    for (tenant, committed) in tenants.iter().zip(&committed) {
        let counted = format!(
            "SELECT sum(events) FROM eventlog._counts_by_name('{tenant}', '2020-01-01', '2100-01-01', NULL, '1 day')"
        );
        assert_eq!(text(&mut owner, &counted), committed.load(Ordering::Relaxed).to_string());
    }
    // Everything comes into the rollups once all has ended.
    for _ in 0..3 {
        owner.batch_execute("CALL eventlog.maintain()").unwrap();
        thread::sleep(Duration::from_millis(300));
    }
    assert_eq!(text(&mut owner, "SELECT count(*) FROM eventlog.late_events"), "0");
    assert_eq!(
        rows(&mut owner, "SELECT * FROM eventlog.verify_rollups()"),
        Vec::<Vec<String>>::new()
    );
    for tenant in tenants {
        assert_exact(&mut owner, tenant);
    }
}

/// A log with a quick watermark.
fn quick() -> (Db, Client) {
    let db = Db::new();
    db.superuser().batch_execute(QUICK).unwrap();
    let mut owner = db.connect("log_owner");
    owner.batch_execute(TYPES).unwrap();
    (db, owner)
}

fn catch_up(owner: &mut Client) {
    thread::sleep(Duration::from_millis(150));
    owner.batch_execute("CALL eventlog.maintain()").unwrap();
}

#[test]
fn an_event_for_an_hour_that_was_dropped_or_thinned_is_added_to_what_is_counted() {
    let (_db, mut owner) = quick();
    let old = format!(
        "SELECT eventlog._make_partition(now() - interval '100 days');
         INSERT INTO eventlog.events (tenant_id, name, actor, data, created_at)
         SELECT '{TENANT_A}', 'ping', 'a' || g, '{{\"ms\": 10}}', date_trunc('hour', now() - interval '100 days') FROM generate_series(1, 10) g"
    );
    owner.batch_execute("UPDATE eventlog.log_config SET retention = '1 year'").unwrap();
    owner.batch_execute(&old).unwrap();
    catch_up(&mut owner);
    // Thinned, then dropped, with more that comes in between and after.
    owner
        .batch_execute(&format!("SELECT eventlog.set_tenant('{TENANT_A}', retention => '30 days')"))
        .unwrap();
    catch_up(&mut owner);
    assert_eq!(text(&mut owner, "SELECT count(*) FROM eventlog.events"), "0");
    owner.batch_execute(&old).unwrap();
    catch_up(&mut owner);
    owner.batch_execute("UPDATE eventlog.log_config SET retention = '60 days'").unwrap();
    catch_up(&mut owner);
    assert_eq!(
        text(
            &mut owner,
            "SELECT count(*) FROM eventlog._partitions WHERE from_at < now() - interval '90 days'"
        ),
        "0"
    );
    owner.batch_execute(&old).unwrap();
    let counted = format!(
        "SELECT sum(events), sum(weighted_events), sum(duration_sum), sum(duration_count),
                round(eventlog._percentile(eventlog._merge_histograms(duration_histogram), 0.5))
           FROM eventlog._counts_by_name('{TENANT_A}', now() - interval '1 year', now(), NULL, '1 day')"
    );
    // 20 that are gone, and 10 that are rows.
    assert_eq!(rows(&mut owner, &counted), [["30", "30", "300", "30", "10"]]);
    catch_up(&mut owner);
    assert_eq!(rows(&mut owner, &counted), [["30", "30", "300", "30", "10"]]);
    assert_eq!(
        text(&mut owner, "SELECT count(*) FROM eventlog.monthly_actors WHERE name = ''"),
        "10"
    );
}

#[test]
fn sampled_events_are_weighted_back_and_numbers_no_double_holds_are_left_out() {
    let (db, mut owner) = quick();
    owner
        .batch_execute("SELECT eventlog.define_event('ping', duration_key => 'ms', success_key => 'ok', sample_rate => 0.5)")
        .unwrap();
    let mut service = db.superuser();
    service
        .batch_execute(&format!(
            "SELECT eventlog.log_event('{TENANT_A}', 'ping', jsonb_build_object('ms', 10), actor => 'a' || g) FROM generate_series(1, 200) g;
             SELECT eventlog.log_event('{TENANT_A}', 'pong', '{{\"error\": \"x\", \"ms\": 1e400}}')"
        ))
        .unwrap();
    owner
        .batch_execute(
            "SELECT eventlog.define_event('pong', duration_key => 'ms', error_key => 'error')",
        )
        .unwrap();
    catch_up(&mut owner);
    let counts = "SELECT name, weighted_events = 2 * events OR name = 'pong', duration_count, failures FROM eventlog.daily_counts ORDER BY name";
    let rows = rows(&mut owner, counts);
    assert_eq!(rows[0][..2], ["ping", "t"]);
    assert_eq!(rows[1], ["pong", "t", "0", "1"]);
    assert_eq!(text(&mut owner, "SELECT count(*) FROM eventlog.verify_rollups()"), "0");
}

#[test]
fn a_member_on_a_standby_reads_the_same_figures() {
    let cluster = Cluster::start(&[]);
    db::create_roles(&cluster);
    db::create_log(&cluster, "app");
    cluster.psql("app", "postgres", QUICK).unwrap();
    let mut owner = cluster.connect("app", "log_owner");
    owner.batch_execute(TYPES).unwrap();
    owner
        .batch_execute(&format!("SELECT eventlog.log_event('{TENANT_A}', 'ping', actor => 'a' || g) FROM generate_series(1, 20) g"))
        .unwrap();
    catch_up(&mut owner);
    owner.batch_execute(&format!("SELECT eventlog.log_event('{TENANT_A}', 'ping')")).unwrap();
    let standby = cluster.standby();
    let mut member = standby.connect("app", "member");
    member.batch_execute(&format!("SET eventlog.tenant_id = '{TENANT_A}'")).unwrap();
    assert_eq!(rows(&mut member, "SELECT events, actors FROM eventlog.summary()"), [["21", "20"]]);
}

/// Of a service's plain INSERT that the watermark overtook only the event itself tells the tenant.
#[test]
fn a_late_event_of_a_service_is_counted_for_its_tenant_and_seen_by_no_other() {
    let (db, mut owner) = quick();
    owner.batch_execute("SELECT eventlog.grant_service('service')").unwrap();
    let mut service = db.connect("service");
    service.batch_execute("BEGIN; SELECT count(*) FROM eventlog.event_types").unwrap();
    thread::sleep(Duration::from_millis(300));
    catch_up(&mut owner);
    service
        .batch_execute(&format!(
            "INSERT INTO eventlog.events (tenant_id, name) VALUES ('{TENANT_B}', 'ping'); COMMIT"
        ))
        .unwrap();
    let note = "SELECT count(*), count(tenant_id) FROM eventlog.late_events";
    assert_eq!(rows(&mut owner, note), [["1", "1"]]);
    let mut member = db.connect("member");
    for (tenant, expected) in [(TENANT_A, "0"), (TENANT_B, "1")] {
        member.batch_execute(&format!("SET eventlog.tenant_id = '{tenant}'")).unwrap();
        assert_eq!(rows(&mut member, note), [[expected, expected]]);
        assert_eq!(
            text(&mut member, "SELECT events FROM eventlog.summary(until => 'tomorrow')"),
            expected
        );
    }
    assert_eq!(rows(&mut service, note), [["1", "1"]]);
}
