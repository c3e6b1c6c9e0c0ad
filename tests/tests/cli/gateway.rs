//! The gateway as a service: its health, its counts, its end, and its description.

use eventlog_tests::{TENANT_A, db, rows};
use serde_json::Value;

use crate::server::{
    GATEWAY, Gateway, World, eventlog, failed, grant_gateway, make_key, metric, numbered,
};

#[test]
fn it_is_ready_where_the_log_is_there_and_its_role_has_its_rights() {
    let world = World::new(&[]);
    let mut http = world.http();
    for path in ["/healthz", "/readyz"] {
        let answer = http.get(path);
        assert_eq!((answer.status, answer.text().as_str()), (200, r#"{"status":"ok"}"#), "{path}");
    }
    // A role without the keys is not ready, whatever it may log.
    let service = Gateway::start_command(eventlog(db::shared(), &world.db.name, "service"), &[]);
    let answer = service.http().get("/readyz");
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    assert!(answer.message().contains("eventlog.grant_gateway"), "{}", answer.message());
    assert_eq!(service.http().get("/healthz").status, 200);
    assert_eq!(service.http().track(&world.key_a, r#"{"toolName":"t"}"#).status, 503);
    let empty = eventlog_tests::Db::empty();
    let no_log = Gateway::start_command(eventlog(db::shared(), &empty.name, "postgres"), &[]);
    assert_eq!(no_log.http().get("/readyz").status, 503);
}

#[test]
fn the_metrics_count_requests_and_events_and_name_no_tenant() {
    let world = World::new(&[]);
    let mut http = world.http();
    http.track(&world.key_a, &numbered(0..3).to_string());
    http.track(&world.key_a, r#"[{"name":"nonesuch"},{"toolName":"t"}]"#);
    http.track("", "{}");
    http.get("/no/such/place");
    world.settle();
    for (name, count) in [
        (r#"eventlog_events_total{outcome="accepted"}"#, 5),
        (r#"eventlog_events_total{outcome="written"}"#, 4),
        (r#"eventlog_events_total{outcome="rejected"}"#, 1),
        (r#"eventlog_events_total{outcome="dropped"}"#, 0),
        (r#"eventlog_http_requests_total{route="/api/track",status="202"}"#, 2),
        (r#"eventlog_http_requests_total{route="/api/track",status="401"}"#, 1),
        (r#"eventlog_http_requests_total{route="none",status="404"}"#, 1),
        (r#"eventlog_http_request_seconds_count{route="/api/track"}"#, 3),
    ] {
        assert_eq!(metric(&mut http, name), count, "{name}");
    }
    let text = http.get("/metrics").text();
    assert!(!text.contains(TENANT_A) && !text.contains("such/place"), "{text}");
}

#[test]
fn a_stop_answers_what_has_begun_and_writes_what_was_accepted() {
    let db = eventlog_tests::Db::new();
    grant_gateway(db::shared(), &db.name);
    let key = make_key(db::shared(), &db.name, TENANT_A, &[]);
    // What is in the queue would wait an hour for others.
    let gateway = Gateway::start(db::shared(), &db.name, &["--rate-limit", "0"]);
    let mut http = gateway.http();
    let accepted: usize = (0..20)
        .map(|n| {
            let body = numbered(n * 50..(n + 1) * 50).to_string();
            usize::from(http.track(&key, &body).status == 202) * 50
        })
        .sum();
    let (code, log) = gateway.stop();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("stopped; events: 1000 submitted: 1000 written"), "{log}");
    assert_eq!(accepted, 1000);
    let found = rows(
        &mut db.superuser(),
        "SELECT count(*), count(DISTINCT data ->> 'n') FROM eventlog.events",
    );
    assert_eq!(found, [["1000", "1000"]]);
}

#[test]
fn settings_that_cannot_be_are_refused_at_the_start() {
    let world = World::new(&[]);
    for (options, code, says) in [
        (&["--listen", "nowhere"][..], 2, "--listen"),
        (&["--queue-events", "10"], 1, "--queue-events"),
        (&["--queue-bytes", "1000"], 1, "--queue-bytes"),
        (&["--linger=-5s"], 2, "linger"),
        (&["--cors-origin", "example.com"], 1, "--cors-origin"),
        (&["--max-bodies", "1"], 1, "--max-bodies"),
    ] {
        let mut command = eventlog(db::shared(), &world.db.name, GATEWAY);
        let said = failed(command.arg("serve").args(options), code);
        assert!(said.contains(says), "{options:?}: {said}");
    }
    let taken = world.gateway.address.to_string();
    let mut command = eventlog(db::shared(), &world.db.name, GATEWAY);
    let said = failed(command.args(["serve", "--listen", &taken]), 1);
    assert!(said.contains("cannot listen"), "{said}");
}

/// The description names each route that is served, with every status that it gave here.
#[test]
fn the_description_is_of_what_is_served() {
    let world = World::new(&[]);
    let mut http = world.http();
    let description = http.get("/api/openapi.json").json();
    let source = include_str!("../../../cli/src/gateway/routes.rs");
    let mut served: Vec<(String, String)> = source
        .lines()
        .filter_map(|line| line.trim().strip_prefix(".route(\""))
        .map(|line| {
            let (path, handler) = line.split_once("\", ").expect("a path and a handler");
            let (method, _) = handler.split_once('(').expect("a method");
            (path.to_owned(), method.to_owned())
        })
        .collect();
    let paths = description["paths"].as_object().unwrap();
    let mut described: Vec<(String, String)> = paths
        .iter()
        .flat_map(|(path, methods)| {
            methods.as_object().unwrap().keys().map(|method| (path.clone(), method.clone()))
        })
        .collect();
    // The routes of the reports come from the catalog, which a test of theirs compares.
    let is_report = |path: &str| path.starts_with("/api/analytics/") && !path.ends_with("/live");
    served.retain(|(path, _)| path != "/api/analytics/{report}");
    let (reports, mut described): (Vec<_>, Vec<_>) =
        described.drain(..).partition(|(path, _)| is_report(path));
    served.sort();
    described.sort();
    assert!(served.len() >= 5);
    // Routes of other clients' protocols come from lists; of those with several paths, one is described.
    let lists = [
        source,
        include_str!("../../../cli/src/gateway/protocol/segment.rs"),
        include_str!("../../../cli/src/gateway/protocol/posthog.rs"),
    ];
    let (listed, own): (Vec<_>, Vec<_>) =
        described.iter().cloned().partition(|route| !served.contains(route));
    assert_eq!(served, own);
    assert!(listed.len() >= 10, "{listed:?}");
    for (path, method) in &listed {
        assert!(lists.iter().any(|list| list.contains(&format!("\"{path}\""))), "{path}");
        assert_eq!(method, "post", "{path}");
    }
    assert!(reports.len() > 20);
    for (path, method) in described.iter().chain(&reports) {
        for body in ["", "{", "{}", r#"{"toolName":"t"}"#] {
            for key in ["", &world.key_a] {
                for query in ["", "?wait=true", "?wait=x"] {
                    let headers = [("X-Api-Key", key)];
                    let body = if method == "post" { body } else { "" };
                    let target = format!("{path}{query}");
                    let answer =
                        http.ask(&method.to_uppercase(), &target, &headers, body.as_bytes());
                    let responses = &paths[path][method]["responses"];
                    let status = answer.status.to_string();
                    assert_ne!(responses[&status], Value::Null, "{method} {target}: {status}");
                }
            }
        }
    }
    let version = description["info"]["version"].as_str().unwrap();
    assert_eq!(version, env!("CARGO_PKG_VERSION"));
    let limit = &description["paths"]["/api/track"]["post"]["requestBody"]["content"]["application/json"]
        ["schema"]["oneOf"][1]["maxItems"];
    assert_eq!(limit, 1000);
}

#[test]
fn completions_are_printed_for_every_shell() {
    for shell in ["bash", "zsh", "fish"] {
        let mut command = eventlog(db::shared(), "postgres", "postgres");
        let script = crate::server::printed(command.args(["completions", shell]));
        assert!(script.contains("serve") && script.contains("completions"), "{shell}");
    }
}
