//! Keys of several and of all tenants: what they read, and that they read nothing else.

use eventlog_tests::{TENANT_A, TENANT_B, db, rows, text};
use serde_json::Value;

use crate::http::{Answer, Http};
use crate::server::{World, eventlog, printed};

/// A tenant that no key of two has.
const TENANT_C: &str = "cccccccc-cccc-4ccc-8ccc-cccccccccccc";

/// A gateway, and a key of A and B, one of all, and one of A.
struct Keys {
    world: World,
    two: String,
    all: String,
    one: String,
}

pub(crate) fn make(world: &World, options: &[&str]) -> String {
    let mut command = eventlog(db::shared(), &world.db.name, "log_owner");
    printed(command.args(["key", "create", "--kind", "read"]).args(options)).trim().to_owned()
}

impl Keys {
    fn new(options: &[&str]) -> Self {
        let world = World::new(options);
        world
            .db
            .superuser()
            .batch_execute(&format!(
                "SELECT eventlog.set_tenant(t::uuid, display_name => 'Name of ' || left(t, 1)) FROM unnest('{{{TENANT_A},{TENANT_B},{TENANT_C}}}'::text[]) t;
                 SELECT eventlog.log_event(t::uuid, 'tool_used', jsonb_build_object('toolName', 'tool of ' || left(t, 1)), actor => 'actor-' || left(t, 1))
                   FROM unnest('{{{TENANT_A},{TENANT_B},{TENANT_C}}}'::text[]) t, generate_series(1, ascii(left(t, 1)) - 96);
                 SELECT eventlog.log_event(eventlog.tenant('acme'), 'tool_used', '{{\"toolName\": \"t\"}}')"
            ))
            .expect("a superuser may");
        let two = make(&world, &["--tenant", TENANT_A, "--tenant", TENANT_B, "--tenant", TENANT_A]);
        let all = make(&world, &["--all-tenants"]);
        let one = make(&world, &["--tenant", TENANT_A]);
        Keys { world, two, all, one }
    }

    fn ask(&self, key: &str, path: &str) -> Answer {
        get(&mut self.world.http(), key, path)
    }
}

fn get(http: &mut Http, key: &str, path: &str) -> Answer {
    let authorization = format!("Bearer {key}");
    let headers = [("Authorization", authorization.as_str())];
    http.ask("GET", &format!("/api/analytics/{path}"), &headers, b"")
}

fn events(answer: &Answer) -> i64 {
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["rows"][0]["events"].as_i64().expect("a count")
}

#[test]
fn a_key_of_two_tenants_reads_each_of_them_and_no_third() {
    let keys = Keys::new(&[]);
    assert_eq!(events(&keys.ask(&keys.two, &format!("summary?tenant={TENANT_A}"))), 1);
    assert_eq!(events(&keys.ask(&keys.two, &format!("summary?tenant={TENANT_B}"))), 2);
    let spelled = TENANT_B.to_uppercase();
    assert_eq!(events(&keys.ask(&keys.two, &format!("summary?tenant={spelled}"))), 2);
    let unsaid = keys.ask(&keys.two, "summary");
    assert_eq!(unsaid.status, 400);
    assert!(unsaid.text().contains("?tenant=UUID"), "{}", unsaid.text());
    for (asked, status) in [
        (TENANT_C, 403),
        ("all", 403),
        ("ffffffff-ffff-ffff-ffff-ffffffffffff", 403),
        ("acme", 400),
        ("", 400),
    ] {
        for report in ["summary", "events", "names", "taxonomy", "live", "top_subjects"] {
            let answer = keys.ask(&keys.two, &format!("{report}?tenant={asked}"));
            assert_eq!(answer.status, status, "{report} {asked}: {}", answer.text());
        }
    }
    let twice = keys.ask(&keys.two, &format!("summary?tenant={TENANT_A}&tenant={TENANT_C}"));
    assert_eq!(twice.status, 400);
    // Nor by the argument of the function, which no request gives.
    let by_argument =
        keys.ask(&keys.two, &format!("summary?tenant={TENANT_A}&tenant_id={TENANT_C}"));
    assert_eq!(by_argument.status, 400);
    // A key of one may name its own.
    assert_eq!(events(&keys.ask(&keys.one, "summary")), 1);
    assert_eq!(events(&keys.ask(&keys.one, &format!("summary?tenant={TENANT_A}"))), 1);
    for asked in [TENANT_B, "all"] {
        assert_eq!(keys.ask(&keys.one, &format!("summary?tenant={asked}")).status, 403);
    }
    // And it does not write.
    let event = r#"{"name":"tool_used","data":{"toolName":"t"}}"#;
    assert_eq!(keys.world.http().track(&keys.two, event).status, 403);
}

#[test]
fn a_key_of_all_reads_each_tenant_and_all_of_them() {
    let keys = Keys::new(&[]);
    for (asked, expected) in [("", 7), ("?tenant=all", 7), (&format!("?tenant={TENANT_C}")[..], 3)]
    {
        assert_eq!(events(&keys.ask(&keys.all, &format!("summary{asked}"))), expected, "{asked}");
    }
    let answer = keys.ask(&keys.all, "summary").json();
    assert_eq!(answer["tenant_id"], "all");
    let rows = keys.ask(&keys.all, "events?tenant=all").json()["rows"].as_array().unwrap().len();
    assert_eq!(rows, 7);
    let nobody = "dddddddd-dddd-4ddd-8ddd-dddddddddddd";
    assert_eq!(events(&keys.ask(&keys.all, &format!("summary?tenant={nobody}"))), 0);
}

#[test]
fn the_overview_of_a_key_has_its_own_tenants_only() {
    let keys = Keys::new(&[]);
    let shown = |key: &str, query: &str| {
        let answer = keys.ask(key, &format!("tenants_overview{query}"));
        assert_eq!(answer.status, 200, "{}", answer.text());
        let json = answer.json();
        let name = |row: &Value| row["display_name"].as_str().unwrap_or("∅").to_owned();
        json["rows"].as_array().unwrap().iter().map(name).collect::<Vec<_>>()
    };
    // Those with as many events as each other come in the order of their ids.
    let all = shown(&keys.all, "");
    assert_eq!(all[..2], ["Name of c", "Name of b"]);
    assert!(all[2..].contains(&"Name of a".to_owned()) && all.len() == 4, "{all:?}");
    assert_eq!(shown(&keys.two, ""), ["Name of b", "Name of a"]);
    assert_eq!(shown(&keys.two, "?tenant=all&row_limit=1"), ["Name of b"]);
    assert_eq!(shown(&keys.two, &format!("?tenant={TENANT_A}")), ["Name of a"]);
    assert_eq!(shown(&keys.two, &format!("?tenant_ids={TENANT_A}")), ["Name of a"]);
    assert_eq!(shown(&keys.one, ""), ["Name of a"]);
    assert!(shown(&keys.one, &format!("?tenant_ids={TENANT_B}")).is_empty());
    assert_eq!(shown(&keys.all, &format!("?tenant_ids={TENANT_B}&tenant_ids={TENANT_C}")).len(), 2);
    for query in [
        format!("?tenant_ids={TENANT_C}"),
        format!("?tenant_ids={TENANT_A}&tenant_ids={TENANT_C}"),
        format!("?tenant={TENANT_C}"),
        format!("?tenant={TENANT_C}&tenant_ids={TENANT_A}"),
    ] {
        let answer = keys.ask(&keys.two, &format!("tenants_overview{query}"));
        assert_eq!(answer.status, 403, "{query}: {}", answer.text());
        assert!(!answer.text().contains("Name of"), "{}", answer.text());
    }
}

#[test]
fn the_list_shows_the_tenants_of_a_key_and_forgetting_one_takes_it_from_keys_of_several() {
    let keys = Keys::new(&["--key-cache", "50ms"]);
    let replay = make(&keys.world, &["--tenant", "acme", "--can-replay"]);
    let list = |options: &[&str]| {
        let mut command = eventlog(db::shared(), &keys.world.db.name, "log_owner");
        printed(command.args(["key", "list"]).args(options))
    };
    let json: Value = serde_json::from_str(&list(&["--json"])).unwrap();
    let of = |key: &str| {
        let id = key.split('_').nth(2).unwrap();
        json.as_array().unwrap().iter().find(|row| row["id"] == id).unwrap().clone()
    };
    assert_eq!(of(&keys.two)["tenants"], serde_json::json!([TENANT_A, TENANT_B]));
    assert_eq!(
        (of(&keys.all)["tenants"].clone(), &of(&keys.all)["tenant_id"]),
        ("all".into(), &Value::Null)
    );
    assert_eq!(of(&keys.one)["tenants"], serde_json::json!([TENANT_A]));
    assert_eq!(of(&replay)["can_replay"], true);
    assert_eq!(of(&keys.one)["can_replay"], false);
    let of_b: Value = serde_json::from_str(&list(&["--json", "--tenant", TENANT_B])).unwrap();
    assert_eq!(of_b.as_array().unwrap().len(), 3, "its own, that of two, and that of all");

    let mut superuser = keys.world.db.superuser();
    superuser.batch_execute(&format!("CALL eventlog.forget_tenant('{TENANT_A}')")).unwrap();
    let id = keys.two.split('_').nth(2).unwrap();
    assert_eq!(
        rows(
            &mut superuser,
            &format!("SELECT tenant_id, tenant_ids FROM eventlog.api_keys WHERE id = '{id}'")
        ),
        [[TENANT_B, "∅"]]
    );
    let of_a = format!("SELECT count(*) FROM eventlog.api_keys WHERE tenant_id = '{TENANT_A}'");
    assert_eq!(text(&mut superuser, &of_a), "0");
    let mut http = keys.world.http();
    let mut tries = 0;
    while get(&mut http, &keys.two, &format!("summary?tenant={TENANT_A}")).status != 403 {
        tries += 1;
        assert!(tries < 10_000, "the key still reads a tenant that was forgotten");
    }
    assert_eq!(events(&keys.ask(&keys.two, "summary")), 2);
}

#[test]
fn a_key_knows_the_names_of_its_tenants_and_of_no_others() {
    let keys = Keys::new(&[]);
    let session = |key: &str| {
        let authorization = format!("Bearer {key}");
        let headers = [("Authorization", authorization.as_str())];
        let answer = keys.world.http().ask("GET", "/api/session", &headers, b"");
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    };
    let two = session(&keys.two);
    assert_eq!(
        two["tenants"],
        serde_json::json!([{ "id": TENANT_A, "name": "Name of a" }, { "id": TENANT_B, "name": "Name of b" }])
    );
    assert_eq!(
        (&two["all_tenants"], &session(&keys.all)["all_tenants"]),
        (&false.into(), &true.into())
    );
    let one = session(&keys.one);
    assert_eq!(one["tenants"], serde_json::json!([{ "id": TENANT_A, "name": "Name of a" }]));
}

#[test]
fn a_tenant_is_given_by_its_name_wherever_the_command_line_takes_one() {
    let keys = Keys::new(&[]);
    let run = |arguments: &[&str], tenant: Option<&str>| {
        let mut command = eventlog(db::shared(), &keys.world.db.name, "service");
        if let Some(tenant) = tenant {
            command.env("EVENTLOG_TENANT", tenant);
        }
        printed(command.args(arguments))
    };
    let events = |json: String| serde_json::from_str::<Value>(&json).unwrap()[0]["events"].clone();
    assert_eq!(events(run(&["report", "summary", "--json", "--tenant", "acme"], None)), 1);
    assert_eq!(events(run(&["report", "summary", "--json"], Some("acme"))), 1);
    assert_eq!(events(run(&["report", "summary", "--json", "--all-tenants"], None)), 7);
    assert_eq!(events(run(&["report", "summary", "--json", "--all-tenants"], Some("acme"))), 7);
    let lines = |text: String| text.lines().count();
    assert_eq!(lines(run(&["tail", "--json", "--tenant", "acme"], None)), 1);
    assert_eq!(lines(run(&["export", "-", "--format", "ndjson", "--tenant", "acme"], None)), 1);
    assert_eq!(lines(run(&["export", "-", "--format", "ndjson", "--all-tenants"], None)), 7);
}
