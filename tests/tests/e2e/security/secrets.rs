//! A secret under a rule is found nowhere: not on disk, not in the server's log, not in a message.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use eventlog_tests::cluster::major_version;
use eventlog_tests::{Cluster, TENANT_A, db, text};
use postgres::{Client, NoTls};

/// One for each rule, each given in every way there is.
const SECRETS: [&str; 6] = [
    "redactedWhereItIs",
    "redactedEverywhere",
    "hashed@example.com",
    "hashed-actor",
    "someUsersName",
    "someCustomersName",
];

/// What must be found, else the search finds nothing at all.
const KEPT: &str = "thisIsKept";

fn payload(is_good: bool) -> String {
    let required = if is_good { "\"needed\": 1," } else { "" };
    let inner = r#""password": "redactedWhereItIs", "token": "redactedEverywhere", "email": "hashed@example.com""#;
    format!(
        r#"{{{required} "kept": "thisIsKept", {inner}, "in": [{{{inner}, "cwd": "/home/someUsersName/x"}}],
            "password2": {{"token": {{"a": ["redactedEverywhere"]}}}}, "userId": "hashed-actor",
            "cwd": "/srv/someCustomersName/app"}}"#
    )
}

/// Every statement by which an event may come in, each with parameters; what the errors say.
fn log_everywhere(client: &mut Client, role: &str) -> String {
    let mut said = String::new();
    let mut hear = |answer: Result<u64, postgres::Error>| {
        if let Err(error) = answer {
            said.push_str(&format!("{error:?}\n"));
        }
    };
    let tenant = TENANT_A;
    for is_good in [true, false] {
        let data = payload(is_good);
        let malformed = format!("{}\\u0000", data);
        let names = if is_good { ["guarded"; 2] } else { ["guarded", "unknown_name"] };
        for name in names {
            let batch = format!(
                r#"[{{"tenant_id": "{tenant}", "name": "{name}", "data": {data}, "actor": "hashed-actor"}},
                    {{"tenant_id": "{tenant}", "name": "{name}", "data": {data}, "actor": 7}}]"#
            );
            // Unknown names have no rules but the global one: their other secrets are the caller's.
            let (data, batch, actor) = if name == "guarded" {
                (data.clone(), batch, "hashed-actor")
            } else {
                let only = r#"{"kept": "thisIsKept", "in": [{"token": "redactedEverywhere"}]}"#;
                (only.to_owned(), format!(r#"[{{"name": "{name}", "data": {only}}}]"#), "someone")
            };
            for sql in [
                "SELECT eventlog.log_event($1::text::uuid, $2, $3::text::jsonb, actor => $4)::text",
                "SELECT eventlog.try_log_event($1::text::uuid, $2, $3::text::jsonb, actor => $4)::text",
                "SELECT eventlog.try_log_event($1::text::uuid, $2, $3::text, actor => $4)::text",
                "SELECT e::text FROM eventlog.log_events(ARRAY[$1::text::uuid], ARRAY[$2], ARRAY[$3], actors => ARRAY[$4], with_verdicts => true) e",
                "SELECT message FROM eventlog.validate_event($2, $3::text::jsonb) WHERE $1 || $4 <> ''",
            ] {
                hear(client.execute(sql, &[&tenant, &name, &data, &actor]));
            }
            hear(
                client
                    .execute("SELECT eventlog.log_events($1::text::jsonb, true)::text", &[&batch]),
            );
            let malformed = if name == "guarded" { &malformed } else { &data };
            hear(client.execute(
                "SELECT eventlog.try_log_event($1::text::uuid, $2, $3::text, actor => $4)::text",
                &[&tenant, &name, malformed, &actor],
            ));
            // The owner bypasses the guard, and may write what he likes.
            if role != "log_owner" {
                hear(client.execute(
                "INSERT INTO eventlog.events (tenant_id, name, data, actor) VALUES ($1::text::uuid, $2, $3::text::jsonb, $4)",
                &[&tenant, &name, &data, &actor],
            ));
            }
        }
    }
    said
}

#[test]
fn a_planted_secret_is_in_no_file_of_the_cluster_no_log_and_no_message() {
    let cluster = Cluster::start(&[
        ("log_min_messages", "info"),
        ("wal_compression", "off"),
        ("eventlog.redact_keys", "'token, nothing'"),
    ]);
    let key = cluster.write_secret("hash_key", b"a key that is long enough");
    db::create_roles(&cluster);
    db::create_log(&cluster, "secrets");
    let messages = Arc::new(Mutex::new(String::new()));
    let mut superuser = cluster.connect("secrets", "postgres");
    superuser.batch_execute("LOAD 'eventlog'").unwrap();
    superuser
        .batch_execute(&format!("ALTER SYSTEM SET eventlog.hash_key_file = '{}'", key.display()))
        .unwrap();
    superuser.batch_execute("SELECT pg_reload_conf()").unwrap();
    drop(superuser);
    let mut owner = cluster.connect("secrets", "log_owner");
    owner
        .batch_execute(
            "SELECT eventlog.define_event('guarded', required_keys => '{needed}', redact_keys => '{password}', hash_keys => '{email}',
                        hash_actor => true, actor_key => 'userId', path_keys => '{cwd}', subject_keys => '{email}')",
        )
        .unwrap();
    for role in ["log_owner", "member", "service"] {
        let heard = Arc::clone(&messages);
        let mut config = cluster.config("secrets", role);
        config.notice_callback(move |notice| {
            heard.lock().unwrap().push_str(&format!("{notice:?}\n"));
        });
        let mut client = config.connect(NoTls).unwrap();
        client.batch_execute(&format!("SET eventlog.tenant_id = '{TENANT_A}'")).unwrap();
        let said = log_everywhere(&mut client, role);
        messages.lock().unwrap().push_str(&said);
    }
    let counts = "SELECT count(*) > 20 FROM eventlog.events";
    assert_eq!(text(&mut owner, counts), "t");
    let counts = "SELECT count(*) > 20 FROM eventlog.rejected_events";
    assert_eq!(text(&mut owner, counts), "t");
    // Whatever is in buffers goes to the files of tables and indexes.
    cluster.connect("secrets", "postgres").batch_execute("CHECKPOINT").unwrap();

    let mut places = vec![
        ("the server's log".to_owned(), cluster.log().into_bytes()),
        ("messages".to_owned(), messages.lock().unwrap().clone().into_bytes()),
        (
            "rows".to_owned(),
            text(&mut owner, "SELECT string_agg(e::text, '') FROM eventlog.events e").into_bytes(),
        ),
        (
            "quarantine".to_owned(),
            text(&mut owner, "SELECT string_agg(e::text, '') FROM eventlog.rejected_events e")
                .into_bytes(),
        ),
        ("pg_waldump".to_owned(), waldump(&cluster)),
    ];
    // The files of every table and index, and of the write-ahead log.
    read_files(&cluster.folder().join("data"), &mut places);
    assert!(places.len() > 500, "{}", places.len());
    for (place, content) in &places {
        for secret in SECRETS {
            assert!(!contains(content, secret), "{secret} is in {place}");
        }
    }
    for place in ["rows", "quarantine", "pg_wal", "base"] {
        assert!(
            places.iter().any(|(name, content)| name.contains(place) && contains(content, KEPT)),
            "{KEPT} is nowhere in {place}"
        );
    }
    assert!(major_version() >= 14);
}

/// What pg_waldump tells of the whole log.
fn waldump(cluster: &Cluster) -> Vec<u8> {
    let wal = cluster.folder().join("data/pg_wal");
    let mut segments: Vec<String> = fs::read_dir(&wal)
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().into_string().ok())
        .filter(|name| name.len() == 24)
        .collect();
    segments.sort();
    // It ends with an error at the end of the log, which is not written yet.
    let output = cluster
        .client("pg_waldump")
        .arg("-p")
        .arg(&wal)
        .arg(&segments[0])
        .output()
        .expect("pg_waldump");
    assert!(output.stdout.len() > 10_000, "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn read_files(folder: &Path, places: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_files(&path, places);
        } else if let Ok(content) = fs::read(&path) {
            places.push((path.display().to_string(), content));
        }
    }
}

fn contains(content: &[u8], text: &str) -> bool {
    let first = text.as_bytes()[0];
    let mut rest = content;
    while let Some(at) = rest.iter().position(|byte| *byte == first) {
        if rest[at..].starts_with(text.as_bytes()) {
            return true;
        }
        rest = &rest[at + 1..];
    }
    false
}
