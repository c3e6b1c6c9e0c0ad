//! Hashes, hidden from who could guess them back, and paths, hidden wherever they are.

use eventlog_tests::db::shared;
use eventlog_tests::{Db, TENANT_A, assert_refused, refused, rows, text};

/// A database whose connections have a key file, and which hashes the actors of all names.
fn hashing(name: &str) -> Db {
    let db = Db::new();
    let file = shared().write_secret(name, b"correct horse battery staple");
    db.superuser()
        .batch_execute(&format!(
            "ALTER DATABASE {0} SET eventlog.hash_key_file = '{1}';
             ALTER DATABASE {0} SET eventlog.hash_actors = on",
            db.name,
            file.display()
        ))
        .unwrap();
    db.superuser()
        .batch_execute(
            "SELECT eventlog.accept_hash_key();
             SELECT eventlog.define_event('signed_up', actor_key => 'userId', hash_keys => '{email}')",
        )
        .unwrap();
    db
}

#[test]
fn hash_actors_hashes_the_actors_of_all_names_on_every_way_in() {
    let db = hashing("hash_actors_key");
    let mut owner = db.superuser();
    let hash = text(&mut owner, "SELECT eventlog.hash_actor('jane@example.com')");
    assert_eq!(hash.len(), 64);
    let mut member = db.connect_as("member", TENANT_A);
    for call in [
        "log_event(NULL, 'signed_up', '{\"userId\": \"jane@example.com\"}')",
        "log_event(NULL, 'tool_used', '{\"toolName\": \"t\"}', actor => 'jane@example.com')",
        "log_events(NULL, '{signed_up}', '{}', actors => '{jane@example.com}')",
        "log_events(NULL, '{signed_up}', NULL, actors => '{jane@example.com}')",
        "try_log_event(NULL, 'nonsense', '{}', actor => 'jane@example.com')",
        "try_log_event(NULL, 'tool_used', '{}', actor => 'jane@example.com')",
    ] {
        let _ = member.batch_execute(&format!("SELECT eventlog.{call}"));
    }
    let kept =
        "SELECT actor, count(*) FROM (SELECT actor, data::text FROM eventlog.events UNION ALL
                     SELECT actor, data FROM eventlog.rejected_events) k GROUP BY 1";
    assert_eq!(rows(&mut owner, kept), [[&*hash, "5"]]);
    assert_eq!(
        text(&mut owner, "SELECT count(*) FROM eventlog.events WHERE data::text LIKE '%jane%'"),
        "0"
    );
    let plain = format!(
        "INSERT INTO eventlog.events (tenant_id, name, actor) VALUES ('{TENANT_A}', 'signed_up', 'jane@example.com')"
    );
    assert_refused(&mut member, &plain, "23514", "not in the form");
    // A superuser may leave it out for a session, which counts at once.
    owner
        .batch_execute(&format!(
            "SET eventlog.hash_actors = off; SET eventlog.tenant_id = '{TENANT_A}';
             SELECT eventlog.log_event(NULL, 'signed_up', actor => 'raw')"
        ))
        .unwrap();
    assert_eq!(
        text(&mut owner, "SELECT actor FROM eventlog.events ORDER BY id DESC LIMIT 1"),
        "raw"
    );
    assert_refused(&mut member, "SET eventlog.hash_actors = off", "42501", "permission denied");
}

#[test]
fn nobody_but_the_owner_and_services_learns_the_hash_of_a_guess() {
    let db = hashing("guess_key");
    let mut owner = db.connect("log_owner");
    let hash = text(&mut owner, "SELECT eventlog.hash_actor('jane@example.com')");
    assert_eq!(
        text(&mut db.connect("service"), "SELECT eventlog.hash_actor('jane@example.com')"),
        hash
    );
    assert_eq!(text(&mut owner, "SELECT eventlog.hash_actor('') IS NULL"), "t");
    let guess = r#"SELECT stored ->> 'email', stored ->> 'userId', octet_length(stored::text), is_valid
        FROM eventlog.validate_event('signed_up', '{"email": "jane@example.com", "userId": "jane@example.com"}')"#;
    let shown = rows(&mut owner, guess).concat();
    assert_eq!((&shown[0], &shown[1]), (&hash, &hash));
    for role in ["member", "reader", "writer"] {
        let mut client = db.connect_as(role, TENANT_A);
        assert_eq!(
            refused(&mut client, "SELECT eventlog.hash_actor('jane@example.com')").code().code(),
            "42501"
        );
        let answer = rows(&mut client, guess).concat();
        assert!(answer[0].starts_with("(its keyed hash"), "{answer:?}");
        assert_eq!((&answer[0], &answer[2..]), (&answer[1], &shown[2..]), "of the same size");
    }
}

#[test]
fn events_are_found_by_the_raw_actor_by_the_owner_and_services_only() {
    let db = hashing("raw_key");
    let mut owner = db.connect("log_owner");
    owner
        .batch_execute(&format!(
            "SELECT eventlog.log_event('{TENANT_A}', 'signed_up', '{{\"userId\": \"jane@example.com\"}}');
             SELECT eventlog.grant_gateway('dba')"
        ))
        .unwrap();
    let find = format!(
        "SELECT count(*) FROM eventlog.get_events(actors => '{{jane@example.com}}', tenant_id => '{TENANT_A}')"
    );
    for (role, found) in
        [("log_owner", "1"), ("service", "1"), ("reader", "0"), ("member", "0"), ("dba", "0")]
    {
        let mut client = db.connect_as(role, TENANT_A);
        assert_eq!(text(&mut client, &find), found, "{role}");
    }
}

#[test]
fn a_star_among_path_keys_shortens_every_absolute_path() {
    let db = Db::new();
    let mut owner = db.superuser();
    owner
        .batch_execute(
            "SELECT eventlog.define_event('ran', path_keys => '{*}');
             SELECT eventlog.define_event('both', path_keys => '{*,dir}', redact_keys => '{secret}')",
        )
        .unwrap();
    let mut member = db.connect_as("member", TENANT_A);
    for (name, given, stored) in [
        (
            "ran",
            r#"{"cwd": "/home/jane/app", "args": ["/srv/acme/x.log", "--out", {"f": "C:\\Users\\jane\\f.txt"}], "n": 1}"#,
            r#"{"n": 1, "cwd": "~/app", "args": ["x.log", "--out", {"f": "~/f.txt"}]}"#,
        ),
        ("ran", r#"{"a": "and/or", "command": "/help", "url": "https://a/b/c", "dir": "b/c"}"#, ""),
        (
            "both",
            r#"{"dir": "b/c", "secret": "/a/b", "x": "file:///root/x"}"#,
            r#"{"x": "~/x", "dir": "c"}"#,
        ),
    ] {
        let log = format!("SELECT eventlog.log_event(NULL, '{name}', '{given}')");
        let id = text(&mut member, &log);
        let wanted = if stored.is_empty() { given } else { stored };
        let same = format!("SELECT data = '{wanted}', data FROM eventlog.events WHERE id = {id}");
        assert_eq!(rows(&mut owner, &same)[0][0], "t", "{:?}", rows(&mut owner, &same));
    }
    // What was shortened passes as a plain INSERT, what was not does not.
    let insert = |cwd: &str| {
        format!(
            "INSERT INTO eventlog.events (tenant_id, name, data) VALUES ('{TENANT_A}', 'ran', '{{\"cwd\": \"{cwd}\"}}')"
        )
    };
    assert_refused(&mut member, &insert("/home/jane/app"), "23514", "not in the form");
    member.batch_execute(&insert("~/app")).unwrap();
    // And the starter's artifacts.
    member
        .batch_execute(
            r#"SELECT eventlog.log_event(NULL, 'artifact_' || n, '{"artifactName": "a", "artifactType": "skill", "projectPath": "/Users/jane/p"}')
                 FROM unnest('{deployed,updated,synced,removed,searched}'::text[]) n"#,
        )
        .unwrap();
    let paths = "SELECT DISTINCT data ->> 'projectPath', count(*) OVER () FROM eventlog.events WHERE name LIKE 'artifact%'";
    assert_eq!(rows(&mut owner, paths), [["~/p", "5"]]);
}
