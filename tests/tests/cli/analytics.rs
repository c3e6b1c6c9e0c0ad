//! `GET /api/analytics/…`: the reports, each as its function gives it, to the tenant of a key.

use std::io::{BufRead, BufReader, Write};

use eventlog_tests::{Cluster, Db, TENANT_A, TENANT_B, assert_refused, db, rows, text};
use serde_json::Value;

use crate::http::{Answer, Http};
use crate::seed::{MARKUP, seed};
use crate::server::{GATEWAY, Gateway, World, answers, eventlog, grant_gateway, make_key};

/// What is asked, and what the extension says of the same.
const ASKED: &[(&str, &str)] = &[
    ("summary?since=2026-01-01T00:00:00Z", "summary(since => '2026-01-01')"),
    ("summary", "summary()"),
    (
        "summary?name=skill_executed&name=tool_used",
        "summary(names => '{skill_executed,tool_used}')",
    ),
    ("days", "events_per_day()"),
    (
        "days?name=tool_used&time_zone=Asia/Kolkata",
        "events_per_day(names => '{tool_used}', time_zone => 'Asia/Kolkata')",
    ),
    ("hours", "events_per_hour()"),
    ("tools", "subject_stats()"),
    ("tools?name=skill_executed", "subject_stats(names => '{skill_executed}')"),
    ("subjects?limit=3", "top_subjects(row_limit => 3)"),
    ("subjects?prefix=tool/", "top_subjects(prefix => 'tool/')"),
    ("actors", "active_actors()"),
    ("actors?name=tool_used", "active_actors(name => 'tool_used')"),
    ("retention", "cohort_retention()"),
    (
        "retention?period=month&first=conversation_started&returning=tool_used",
        "cohort_retention(period => 'month', first_name => 'conversation_started', returning_name => 'tool_used')",
    ),
    ("errors", "recent_errors()"),
    (
        "errors?name=skill_executed&limit=1",
        "recent_errors(names => '{skill_executed}', row_limit => 1)",
    ),
    ("events?limit=20", "get_events(row_limit => 20)"),
    (
        "events?actor=user-42&subject=tool/search&name=tool_used",
        "get_events(actors => '{user-42}', subjects => '{tool/search}', names => '{tool_used}')",
    ),
    (
        "events?contains=%7B%22errorType%22%3A%22timeout%22%7D&limit=5",
        "get_events(contains => '{\"errorType\": \"timeout\"}', row_limit => 5)",
    ),
    (
        "funnel?step=conversation_started&step=message_sent&step=tool_used&within=3+days",
        "funnel('{conversation_started,message_sent,tool_used}', within => '3 days')",
    ),
    ("funnel?step=tool_used&by=toolName", "funnel('{tool_used}', by => 'toolName')"),
    // By the names of the functions and of their arguments.
    (
        "events_per_day?names=tool_used&time_zone=Asia/Kolkata",
        "events_per_day(names => '{tool_used}', time_zone => 'Asia/Kolkata')",
    ),
    ("get_events?min_weight=0.5&row_limit=3", "get_events(min_weight => 0.5, row_limit => 3)"),
    ("usage_summary?prefix=tool/", "usage_summary(prefix => 'tool/')"),
    ("unused_subjects?idle_for=0+days", "unused_subjects(idle_for => '0 days')"),
];

fn read(http: &mut Http, key: &str, path: &str) -> Answer {
    http.ask("GET", &format!("/api/analytics/{path}"), &[("X-Api-Key", key)], b"")
}

/// A gateway over a log with a past, and a key to read for each of two tenants.
struct Past {
    world: World,
    read_a: String,
    read_b: String,
}

fn past(options: &[&str]) -> Past {
    let world = World::new(options);
    seed(db::shared(), &world.db.name);
    let read_a = world.key(&["--kind", "read"]);
    let read_b = make_key(db::shared(), &world.db.name, TENANT_B, &["--kind", "read"]);
    Past { world, read_a, read_b }
}

fn report(db: &Db, tenant: &str, call: &str) -> Value {
    let mut client = db.connect_as("reader", tenant);
    let json =
        text(&mut client, &format!("SELECT coalesce(json_agg(r), '[]') FROM eventlog.{call} r"));
    serde_json::from_str(&json).unwrap()
}

/// As the gateway serves it: ids are text. Without the start of a span until now, which moves.
fn served(mut rows: Value) -> Value {
    for row in rows.as_array_mut().unwrap() {
        row.as_object_mut().unwrap().remove("covered_since");
        for id in ["id", "last_id"] {
            if let Some(Value::Number(number)) = row.get(id) {
                row[id] = number.to_string().into();
            }
        }
    }
    rows
}

#[test]
fn each_route_gives_what_its_function_gives() {
    let Past { world, read_a, read_b } = past(&[]);
    let mut http = world.http();
    for (asked, call) in ASKED {
        for (key, tenant) in [(&read_a, TENANT_A), (&read_b, TENANT_B)] {
            // The end of a span is now, which moves.
            let before = served(report(&world.db, tenant, call));
            let answer = read(&mut http, key, asked);
            let after = served(report(&world.db, tenant, call));
            assert_eq!(answer.status, 200, "{asked}: {}", answer.text());
            assert_eq!(answer.header("cache-control"), Some("no-store"));
            // Whoever shows it, no text of it is markup.
            assert!(!answer.text().contains('<'), "{asked}");
            let found = answer.json();
            assert_eq!(found["tenant_id"], tenant, "{asked}");
            let found_rows = served(found["rows"].clone());
            if found_rows != before {
                assert_eq!(found_rows, after, "{asked} of {tenant}");
            }
            let is_empty = found["rows"].as_array().unwrap().is_empty();
            assert!(tenant == TENANT_B || !is_empty, "{asked} says nothing");
        }
    }
    let declared = read(&mut http, &read_a, "names").json();
    let declared = declared["rows"].as_array().unwrap();
    assert!(declared.iter().any(|name| name["name"] == "tool_used" && name["domain"] == "usage"));
    let events = read(&mut http, &read_a, "events?limit=1").json();
    assert_eq!(events["rows"][0]["subject"], MARKUP);
}

#[test]
fn pages_of_events_follow_each_other() {
    let Past { world, read_a, .. } = past(&[]);
    let mut http = world.http();
    let (mut ids, mut next) = (Vec::new(), String::new());
    for _ in 0..4 {
        let page = read(&mut http, &read_a, &format!("events?limit=150{next}")).json();
        let rows = page["rows"].as_array().unwrap();
        ids.extend(rows.iter().map(|row| row["id"].as_str().unwrap().parse::<i64>().unwrap()));
        let last = rows.last().unwrap();
        let at = last["created_at"].as_str().unwrap().replace('+', "%2B");
        next = format!("&before_created_at={at}&before_id={}", last["id"].as_str().unwrap());
    }
    let all = report(&world.db, TENANT_A, "get_events(row_limit => 600)");
    let all: Vec<i64> =
        all.as_array().unwrap().iter().map(|row| row["id"].as_i64().unwrap()).collect();
    assert_eq!(ids, all);
}

#[test]
fn a_key_reads_its_own_tenant_and_the_policies_say_so() {
    let Past { world, read_a, read_b } = past(&[]);
    let mut http = world.http();
    let names = |answer: Answer| -> Vec<(String, i64)> {
        let answer = answer.json();
        let row = |row: &Value| {
            let count = row.get("events").or(row.get("rows")).unwrap();
            (row["name"].as_str().unwrap().to_owned(), count.as_i64().unwrap())
        };
        answer["rows"].as_array().unwrap().iter().map(row).collect()
    };
    // What the gateway quarantined for a tenant is that tenant's, whoever it was claimed for is not.
    let rejected = names(read(&mut http, &read_a, "rejected"));
    assert_eq!(rejected, [(MARKUP.to_owned(), 1), ("tool_usd".to_owned(), 3)]);
    let rejected = names(read(&mut http, &read_b, "rejected"));
    let of_b: Vec<&str> = rejected.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(of_b, ["of_b", "of_b_too"]);
    // A view that knows no tenant counts the tenant's own all the same.
    let used: Vec<(String, i64)> = names(read(&mut http, &read_b, "taxonomy"))
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .collect();
    assert_eq!(used, [("tool_used".to_owned(), 50)]);

    // The role itself reads nothing without a tenant, and no other tenant's with one.
    let mut role = world.db.connect(GATEWAY);
    for table in ["events", "rejected_events", "daily_counts", "monthly_actors", "late_events"] {
        assert_refused(
            &mut role,
            &format!("SELECT count(*) FROM eventlog.{table}"),
            "42501",
            "tenant",
        );
    }
    let mut role = world.db.connect_as(GATEWAY, TENANT_B);
    for table in ["events", "hourly_counts", "daily_counts", "daily_subjects", "monthly_actors"] {
        let sql = format!("SELECT DISTINCT tenant_id FROM eventlog.{table}");
        assert_eq!(rows(&mut role, &sql), [[TENANT_B]], "{table}");
    }
    let sql = format!("SELECT events FROM eventlog.summary(tenant_id => '{TENANT_A}')");
    assert_eq!(text(&mut role, &sql), "0");
    // It is a service that logs for all.
    let sql = format!(
        "SELECT eventlog.log_event('{TENANT_A}', 'tool_used', '{{\"toolName\": \"t\"}}') > 0"
    );
    assert_eq!(text(&mut role, &sql), "t");

    // Another grant to the same role, and a log that is made again, change nothing of that.
    let mut owner = world.db.connect("log_owner");
    owner
        .batch_execute(&format!(
            "SELECT eventlog.grant_service('{GATEWAY}'); SELECT eventlog.create_log()"
        ))
        .unwrap();
    assert_eq!(
        text(
            &mut role,
            &format!("SELECT count(*) FROM eventlog.events WHERE tenant_id = '{TENANT_A}'")
        ),
        "0"
    );
    owner.batch_execute(&format!("SELECT eventlog.revoke_role('{GATEWAY}')")).unwrap();
    assert_refused(&mut role, "SELECT count(*) FROM eventlog.events", "42501", "permission denied");
    let left = text(&mut owner, "SELECT count(*) FROM pg_policy WHERE polname LIKE '%gateway%'");
    assert_eq!(left, "0");
}

#[test]
fn only_a_key_to_read_reads_and_it_has_a_limit() {
    let Past { world, read_a, .. } = past(&[]);
    let mut http = world.http();
    let flipped = format!("{}{}", &read_a[..85], if read_a.ends_with('0') { '1' } else { '0' });
    for path in ["summary", "rejected", "live"] {
        for key in ["", "x", flipped.as_str()] {
            assert_eq!(read(&mut http, key, path).status, 401, "{path}");
        }
        let answer = read(&mut http, &world.key_a, path);
        assert_eq!((answer.status, answer.message().as_str()), (403, "this key can only write"));
    }
    assert_eq!(http.track(&read_a, r#"{"toolName":"t"}"#).status, 403);
    // Never in the address, which proxies and browsers write down.
    assert_eq!(http.get(&format!("/api/analytics/summary?key={read_a}")).status, 401);

    let slow = world.key(&["--kind", "read", "--rate-limit", "2"]);
    let statuses: Vec<u16> = (0..3).map(|_| read(&mut http, &slow, "names").status).collect();
    assert_eq!(statuses, [200, 200, 429]);
    assert!(read(&mut http, &slow, "names").header("retry-after").is_some());
}

#[test]
fn what_makes_no_sense_is_400_and_names_the_parameter() {
    let Past { world, read_a, .. } = past(&[]);
    let mut http = world.http();
    for (path, says) in [
        ("summary?since=yesterday", "since must be a day"),
        ("summary?until=2026-13-01", "until must be"),
        ("summary?since=2026-02-01&until=2026-01-01", "since must be before until"),
        ("summary?since=1990-01-01", "limit 3700"),
        ("summary?sinc=2026-01-01", "unknown parameter \"sinc\"; known are since, until, names"),
        ("summary?tenant_id=b", "unknown parameter \"tenant_id\""),
        ("names?x=1", "unknown parameter \"x\"; this path takes none"),
        ("hours?since=2020-01-01", "limit 8784"),
        ("days?time_zone=Mars/Olympus", "time_zone must be a time zone by name"),
        ("days?time_zone=UTC&since=2026-02-01&until=2026-01-01", "since must be before until"),
        ("subjects?limit=0", "limit must be"),
        ("subjects?limit=100000", "limit must be"),
        ("retention?period=year", "unknown period \"year\" (day, week or month)"),
        ("retention?period=day&since=2020-01-01", "limit 600"),
        ("events?contains=[1]", "contains must be a JSON object"),
        ("events?before_id=1", "must be given together"),
        ("events?contains=%7B%22a%22%3A%22%5Cu0000%22%7D", "Unicode"),
        ("events?actor=%00", "actor must be text"),
        ("funnel", "steps is missing: ?steps=…&steps=…"),
        ("experiment_results?metric=a", "exposure is missing"),
        (
            "experiment_results?exposure=skill_executed&variant_key=skillName&metric=tool_used&ratios=1",
            "ratios must be a JSON object",
        ),
        (
            "experiment_results?exposure=skill_executed&variant_key=skillName&metric=tool_used&within=0+days",
            "within must be positive",
        ),
        ("funnel?step=a&within=long", "within must be a span"),
        ("funnel?step=a&within=0+days", "within"),
    ] {
        let answer = read(&mut http, &read_a, path);
        assert_eq!(answer.status, 400, "{path}: {}", answer.text());
        assert!(answer.message().contains(says), "{path}: {}", answer.message());
        // Limits and keys, but no text that was given.
        assert!(!answer.message().contains("Mars"), "{path}: {}", answer.message());
    }
    let steps = "step=a&".repeat(21);
    assert_eq!(read(&mut http, &read_a, &format!("funnel?{steps}")).status, 400);
    // What looks like SQL is text.
    let quoted = "x'); DROP TABLE eventlog.events; --".replace(' ', "+").replace(';', "%3B");
    assert_eq!(read(&mut http, &read_a, &format!("events?actor={quoted}")).status, 200);
    assert_eq!(read(&mut http, &read_a, &format!("funnel?step=a&by={quoted}")).status, 200);
}

#[test]
fn a_report_that_takes_too_long_is_ended() {
    let Past { world, read_a, .. } = past(&["--query-timeout", "200ms"]);
    let mut http = world.http();
    let mut superuser = world.db.superuser();
    let mut transaction = superuser.transaction().unwrap();
    transaction.batch_execute("LOCK TABLE eventlog.events").unwrap();
    let answer = read(&mut http, &read_a, "summary");
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("60")));
    assert!(answer.message().contains("longer than 200ms"), "{}", answer.message());
    // What asks nothing of the table is answered meanwhile, and then all is.
    until_it_goes_well(&mut http, &read_a, "names");
    transaction.rollback().unwrap();
    until_it_goes_well(&mut http, &read_a, "summary");
    let left = text(
        &mut superuser,
        &format!(
            "SELECT count(*) FROM pg_stat_activity WHERE usename = '{GATEWAY}' AND datname = current_database() AND state <> 'idle'"
        ),
    );
    assert_eq!(left, "0");
}

#[test]
fn a_gateway_that_could_read_more_than_its_tenant_reads_nothing() {
    let Past { world, read_a, .. } = past(&[]);
    // A superuser is bound by no policy; it may look keys up.
    for role in ["postgres", "log_owner"] {
        let gateway = Gateway::start_command(eventlog(db::shared(), &world.db.name, role), &[]);
        let answer = read(&mut gateway.http(), &read_a, "summary");
        assert_eq!(answer.status, 503, "{role}: {}", answer.text());
        assert!(answer.message().contains("eventlog.grant_gateway"), "{}", answer.message());
    }
}

#[test]
fn while_the_database_is_away_a_report_is_503_and_then_comes_again() {
    let cluster = Cluster::start(&[]);
    db::create_roles(&cluster);
    db::create_log(&cluster, "app");
    grant_gateway(&cluster, "app");
    let key = make_key(&cluster, "app", TENANT_A, &["--kind", "read"]);
    let gateway = Gateway::start(&cluster, "app", &["--key-cache", "50ms"]);
    let mut http = gateway.http();
    assert_eq!(read(&mut http, &key, "summary").status, 200);
    cluster.stop();
    for path in ["summary", "taxonomy", "live"] {
        let answer = read(&mut http, &key, path);
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("5")), "{path}");
        assert_eq!(answer.message(), "the database is not available");
    }
    cluster.start_again();
    until_it_goes_well(&mut http, &key, "summary");
}

/// Asks again for as long as the answer is 503: for a slow machine, or a server that starts.
#[track_caller]
fn until_it_goes_well(http: &mut Http, key: &str, path: &str) {
    for _ in 0..1000 {
        let answer = read(http, key, path);
        if answer.status == 200 {
            return;
        }
        assert_eq!(answer.status, 503, "{path}: {}", answer.text());
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("{path} is 503 for ever");
}

/// The lines of a stream, as they come.
fn stream(gateway: &Gateway, key: &str) -> impl Iterator<Item = String> + use<> {
    let mut socket = gateway.http().raw();
    let request =
        format!("GET /api/analytics/live HTTP/1.1\r\nHost: test\r\nX-Api-Key: {key}\r\n\r\n");
    socket.write_all(request.as_bytes()).unwrap();
    BufReader::new(socket).lines().map_while(Result::ok)
}

#[test]
fn news_of_a_tenant_reach_its_own_streams_and_a_stop_ends_them() {
    let Past { world, read_a, read_b } = past(&[]);
    let mut own = stream(&world.gateway, &read_a);
    assert!(own.next().unwrap().contains("200"));
    assert!(own.any(|line| line == "event: open"));
    let mut others = stream(&world.gateway, &read_b);
    assert!(others.any(|line| line == "event: open"));
    let mut http = world.http();
    assert_eq!(http.track_and_wait(&world.key_a, r#"{"toolName":"t"}"#).status, 200);
    assert!(own.any(|line| line == "event: tick"), "the stream ended");
    drop(http);
    let World { gateway, .. } = world;
    let (code, log) = gateway.stop();
    assert_eq!(code, Some(0), "{log}");
    assert!(!log.contains("cut off"), "{log}");
    assert!(own.all(|line| line != "event: tick"));
    assert!(others.all(|line| line != "event: tick"), "of another tenant's event");
}

/// Asks until it is so.
#[track_caller]
fn wait_for(mut is_so: impl FnMut() -> bool) {
    for _ in 0..1200 {
        if is_so() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("it is still not so");
}

/// The reports with their arguments, as the catalog lists them.
fn listed(db: &Db) -> Vec<(String, Vec<String>)> {
    let sql = "SELECT name, array_to_string(ARRAY(SELECT a ->> 'name' FROM jsonb_array_elements(arguments) a
                                                   WHERE a ->> 'name' <> 'tenant_id'), ' ') FROM eventlog.reports()";
    let names = |text: &String| text.split_whitespace().map(str::to_owned).collect();
    rows(&mut db.superuser(), sql).iter().map(|row| (row[0].clone(), names(&row[1]))).collect()
}

#[test]
fn every_report_of_the_catalog_is_served_and_no_other_function() {
    let Past { world, read_a, .. } = past(&[]);
    let mut http = world.http();
    let reports = listed(&world.db);
    assert!(reports.len() >= 19, "{reports:?}");
    for (report, _) in &reports {
        let query = match report.as_str() {
            "funnel" => "?steps=tool_used",
            "funnel_dropouts" => "?steps=tool_used&step=1",
            "experiment_results" => {
                "?exposure=skill_executed&variant_key=skillName&metric=tool_used"
            }
            _ => "",
        };
        let answer = read(&mut http, &read_a, &format!("{report}{query}"));
        assert_eq!(answer.status, 200, "{report}: {}", answer.text());
        assert_eq!(answer.json()["tenant_id"], TENANT_A, "{report}");
    }
    let functions = rows(
        &mut world.db.superuser(),
        "SELECT DISTINCT p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
          WHERE n.nspname IN ('eventlog', 'eventlog_private') ORDER BY 1",
    );
    let others = functions.iter().map(|row| &row[0]);
    let others: Vec<_> =
        others.filter(|name| reports.iter().all(|(report, _)| report != *name)).collect();
    assert!(others.len() > 100, "{}", others.len());
    for name in
        others.into_iter().map(String::as_str).chain(["now", "summary%20", "Summary", "%22"])
    {
        let answer = read(&mut http, &read_a, name);
        assert_eq!(answer.status, 404, "{name}: {}", answer.text());
        assert_eq!(read(&mut http, "", name).status, 401, "{name}");
    }
    let said = read(&mut http, &read_a, "sumary").message();
    assert!(said.contains("there is no report \"sumary\""), "{said}");
    // Short paths are counted with the report that they stand for.
    assert_eq!(read(&mut http, &read_a, "days").status, 200);
    let counted = answers(&mut http);
    let of = |route: &str| {
        let own = counted.iter().filter(|(labels, _)| labels.contains(&format!("\"{route}\"")));
        own.map(|(_, count)| count).sum::<u64>()
    };
    assert_eq!(of("/api/analytics/events_per_day"), 2, "{counted:?}");
    assert_eq!(of("/api/analytics/days"), 0, "{counted:?}");
}

#[test]
fn reports_are_the_same_where_the_server_quotes_all_identifiers() {
    let Past { world, read_a, .. } = past(&[]);
    let asked = "events_per_day?since=2020-01-01&until=2020-01-03&name=tool_used";
    let mut http = world.http();
    let (described, plain) = (http.get("/api/openapi.json"), read(&mut http, &read_a, asked));
    assert_eq!(plain.status, 200, "{}", plain.text());
    let sql = format!("ALTER DATABASE {} SET quote_all_identifiers = on", world.db.name);
    world.db.superuser().batch_execute(&sql).unwrap();
    let quoting = Gateway::start(db::shared(), &world.db.name, &[]);
    let mut http = Http::to(quoting.address);
    assert_eq!(http.get("/api/openapi.json").json(), described.json());
    let answer = read(&mut http, &read_a, asked);
    assert_eq!((answer.status, answer.text()), (200, plain.text()));
}

#[test]
fn a_report_that_is_new_in_the_catalog_is_served_and_described() {
    let Past { world, read_a, read_b } = past(&[]);
    let mut http = world.http();
    let mut superuser = world.db.superuser();
    assert_eq!(read(&mut http, &read_a, "busiest").status, 404);
    let create = |name: &str, arguments: &str, properties: &str| {
        format!(
            "CREATE FUNCTION eventlog.{name}({arguments}tenant_id uuid DEFAULT NULL)
             RETURNS TABLE (last_id bigint, events bigint) LANGUAGE sql {properties} AS
             $$ SELECT max(e.id), count(*) FROM eventlog.events e WHERE e.created_at < now() + interval '1 hour' $$;"
        )
    };
    superuser
        .batch_execute(
            &[
                // Those that write, that run as their owner, that the role may not call, or that need a value of a
                // type that the gateway cannot check, are no routes.
                create("writes", "", "VOLATILE"),
                create("of_the_owner", "", "STABLE SECURITY DEFINER"),
                create("not_ours", "", "STABLE"),
                "REVOKE EXECUTE ON FUNCTION eventlog.not_ours FROM PUBLIC;".to_owned(),
                create("of_a_point", "at point, ", "STABLE"),
                create(
                    "busiest",
                    "near point DEFAULT NULL, at_least integer DEFAULT 1, ",
                    "STABLE",
                ),
                "COMMENT ON FUNCTION eventlog.busiest IS 'The busiest (in all). With more.'"
                    .to_owned(),
            ]
            .concat(),
        )
        .unwrap();
    wait_for(|| read(&mut http, &read_a, "busiest").status == 200);
    for (key, tenant) in [(&read_a, TENANT_A), (&read_b, TENANT_B)] {
        let found = read(&mut http, key, "busiest?at_least=2").json();
        let sql = format!(
            "SELECT max(id), count(*) FROM eventlog.events WHERE tenant_id = '{tenant}' AND created_at < now() + interval '1 hour'"
        );
        let truth = &rows(&mut superuser, &sql)[0];
        assert_eq!(found["rows"][0]["last_id"], truth[0]);
        assert_eq!(found["rows"][0]["events"].to_string(), truth[1]);
    }
    for query in ["at_least=x", "at_least=2147483648", "near=(1,2)", "tenant_id=1"] {
        assert_eq!(read(&mut http, &read_a, &format!("busiest?{query}")).status, 400, "{query}");
    }
    for name in ["writes", "of_the_owner", "not_ours", "of_a_point"] {
        assert_eq!(read(&mut http, &read_a, name).status, 404, "{name}");
    }
    let all = http.get("/api/openapi.json").json();
    let described = &all["paths"]["/api/analytics/busiest"]["get"];
    assert_eq!(described["summary"], "The busiest (in all)");
    assert_eq!(described["parameters"][0]["name"], "at_least");
    assert_eq!(described["parameters"][1]["name"], "tenant");
    superuser.batch_execute("DROP FUNCTION eventlog.busiest").unwrap();
    wait_for(|| read(&mut http, &read_a, "busiest").status == 404);
}

/// Each parameter and each column that the description has, and no other.
#[test]
fn the_description_has_every_parameter_and_every_column() {
    let Past { world, read_a, .. } = past(&[]);
    let mut http = world.http();
    let all = http.get("/api/openapi.json").json();
    let mut listed = listed(&world.db);
    listed.extend(
        ["alert_changes", "alerts", "names", "rejected", "taxonomy"]
            .map(|view| (view.to_owned(), Vec::new())),
    );
    listed.sort();
    let paths = all["paths"].as_object().unwrap();
    let mut described = 0;
    for (path, methods) in paths {
        let Some(report) = path.strip_prefix("/api/analytics/").filter(|name| *name != "live")
        else {
            continue;
        };
        assert_eq!(report, listed[described].0);
        let parameters: Vec<&str> = methods["get"]["parameters"]
            .as_array()
            .unwrap()
            .iter()
            .map(|parameter| parameter["name"].as_str().unwrap())
            // Every report has these, which are no arguments of a function.
            .filter(|name| !["tenant", "format"].contains(name))
            .collect();
        assert_eq!(parameters, listed[described].1, "{report}");
        let refusal = read(&mut http, &read_a, &format!("{report}?nonesuch=1")).message();
        let known = refusal.split_once("known are ").map_or("", |(_, names)| names);
        assert_eq!(parameters.join(", "), known, "{report}");
        assert!(!methods["get"]["description"].as_str().unwrap().is_empty(), "{report}");

        let query = match report {
            "funnel" => "?step=tool_used",
            "funnel_dropouts" => "?steps=tool_used&step=1",
            "experiment_results" => {
                "?exposure=skill_executed&variant_key=skillName&metric=tool_used"
            }
            _ => "",
        };
        let found = read(&mut http, &read_a, &format!("{report}{query}")).json();
        let content = &methods["get"]["responses"]["200"]["content"]["application/json"];
        let schema = &content["schema"];
        assert_valid(&found, schema, report);
        let columns = schema["properties"]["rows"]["items"]["properties"].as_object().unwrap();
        if let Some(row) = found["rows"][0].as_object() {
            assert!(row.keys().eq(columns.keys()), "{report}: {row:?}");
        }
        described += 1;
    }
    assert_eq!(described, listed.len());
}

/// As far as the description's own words go.
fn assert_valid(value: &Value, schema: &Value, at: &str) {
    let kinds: Vec<&str> = match &schema["type"] {
        Value::Null => return,
        Value::Array(kinds) => kinds.iter().map(|kind| kind.as_str().unwrap()).collect(),
        kind => vec![kind.as_str().unwrap()],
    };
    let is_kind = |kind: &&str| match *kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("{other}"),
    };
    assert!(kinds.iter().any(is_kind), "{at}: {value} is no {kinds:?}");
    if let Some(items) = value.as_array() {
        for item in items {
            assert_valid(item, &schema["items"], at);
        }
    }
    if let (Some(object), Some(properties)) = (value.as_object(), schema["properties"].as_object())
    {
        for required in schema["required"].as_array().unwrap() {
            assert!(object.contains_key(required.as_str().unwrap()), "{at}: no {required}");
        }
        for (key, value) in object {
            assert_valid(value, &properties[key], &format!("{at}.{key}"));
        }
    }
}
