//! `eventlog init`, `log` and `status`: a database from nothing, its first event, and how it is.

use eventlog_tests::{Cluster, rows, text};
use serde_json::Value;

use crate::server::{eventlog, failed, printed};

#[test]
fn a_new_database_is_set_up_in_one_go_and_again_without_a_change() {
    let cluster = Cluster::start(&[]);
    let init = |arguments: &[&str]| {
        let mut command = eventlog(&cluster, "postgres", "postgres");
        command.arg("init").args(arguments);
        command
    };
    let said =
        printed(&mut init(&["--tenant", "acme", "--writer", "app", "--retention", "1 year"]));
    let key = |text: &str, kind: &str| {
        let start = text.find(kind).unwrap_or_else(|| panic!("no {kind}: {text}"));
        text[start..].split_whitespace().next().expect("a key").to_owned()
    };
    let (write_key, read_key) = (key(&said, "el_w_"), key(&said, "el_r_"));
    assert!(!said.contains('\u{1b}') && write_key.len() == read_key.len(), "{said}");
    let mut superuser = cluster.connect("postgres", "postgres");
    let found = rows(
        &mut superuser,
        "SELECT pg_get_userbyid(c.relowner), l.retention, eventlog.tenant('acme') = k.tenant_id, count(*)
           FROM pg_class c, eventlog.log_config l, eventlog.api_keys k
          WHERE c.oid = 'eventlog.events'::regclass GROUP BY 1, 2, 3",
    );
    assert_eq!(found, [["log_owner", "1 year", "t", "2"]]);
    // Nobody can log in as the owner; the gateway and the application can.
    let login = "SELECT string_agg(rolname, ',' ORDER BY rolname) FROM pg_roles WHERE rolcanlogin AND rolname <> 'postgres'";
    assert_eq!(text(&mut superuser, login), "app,gateway");

    let before = text(&mut superuser, "SELECT max(id) FROM eventlog.api_keys");
    let again = printed(&mut init(&["--tenant", "acme", "--writer", "app", "--json"]));
    let again: Value = serde_json::from_str(&again).expect("JSON");
    assert!(
        again["steps"].as_array().unwrap().iter().all(|step| step["is_new"] == false),
        "{again}"
    );
    assert!(again["write_key"].is_null() && again["read_key"].is_null());
    assert_eq!(text(&mut superuser, "SELECT max(id) FROM eventlog.api_keys"), before);

    let tenant = again["tenant_id"].as_str().unwrap();
    let log = |role: &str, arguments: &[&str]| {
        let mut command = eventlog(&cluster, "postgres", role);
        command.env("EVENTLOG_TENANT", tenant).arg("log").args(arguments);
        command
    };
    let event = ["tool_used", "toolName=a=\"b\"", "durationMs:=1.50", "--actor", "ann"];
    let id = printed(&mut log("app", &event));
    let stored = rows(&mut superuser, "SELECT id, actor, data FROM eventlog.events");
    assert_eq!(stored, [[id.trim(), "ann", r#"{"toolName": "a=\"b\"", "durationMs": 1.50}"#]]);
    let keyed =
        ["tool_used", "--data", "{\"toolName\": \"x\"}", "--idempotency-key", "k", "--json"];
    let first = printed(&mut log("app", &keyed));
    assert_eq!(first, printed(&mut log("app", &keyed)));

    let unknown = failed(&mut log("app", &["tool_usd"]), 1);
    assert!(unknown.contains("42704") && unknown.contains("tool_used"), "{unknown}");
    for (arguments, code, why) in [
        (vec!["tool_used", "toolName"], 2, "must be KEY=TEXT or KEY:=JSON"),
        (vec!["tool_used", "n:=1,5"], 2, "the value of n is not JSON"),
        (vec!["tool_used", "a=1", "a=2"], 2, "given twice"),
        (vec!["tool_used", "--data", "[1]"], 2, "--data is not a JSON object"),
        (vec!["tool_used"], 1, "required key \"toolName\" is missing"),
    ] {
        let said = failed(&mut log("app", &arguments), code);
        assert!(said.contains(why), "{arguments:?}: {said}");
    }
}

#[test]
fn who_is_no_superuser_is_told_to_become_one() {
    let cluster = Cluster::start(&[]);
    cluster.connect("postgres", "postgres").batch_execute("CREATE ROLE app LOGIN").unwrap();
    let said = failed(eventlog(&cluster, "postgres", "app").arg("init"), 1);
    assert!(said.contains("needs a superuser") && said.contains("-U postgres"), "{said}");
    let superuser = &mut cluster.connect("postgres", "postgres");
    assert_eq!(
        text(superuser, "SELECT count(*) FROM pg_extension WHERE extname = 'eventlog'"),
        "0"
    );
}

#[test]
fn the_status_of_a_log_fits_one_screen() {
    let cluster = Cluster::start(&[]);
    printed(eventlog(&cluster, "postgres", "postgres").args(["init", "--tenant", "acme"]));
    let mut superuser = cluster.connect("postgres", "postgres");
    let status = |arguments: &[&str]| {
        let mut command = eventlog(&cluster, "postgres", "postgres");
        command.args(["status", "--gateway", "127.0.0.1:1"]).args(arguments);
        printed(&mut command)
    };
    assert!(status(&[]).contains("none yet"));
    superuser
        .batch_execute(
            "SELECT eventlog.log_event(eventlog.tenant('acme'), 'tool_used', '{\"toolName\": \"a\"}');
             SELECT eventlog.try_log_event(eventlog.tenant('acme'), 'tool_usd', '{}'::text)",
        )
        .unwrap();
    superuser.batch_execute("CALL eventlog.maintain()").unwrap();
    let shown = status(&[]);
    for part in [
        "log_owner, keeps events for 90 days",
        "1 in the last minute, 1 in the last hour",
        "none answers at 127.0.0.1:1",
        "1 in the last day",
        "unknown event name \"tool_usd\" (SQLSTATE 42704)",
        "maintenance  done at",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert!(shown.lines().count() < 24, "{shown}");
    let json: Value = serde_json::from_str(&status(&["--json"])).expect("JSON");
    assert_eq!((&json["events_last_hour"], &json["rejected_last_day"]), (&1.into(), &1.into()));
    assert_eq!(json["maintenance"]["due"], serde_json::json!([]));
}
