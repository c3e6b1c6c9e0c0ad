//! Keys that anybody can read: what they cannot touch, and whom their events name. And what the
//! gateway reads and says where the log is another than it thinks.

use eventlog_tests::{Cluster, TENANT_A, db, rows, text};
use serde_json::json;

use crate::server::{GATEWAY, Gateway, World, eventlog, failed, grant_gateway, make_key, printed};

#[test]
fn a_public_key_cannot_take_an_idempotency_key_that_a_service_is_about_to_use() {
    let world = World::new(&[]);
    let public = world.key(&["--event", "tool_used"]);
    let mut http = world.http();
    let taken = json!({ "toolName": "t", "idempotencyKey": "cs_1" }).to_string();
    let first = http.track_and_wait(&public, &taken).json();
    assert_eq!(first["verdicts"][0]["status"], "written");
    let mut service = world.db.connect_as("writer", TENANT_A);
    let payment = "SELECT eventlog.log_event(NULL, 'checkout_completed',
             '{\"plan\": \"pro\", \"stripeSessionId\": \"cs_1\"}', idempotency_key => 'cs_1')";
    assert_ne!(text(&mut service, payment), first["verdicts"][0]["id"].as_str().unwrap());
    // Of its own it is the same event, and said to be.
    let again = http.track_and_wait(&public, &taken).json();
    assert_eq!(again["verdicts"][0]["status"], "duplicate");
    assert_eq!(again["verdicts"][0]["id"], first["verdicts"][0]["id"]);
    assert_eq!((&again["written"], &again["duplicate"]), (&json!(0), &json!(1)));
    let names = "SELECT name FROM eventlog.events ORDER BY id";
    let names = rows(&mut world.db.superuser(), names);
    assert_eq!(names, [["tool_used"], ["checkout_completed"]]);
    // A key for every name shares the service's.
    let whole = json!({ "toolName": "t", "idempotencyKey": "cs_1" }).to_string();
    let whole = http.track_and_wait(&world.key_a, &whole).json();
    assert_eq!(whole["verdicts"][0]["status"], "duplicate");
}

#[test]
fn the_actor_of_a_key_is_that_of_all_its_events_or_there_is_none() {
    let world = World::new(&[]);
    let (one, none) = (world.key(&["--actor", "shop"]), world.key(&["--no-actor"]));
    let mut http = world.http();
    let (plain, named) = (r#"{"toolName":"t"}"#, r#"{"toolName":"t","userId":"eve"}"#);
    assert_eq!(http.track(&one, plain).status, 202);
    assert_eq!(http.track(&one, r#"{"toolName":"t","userId":"shop"}"#).status, 202);
    assert_eq!(http.track(&none, plain).status, 202);
    world.settle();
    for key in [&one, &none] {
        let answer = http.track(key, named);
        assert_eq!(answer.status, 403);
        assert!(answer.message().contains("may name no"), "{}", answer.message());
        let header = [("X-Api-Key", key.as_str()), ("X-User-Id", "eve")];
        assert_eq!(http.ask("POST", "/api/track", &header, plain.as_bytes()).status, 403);
    }
    // Nor in the payload, where its type takes the actor from there.
    let mut owner = world.db.connect("log_owner");
    owner
        .batch_execute(
            "SELECT eventlog.define_event('opened', optional_keys => '{who}', actor_key => 'who')",
        )
        .unwrap();
    let none = world.key(&["--no-actor"]);
    let hidden = r#"{"name":"opened","data":{"who":"eve"}}"#;
    assert!(http.track(&none, hidden).message().contains("who in data"));
    assert_eq!(http.track(&none, r#"{"name":"opened","data":{"who":null}}"#).status, 202);
    assert_eq!(http.track(&one, hidden).status, 202);
    let found = world.events("name, actor");
    let expected = [
        ["tool_used", "shop"],
        ["tool_used", "shop"],
        ["tool_used", "∅"],
        ["opened", "∅"],
        ["opened", "shop"],
    ];
    assert_eq!(found, expected);

    let list = || {
        let mut command = eventlog(db::shared(), &world.db.name, "log_owner");
        command.args(["key", "list"]);
        command
    };
    let keys: serde_json::Value = serde_json::from_str(&printed(list().arg("--json"))).unwrap();
    let keys: Vec<_> =
        keys.as_array().unwrap().iter().map(|k| [&k["actor"], &k["no_actor"]]).collect();
    assert!(keys.contains(&[&json!("shop"), &json!(false)]), "{keys:?}");
    assert!(keys.contains(&[&json!(null), &json!(true)]), "{keys:?}");
    let tabs = printed(&mut list());
    assert!(tabs.contains("\t\\N\ttrue\t") && tabs.contains("\tshop\tfalse\t"), "{tabs}");
    for wrong in
        [&["--actor", "a", "--no-actor"][..], &["--actor", ""], &["--kind", "read", "--no-actor"]]
    {
        let mut command = eventlog(db::shared(), &world.db.name, "log_owner");
        command.args(["key", "create", "--tenant", TENANT_A]).args(wrong);
        let code = if wrong.len() == 3 && wrong[0] == "--actor" { 2 } else { 1 };
        assert!(failed(&mut command, code).contains("actor"), "{wrong:?}");
    }
}

#[test]
fn what_comes_by_http_is_what_sql_makes_of_it() {
    let world = World::new(&[]);
    let mut http = world.http();
    let twice = r#"{"name":"tool_used","data":{"toolName":"x","toolName":null}}"#;
    let verdict = &http.track_and_wait(&world.key_a, twice).json()["verdicts"][0];
    assert_eq!((&verdict["status"], &verdict["sqlstate"]), (&json!("rejected"), &json!("23514")));
    let last = r#"{"name":"tool_used","data":{"toolName":null,"toolName":"x"}}"#;
    assert_eq!(http.track_and_wait(&world.key_a, last).json()["written"], 1);
    for time in ["1764150000", "1764150000.0", "1764150000000", "1.76415e9"] {
        let event = format!(r#"{{"name":"own","occurredAt":{time}}}"#);
        assert_eq!(http.track(&world.key_a, &event).status, 202, "{time}");
    }
    for time in ["0", "-1764150000", "17641500", "1764150000000000", "1e99"] {
        let event = format!(r#"{{"name":"own","occurredAt":{time}}}"#);
        assert_eq!(http.track(&world.key_a, &event).status, 400, "{time}");
    }
    // The name is not declared; what came of its time is in the quarantine.
    world.settle();
    let times = "SELECT DISTINCT occurred_at FROM eventlog.rejected_events WHERE name = 'own'";
    assert_eq!(rows(&mut world.db.superuser(), times), [["2025-11-26 09:40:00+00"]]);
}

#[test]
fn ids_past_what_a_number_of_javascript_holds_arrive_to_the_last_digit() {
    let world = World::new(&[]);
    let read = world.key(&["--kind", "read"]);
    let sequence =
        "SELECT setval(pg_get_serial_sequence('eventlog.events', 'id'), 9007199254740993)";
    world.db.superuser().batch_execute(sequence).unwrap();
    let mut http = world.http();
    let events: serde_json::Value = (0..4).map(|n| json!({ "toolName": n.to_string() })).collect();
    let said = http.track_and_wait(&world.key_a, &events.to_string()).json();
    assert_eq!(said["verdicts"][0]["id"], "9007199254740994");
    let key = [("X-Api-Key", read.as_str())];
    let (mut ids, mut cursor) = (Vec::new(), String::new());
    for _ in 0..4 {
        let path = format!("/api/analytics/events?limit=1{cursor}");
        let page = http.ask("GET", &path, &key, b"").json();
        let row = &page["rows"][0];
        let (id, at) = (row["id"].as_str().unwrap(), row["created_at"].as_str().unwrap());
        cursor = format!("&before_id={id}&before_created_at={}", at.replace('+', "%2B"));
        ids.push(id.to_owned());
    }
    let expected: Vec<String> = (0..4).map(|n| (9007199254740997_i64 - n).to_string()).collect();
    assert_eq!(ids, expected);
}

#[test]
fn the_gateway_reads_as_its_keys_tenant_wherever_others_have_theirs_from() {
    let world = World::new(&[]);
    let read = world.key(&["--kind", "read"]);
    let mut http = world.http();
    assert_eq!(http.track_and_wait(&world.key_a, r#"{"toolName":"a"}"#).status, 200);
    assert_eq!(http.track_and_wait(&world.key_b, r#"{"toolName":"b"}"#).status, 200);
    for source in ["role", "jwt", "setting"] {
        let set = format!("ALTER DATABASE {} SET eventlog.tenant_source = {source}", world.db.name);
        world.db.superuser().batch_execute(&set).unwrap();
        let gateway = Gateway::start(db::shared(), &world.db.name, &[]);
        let mut http = gateway.http();
        assert_eq!(http.get("/readyz").text(), r#"{"status":"ok"}"#, "{source}");
        assert_eq!(http.track_and_wait(&world.key_a, r#"{"toolName":"a"}"#).json()["written"], 1);
        let key = [("X-Api-Key", read.as_str())];
        for report in
            ["events", "summary", "tools", "rejected", "taxonomy", "alerts", "names", "errors"]
        {
            let answer = http.ask("GET", &format!("/api/analytics/{report}"), &key, b"");
            assert_eq!(answer.status, 200, "{source}: {report}: {}", answer.text());
        }
        let events = http.ask("GET", "/api/analytics/events", &key, b"").json();
        let events = events["rows"].as_array().unwrap();
        assert!(!events.is_empty() && events.iter().all(|row| row["subject"] == "a"), "{events:?}");
    }
}

#[test]
fn readiness_is_whether_events_reach_the_log_and_its_reason_is_said_at_the_start() {
    let world = World::new(&[]);
    let name = &world.db.name;
    let said_by = |command| {
        let gateway = Gateway::start_command(command, &[]);
        let answer = gateway.http().get("/readyz");
        let (_, log) = gateway.stop();
        (answer.status, answer.message(), log)
    };
    let mut read_only = eventlog(db::shared(), name, GATEWAY);
    read_only.env("PGOPTIONS", "-c default_transaction_read_only=on");
    for (command, says) in [
        (eventlog(db::shared(), name, "outsider"), "SELECT eventlog.grant_gateway('outsider')"),
        (eventlog(db::shared(), name, "service"), "may not look keys up"),
        (eventlog(db::shared(), "nonesuch", GATEWAY), "\"nonesuch\" does not exist"),
        (eventlog(db::shared(), name, "nobody_of_this_name"), "nobody_of_this_name"),
        (eventlog(db::shared(), "postgres", GATEWAY), "has no log"),
        (read_only, "read-only"),
    ] {
        let (status, message, log) = said_by(command);
        assert_eq!(status, 503, "{says}");
        assert!(message.contains(says), "{says}: {message}");
        assert!(log.contains("not ready: ") && log.contains(says), "{says}: {log}");
    }
    let owner = Gateway::start_command(eventlog(db::shared(), name, "log_owner"), &[]);
    let answer = owner.http().get("/readyz");
    assert!(answer.status == 200 && answer.json()["reports"].is_string(), "{}", answer.text());
}

#[test]
fn a_gateway_whose_password_is_another_now_is_not_ready_though_its_connections_live() {
    let cluster = Cluster::start(&[]);
    db::create_roles(&cluster);
    db::create_log(&cluster, "app");
    grant_gateway(&cluster, "app");
    let key = make_key(&cluster, "app", TENANT_A, &[]);
    let gateway = Gateway::start(&cluster, "app", &[]);
    let mut http = gateway.http();
    assert_eq!(http.get("/readyz").status, 200);
    assert_eq!(http.track_and_wait(&key, r#"{"toolName":"t"}"#).status, 200);
    cluster.connect("postgres", "postgres").batch_execute("ALTER ROLE gateway NOLOGIN").unwrap();
    for _ in 0..6_000 {
        if http.get("/readyz").status == 503 {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let answer = http.get("/readyz");
    assert!(
        answer.status == 503 && answer.message().contains("not permitted to log in"),
        "{}",
        answer.text()
    );
}
