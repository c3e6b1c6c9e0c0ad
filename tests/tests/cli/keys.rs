//! Keys: made, listed, revoked, and what each opens.

use eventlog_tests::{TENANT_A, TENANT_B, assert_refused, db, rows, text};
use serde_json::Value;

use crate::server::{GATEWAY, Gateway, World, eventlog, failed, make_key, printed};

const ONE: &str = r#"{"name":"tool_used","data":{"toolName":"t"}}"#;

#[test]
fn a_key_is_printed_once_and_kept_as_a_hash() {
    let world = World::new(&[]);
    let mut superuser = world.db.superuser();
    let parts: Vec<&str> = world.key_a.split('_').collect();
    let [_, kind, id, secret] = parts[..] else { panic!("{}", parts.len()) };
    assert_eq!((kind, id.len(), secret.len()), ("w", 16, 64));
    let row = format!(
        "SELECT secret_hash = sha256(decode('{secret}', 'hex')), tenant_id, kind, event_names FROM eventlog.api_keys WHERE id = '{id}'"
    );
    assert_eq!(rows(&mut superuser, &row), [["t", TENANT_A, "write", "∅"]]);
    let all = rows(&mut superuser, "SELECT k::text FROM eventlog.api_keys k").concat().join("");
    assert!(!all.contains(secret));
    // What is in the table opens nothing: not the hash, nor the id with it.
    let hash = text(
        &mut superuser,
        &format!("SELECT encode(secret_hash, 'hex') FROM eventlog.api_keys WHERE id = '{id}'"),
    );
    let mut http = world.http();
    for stolen in [hash.clone(), format!("el_w_{id}_{hash}"), format!("el_w_{id}_"), id.to_owned()]
    {
        assert_eq!(http.track(&stolen, ONE).status, 401, "{stolen}");
    }
    assert_eq!(http.track(&world.key_a, ONE).status, 202);
    let log = eventlog_tests::db::shared().log();
    assert!(!log.contains(secret), "the server's log has a secret");
}

#[test]
fn the_list_has_every_key_and_no_secret_as_a_table_and_as_json() {
    let world = World::new(&[]);
    let reader =
        world.key(&["--kind", "read", "--expires-in", "1 day", "--description", "a \u{1b}[31mb"]);
    assert!(reader.starts_with("el_r_"));
    let scoped = world.key(&["--event", "tool_used", "--event", "own", "--rate-limit", "7"]);
    let list = |arguments: &[&str]| {
        let mut command = eventlog(db::shared(), &world.db.name, "log_owner");
        printed(command.args(["key", "list"]).args(arguments))
    };
    let table = list(&[]);
    let json: Value = serde_json::from_str(&list(&["--json"])).unwrap();
    let keys = json.as_array().unwrap();
    assert_eq!(keys.len(), 4);
    for key in [&world.key_a, &world.key_b, &reader, &scoped] {
        let id = key.split('_').nth(2).unwrap();
        let secret = key.split('_').nth(3).unwrap();
        assert!(keys.iter().any(|key| key["id"] == id));
        assert!(!json.to_string().contains(secret) && !table.contains(secret));
    }
    assert!(!table.contains('\u{1b}'), "a description does not steer the terminal");
    let scoped = keys.iter().find(|key| key["rate_limit"] == 7).unwrap();
    assert_eq!(scoped["event_names"], serde_json::json!(["tool_used", "own"]));
    assert!(keys.iter().all(|key| key["state"] == "valid"));
    let of_b: Value = serde_json::from_str(&list(&["--json", "--tenant", TENANT_B])).unwrap();
    assert_eq!(of_b.as_array().unwrap().len(), 1);
}

#[test]
fn only_the_owner_makes_and_reads_keys_and_the_gateway_only_looks_them_up() {
    let world = World::new(&[]);
    let name = &world.db.name;
    for role in [GATEWAY, "service", "member", "outsider"] {
        let mut command = eventlog(db::shared(), name, role);
        let said = failed(command.args(["key", "create", "--tenant", TENANT_A]), 1);
        assert!(said.contains("42501"), "{role}: {said}");
    }
    // A superuser is the owner for the time of it.
    let mut superuser = eventlog(db::shared(), name, "postgres");
    printed(superuser.args(["key", "create", "--tenant", TENANT_A]));
    let mut gateway = world.db.connect(GATEWAY);
    assert_eq!(text(&mut gateway, "SELECT count(id) FROM eventlog.api_keys"), "3");
    for sql in [
        "SELECT created_at FROM eventlog.api_keys",
        "INSERT INTO eventlog.api_keys (id) VALUES ('0')",
        "UPDATE eventlog.api_keys SET revoked_at = NULL",
        "DELETE FROM eventlog.api_keys",
    ] {
        assert_refused(&mut gateway, sql, "42501", "permission denied");
    }
    for role in ["service", "reader", "member", "writer", "outsider"] {
        let mut client = world.db.connect(role);
        assert_refused(
            &mut client,
            "SELECT id FROM eventlog.api_keys",
            "42501",
            "permission denied",
        );
    }
    let mut owner = world.db.connect("log_owner");
    owner.batch_execute(&format!("SELECT eventlog.revoke_role('{GATEWAY}')")).unwrap();
    assert_refused(&mut gateway, "SELECT id FROM eventlog.api_keys", "42501", "permission denied");
    assert_refused(&mut owner, "SELECT eventlog.grant_gateway(NULL)", "22004", "role");
}

#[test]
fn a_wrong_use_of_the_command_says_what_is_right() {
    let world = World::new(&[]);
    let run = |arguments: &[&str], code| {
        let mut command = eventlog(db::shared(), &world.db.name, "log_owner");
        failed(command.arg("key").args(arguments), code)
    };
    assert!(run(&["create"], 2).contains("--tenant"));
    let short = &TENANT_A[1..];
    assert!(run(&["create", "--tenant", short], 2).contains("a uuid has 32 hexadecimal digits"));
    assert!(run(&["create", "--tenant", ""], 2).contains("limit 1 to 200"));
    let two = ["create", "--tenant", TENANT_A, "--tenant", TENANT_B];
    assert!(run(&two, 1).contains("--kind read"));
    assert!(run(&["create", "--all-tenants"], 1).contains("--kind read"));
    let all = ["create", "--all-tenants", "--tenant", TENANT_A, "--kind", "read"];
    assert!(run(&all, 2).contains("--tenant"));
    assert!(run(&["create", "--tenant", TENANT_A, "--can-replay"], 1).contains("--kind read"));
    assert!(run(&["create", "--tenant", TENANT_A, "--rate-limit", "0"], 2).contains("rate-limit"));
    let read = ["create", "--tenant", TENANT_A, "--kind", "read", "--event", "x"];
    assert!(run(&read, 1).contains("needs --kind write"));
    assert!(run(&["create", "--tenant", TENANT_A, "--expires-in", "soon"], 1).contains("22007"));
    assert!(run(&["revoke", "0123456789abcdef"], 1).contains("eventlog key list"));

    let empty = eventlog_tests::Db::empty();
    let mut command = eventlog(db::shared(), &empty.name, "postgres");
    let said = failed(command.args(["key", "list"]), 1);
    assert!(said.contains("SELECT eventlog.create_log();"), "{said}");
    let mut nowhere = eventlog(db::shared(), &empty.name, "postgres");
    let said = failed(nowhere.env("PGPORT", "1").args(["key", "list"]), 1);
    assert!(said.contains("PGHOST"), "{said}");
    let mut dsn = eventlog(db::shared(), &empty.name, "postgres");
    let said = failed(dsn.args(["--dsn", "host=a password=SECRET port=x", "key", "list"]), 1);
    assert!(!said.contains("SECRET"), "{said}");
}

#[test]
fn every_wrong_key_is_401_alike_and_tells_nothing() {
    let world = World::new(&[]);
    let mut http = world.http();
    let (id, secret) = (&world.key_a[5..21], &world.key_a[22..]);
    let other_secret = &world.key_b[22..];
    let flipped = format!("{}{}", &secret[..63], if secret.ends_with('0') { '1' } else { '0' });
    let expired = world.key(&["--expires-in=-1 second"]);
    let first = http.track("", ONE);
    assert_eq!(first.header("www-authenticate"), Some("Bearer"));
    for wrong in [
        format!("el_w_{id}_{other_secret}"),
        format!("el_w_{id}_{flipped}"),
        format!("el_r_{id}_{secret}"),
        format!("el_w_{}_{secret}", "0".repeat(16)),
        expired,
        world.key_a.to_uppercase(),
        format!("{}x", world.key_a),
        "' OR true --".to_owned(),
    ] {
        let answer = http.track(&wrong, ONE);
        assert_eq!((answer.status, answer.body), (401, first.body.clone()), "{wrong}");
    }
    for headers in [
        &[][..],
        &[("Authorization", "Basic dTpw")],
        &[("Authorization", world.key_a.as_str())],
        &[("Authorization", "Bearer"), ("X-Api-Key", world.key_a.as_str())],
    ] {
        assert_eq!(http.ask("POST", "/api/track", headers, ONE.as_bytes()).status, 401);
    }
    let by_header = [("X-Api-Key", world.key_a.as_str())];
    assert_eq!(http.ask("POST", "/api/track", &by_header, ONE.as_bytes()).status, 202);
    let lower = format!("bearer {}", world.key_a);
    let answer = http.ask("POST", "/api/track", &[("authorization", &lower)], ONE.as_bytes());
    assert_eq!(answer.status, 202);
    assert_eq!(world.events("tenant_id").len(), 2);
}

#[test]
fn a_key_to_read_writes_nothing() {
    let world = World::new(&[]);
    let reader = world.key(&["--kind", "read"]);
    assert_eq!(world.http().track(&reader, ONE).status, 403);
    assert!(world.events("id").is_empty());
}

#[test]
fn a_key_of_one_name_logs_no_other_in_any_shape() {
    let world = World::new(&[]);
    let scoped = world.key(&["--event", "tool_used"]);
    let mut http = world.http();
    assert_eq!(http.track(&scoped, ONE).status, 202);
    assert_eq!(http.track(&scoped, r#"{"toolName":"t"}"#).status, 202);
    for other in [
        r#"{"name":"skill_executed"}"#,
        r#"{"name":"Tool_used"}"#,
        r#"{"name":"tool_used "}"#,
        r#"{"name":"tool_used.x"}"#,
        r#"{"name":""}"#,
        r#"{"skill":"s","success":true,"durationMs":1}"#,
    ] {
        assert_eq!(http.track(&scoped, other).status, 403, "{other}");
        // One that is allowed does not let the other in, nor goes in beside it.
        let answer = http.track(&scoped, &format!("[{ONE},{other}]"));
        assert_eq!((answer.status, &answer.json()["error"]["position"]), (403, &1.into()));
    }
    assert_eq!(world.events("name"), [["tool_used"], ["tool_used"]]);
}

#[test]
fn a_revoked_key_is_refused_after_the_seconds_for_which_it_is_trusted() {
    let world = World::new(&["--key-cache", "50ms"]);
    let mut http = world.http();
    assert_eq!(http.track(&world.key_a, ONE).status, 202);
    let revoke = |id: &str| {
        let mut command = eventlog(db::shared(), &world.db.name, "log_owner");
        printed(command.args(["key", "revoke", id]))
    };
    // The whole key is as good as its id.
    let said = revoke(&world.key_a);
    assert!(said.contains(&world.key_a[5..21]) && !said.contains(&world.key_a[22..]));
    let mut tries = 0;
    while http.track(&world.key_a, ONE).status != 401 {
        tries += 1;
        assert!(tries < 10_000);
    }
    assert_eq!(http.track(&world.key_b, ONE).status, 202, "others go on");
    // Once more changes nothing, and a new key works at once.
    revoke(&world.key_a[5..21]);
    let new = make_key(db::shared(), &world.db.name, TENANT_A, &[]);
    assert_eq!(http.track(&new, ONE).status, 202);
}

#[test]
fn a_key_that_was_looked_up_expires_by_the_clock() {
    let world = World::new(&["--key-cache", "1h"]);
    let short = world.key(&["--expires-in", "2 seconds"]);
    let mut http = world.http();
    let mut tries = 0;
    while http.track(&short, ONE).status != 401 {
        std::thread::sleep(std::time::Duration::from_millis(20));
        tries += 1;
        assert!(tries < 1000);
    }
}

#[test]
fn neither_keys_nor_payloads_are_in_what_the_gateway_says() {
    let db = eventlog_tests::Db::new();
    crate::server::grant_gateway(db::shared(), &db.name);
    let key = make_key(db::shared(), &db.name, TENANT_A, &[]);
    let gateway = Gateway::start(db::shared(), &db.name, &[]);
    let mut http = gateway.http();
    let wrong = format!("{}0", &key[..key.len() - 1]);
    for key in [&key, &wrong] {
        http.track(key, r#"{"name":"tool_used","data":{"toolName":"PAYLOAD"}}"#);
        // A name is named, in one line.
        http.track(key, r#"{"name":"nonesuch\nFORGED \u001b[31m","data":{"toolName":"PAYLOAD"}}"#);
        http.track(key, r#"{"name":"PAYLOAD"#);
    }
    crate::server::settle(&mut http);
    // Alone, and with nobody who waits to be told.
    http.track(&key, r#"{"name":"nonesuch\nFORGED \u001b[31m"}"#);
    crate::server::settle(&mut http);
    let metrics = http.get("/metrics").text();
    let (code, log) = gateway.stop();
    assert_eq!(code, Some(0), "{log}");
    for text in [&metrics, &log] {
        assert!(!text.contains(&key[22..60]) && !text.contains("PAYLOAD"), "{text}");
    }
    assert!(!log.contains('\u{1b}'), "{log}");
    assert!(log.lines().all(|line| !line.starts_with("FORGED")), "{log}");
}
