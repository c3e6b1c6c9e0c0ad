//! The writer's examples, run as they are.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use eventlog_tests::{Db, TENANT_A, db, rows};

/// An example, which `cargo test` builds beside the tests.
fn example(name: &str, db: &Db) -> Command {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    let mut command = Command::new(path.join("examples").join(name));
    command
        .env("PGHOST", db::shared().folder())
        .env("PGPORT", "5432")
        .env("PGUSER", "service")
        .env("PGDATABASE", &db.name)
        .env("TENANT", TENANT_A)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    command
}

fn logged(db: &Db) -> Vec<Vec<String>> {
    rows(
        &mut db.superuser(),
        "SELECT name, data, actor, subject, occurred_at IS NOT NULL FROM eventlog.events ORDER BY name, data::text",
    )
}

#[test]
fn the_worker_logs_artifacts_and_the_first_five_of_a_search() {
    let db = Db::new();
    let output = example("artifact_worker", &db).output().expect("cargo test builds it");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.starts_with("9 submitted: 9 written"), "{said}");
    let logged = logged(&db);
    assert_eq!(
        logged[0][..4],
        [
            "artifact_deployed",
            r#"{"result": "success", "projectPath": "~/projects/app", "artifactName": "canvas", "artifactType": "skill", "collectionName": "drawing"}"#,
            "worker-1",
            "skill/canvas"
        ]
    );
    assert_eq!(logged.iter().filter(|row| row[0] == "artifact_searched").count(), 5);
}

#[test]
fn the_hook_callback_is_explained_by_the_log() {
    let db = Db::new();
    let skill = "5ca1ab1e-0000-4000-8000-000000000001";
    db.superuser()
        .batch_execute(&format!(
            "CREATE TABLE public.skills (id uuid PRIMARY KEY, name text);
             INSERT INTO public.skills VALUES ('{skill}', 'canvas');
             GRANT SELECT ON public.skills TO service;
             SELECT eventlog.add_enrichment('tool_used', 'skillName', 'skillId', 'public.skills', 'id', 'name')"
        ))
        .unwrap();
    let mut running = example("hook_callback", &db).spawn().expect("cargo test builds it");
    let callback = format!(
        r#"{{"tenantId": "{TENANT_A}", "userId": "user-17", "skillId": "{skill}", "toolName": "Bash",
             "clientTimestamp": "2026-03-01T10:00:00Z", "hookEvent": "PostToolUse", "metadata": {{"exit": 0}}}}"#
    );
    running.stdin.take().unwrap().write_all(callback.as_bytes()).unwrap();
    let output = running.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "event 1\n");
    let stored = rows(
        &mut db.superuser(),
        "SELECT data - 'skillId', actor, occurred_at FROM eventlog.events",
    );
    assert_eq!(
        stored,
        [[
            r#"{"source": "hook", "metadata": {"exit": 0}, "toolName": "Bash", "hookEvent": "PostToolUse", "skillName": "canvas"}"#,
            "user-17",
            "2026-03-01 10:00:00+00"
        ]]
    );
}

/// One request; its status and body.
fn request(address: &str, path: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    let length = body.len();
    write!(stream, "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split_whitespace().nth(1).unwrap().parse().unwrap();
    (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}

#[test]
fn the_chat_service_logs_at_every_point_inside_or_outside_its_transactions() {
    let db = Db::new();
    db.superuser()
        .batch_execute(&format!(
            "CREATE TABLE public.conversations (id uuid PRIMARY KEY);
             CREATE TABLE public.accounts (id uuid PRIMARY KEY, plan text);
             INSERT INTO public.accounts VALUES ('{TENANT_A}', 'free');
             GRANT ALL ON public.conversations, public.accounts TO service"
        ))
        .unwrap();
    let mut service = example("chat_service", &db).spawn().expect("cargo test builds it");
    let mut said = BufReader::new(service.stdout.take().unwrap()).lines();
    let line = said.next().unwrap().unwrap();
    let address = line.strip_prefix("listening on ").unwrap();
    let post = |path: &str, body: &str| request(address, path, body);

    let (status, body) = post("/conversations", r#"{"sessionId": "s1", "userId": "user-17"}"#);
    assert_eq!(status, 200, "{body}");
    let conversation = body.split('"').nth(3).unwrap().to_owned();
    let messages = format!("/conversations/{conversation}/messages");
    assert_eq!(post(&messages, r#"{"role": "user", "text": "hello"}"#).0, 200);
    assert_eq!(post(&messages, r#"{"role": "assistant", "confidence": 0.5}"#).0, 200);
    let long = format!(r#"{{"role": "user", "text": "{}"}}"#, "x".repeat(2_000));
    assert_eq!(post(&messages, &long).0, 413);
    let escalate = format!("/conversations/{conversation}/escalate");
    assert_eq!(post(&escalate, r#"{"reason": "asked"}"#).0, 200);
    assert_eq!(post(&escalate, r#"{"reason": "unreachable"}"#).0, 200);
    let hooks = [
        r#"{"id": "evt_1", "type": "checkout.session.completed", "plan": "pro", "session": "cs_1"}"#,
        r#"{"id": "evt_2", "type": "customer.subscription.updated", "plan": "pro", "status": "active"}"#,
    ];
    // Delivered twice, logged once.
    for hook in hooks.iter().chain(&hooks) {
        let (status, body) = post("/webhooks/billing", hook);
        assert_eq!(status, 200, "{body}");
    }
    assert_eq!(post("/ingest", r#"{"url": "https://example.com"}"#).0, 200);
    assert_eq!(post("/ingest", r#"{"url": "ftp://example.com"}"#).0, 200);
    drop(service.stdin.take());
    let last = said.next().unwrap().unwrap();
    assert!(service.wait().unwrap().success() && last.contains(" 0 dropped"), "{last}");

    let counts = rows(
        &mut db.superuser(),
        "SELECT name || ' ' || count(*) FROM eventlog.events GROUP BY name ORDER BY name",
    );
    assert_eq!(
        counts.concat(),
        [
            "checkout_completed 1",
            "conversation_started 1",
            "escalation_triggered 2",
            "ingest_completed 1",
            "ingest_failed 1",
            "ingest_started 2",
            "integration_failed 1",
            "integration_succeeded 1",
            "message_sent 2",
            "plan_updated 1",
            "quota_exceeded 1"
        ]
    );
    let plan = "SELECT data FROM eventlog.events WHERE name = 'plan_updated'";
    assert_eq!(
        rows(&mut db.superuser(), plan),
        [[r#"{"status": "active", "newPlan": "pro", "previousPlan": "free"}"#]]
    );
}
