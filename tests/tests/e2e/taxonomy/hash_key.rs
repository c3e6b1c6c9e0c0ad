//! Keyed hashes, and what happens when their key is not as it should be.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use eventlog_tests::db::shared;
use eventlog_tests::{Db, TENANT_A, assert_refused, refused, rows, text};
use postgres::Client;

const KEY: &str = "correct horse battery staple";

/// A log with a name whose e-mail and actor are hashed, a superuser's connection, and the file.
fn with_key(name: &str) -> (Db, Client, std::path::PathBuf) {
    let db = Db::new();
    let file = shared().write_secret(name, KEY.as_bytes());
    let mut superuser = db.superuser();
    superuser
        .batch_execute(&format!(
            "SET client_min_messages = error; SET eventlog.tenant_id = '{TENANT_A}';
             SET eventlog.hash_key_file = '{}';
             SELECT eventlog.define_event('signed_up', hash_keys => '{{email}}', hash_actor => true,
                                          actor_key => 'userId', subject_keys => '{{email}}')",
            file.display()
        ))
        .unwrap();
    (db, superuser, file)
}

/// Python's HMAC of each line.
fn python_hmac(lines: &[&str]) -> Vec<String> {
    let program = "import hmac, sys\n\
         for line in sys.stdin.buffer.read().split(b'\\0')[:-1]:\n\
         \x20   print(hmac.new(sys.argv[1].encode(), line, 'sha256').hexdigest())";
    let mut python = Command::new("python3")
        .args(["-c", program, KEY])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3");
    let mut input = lines.join("\0");
    input.push('\0');
    python.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = python.wait_with_output().unwrap();
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn keyed_hashes_equal_pythons() {
    let (_db, mut client, _) = with_key("python_key");
    let values = ["user@example.com", "", "ü🙂", "a\nb", "1.10", "12345678901234567890", "true"];
    let jsons = [
        "\"user@example.com\"",
        "\"\"",
        "\"ü🙂\"",
        "\"a\\nb\"",
        "1.10",
        "12345678901234567890",
        "true",
    ];
    let expected = python_hmac(&values);
    for (json, expected) in jsons.iter().zip(&expected) {
        let data =
            format!("{{\"email\": {json}, \"in\": [{{\"email\": {json}}}], \"userId\": {json}}}");
        client
            .execute("SELECT eventlog.log_event(NULL, 'signed_up', $1::text::jsonb)", &[&data])
            .unwrap();
        let stored = rows(
            &mut client,
            "SELECT data ->> 'email', data #>> '{in,0,email}', data ->> 'userId', actor, subject
               FROM eventlog.events ORDER BY id DESC LIMIT 1",
        );
        assert_eq!(stored, [vec![expected.clone(); 5]], "{json}");
    }
    // An actor that is given is hashed as one from the payload is.
    client
        .execute(
            "SELECT eventlog.log_event(NULL, 'signed_up', actor => $1)",
            &[&"user@example.com"],
        )
        .unwrap();
    let actor = "SELECT actor FROM eventlog.events ORDER BY id DESC LIMIT 1";
    assert_eq!(text(&mut client, actor), expected[0]);
}

#[test]
fn a_key_file_that_is_not_as_it_should_be_is_a_clear_error_and_never_another_hash() {
    let (db, mut client, file) = with_key("bad_key");
    let log = r#"SELECT eventlog.log_event(NULL, 'signed_up', '{"email": "user@example.com"}')"#;
    client.batch_execute(log).unwrap();
    let write = |content: &[u8]| fs::write(&file, content).unwrap();
    let mode = |mode| fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();

    let mut problems: Vec<(&str, &str)> = Vec::new();
    let mut check = |client: &mut Client, problem: &'static str, message: &'static str| {
        let outcome = refused(client, log);
        assert_eq!(outcome.code().code(), "55000", "{problem}: {outcome:?}");
        assert!(outcome.message().contains(message), "{problem}: {outcome:?}");
        problems.push((problem, message));
    };
    mode(0o644);
    check(&mut client, "world-readable", "can be read or written by others: mode 0644");
    mode(0o640);
    check(&mut client, "readable by a group", "can be read or written by others: mode 0640");
    mode(0o000);
    check(&mut client, "unreadable", "cannot be read: Permission denied");
    mode(0o600);
    write(b"");
    check(&mut client, "empty", "is empty");
    write(b"\n");
    check(&mut client, "a line end only", "is empty");
    write(b"secret");
    check(&mut client, "short", "too short: 6 bytes, at least 16");
    write(&[b'x'; 2000]);
    check(&mut client, "long", "too long");
    write(b"another key that is long enough");
    check(&mut client, "changed", "is not the one that this log hashes with");
    write(format!("{KEY}\r\n").as_bytes());
    client.batch_execute(log).expect("a line end is not part of the key");
    fs::remove_file(&file).unwrap();
    check(&mut client, "missing", "cannot be read: No such file");
    fs::create_dir(&file).unwrap();
    check(&mut client, "a folder", "is not a regular file");
    fs::remove_dir(&file).unwrap();
    assert!(Command::new("mkfifo").arg(&file).status().unwrap().success());
    check(&mut client, "a pipe", "is not a regular file");
    client.batch_execute("SET eventlog.hash_key_file = ''").unwrap();
    check(&mut client, "not set", "is not set");
    client.batch_execute("RESET eventlog.hash_key_file").unwrap();
    check(&mut client, "not set", "is not set");

    // Nobody is told the key, and no statement fails that hashes nothing.
    client.batch_execute("SELECT eventlog.log_event(NULL, 'signed_up', '{\"plan\": 1}')").unwrap();
    let hashes =
        "SELECT count(DISTINCT data ->> 'email'), count(data ->> 'email') FROM eventlog.events";
    assert_eq!(rows(&mut client, hashes), [["1", "2"]]);
    drop(db);
}

#[test]
fn without_a_key_an_event_goes_to_the_quarantine_without_what_cannot_be_hashed() {
    let (_db, mut client, _) = with_key("quarantine_key");
    client.batch_execute("SET eventlog.hash_key_file = ''").unwrap();
    let call = "SELECT eventlog.try_log_event(NULL, 'signed_up', '{\"email\": \"user@example.com\", \"plan\": 1}'";
    client.batch_execute(&format!("{call}::text)")).unwrap();
    client.batch_execute(&format!("{call}::jsonb, actor => 'user@example.com')")).unwrap();
    let batch = "SELECT rejected FROM eventlog.log_events(NULL, '{signed_up}', '{\"{\\\"email\\\": \\\"user@example.com\\\", \\\"plan\\\": 1}\"}')";
    assert_eq!(text(&mut client, batch), "1");
    let kept = rows(
        &mut client,
        "SELECT data, actor, sqlstate, can_replay FROM eventlog.rejected_events ORDER BY id",
    );
    assert_eq!(kept, [[r#"{"plan": 1}"#, "∅", "55000", "f"]; 3]);
}

#[test]
fn another_key_is_used_once_the_owner_accepts_it() {
    let (db, mut client, file) = with_key("rotated_key");
    let hash =
        "SELECT stored ->> 'email' FROM eventlog.validate_event('signed_up', '{\"email\": \"a\"}')";
    let first = text(&mut client, hash);
    fs::write(&file, "the next key, as long as the first").unwrap();
    assert_eq!(
        text(
            &mut client,
            "SELECT sqlstate FROM eventlog.validate_event('signed_up', '{\"email\": \"a\"}')"
        ),
        "55000"
    );
    let mut member = db.connect_as("member", TENANT_A);
    for call in ["eventlog.accept_hash_key()", "eventlog_private.hash_key_id()"] {
        assert_refused(&mut member, &format!("SELECT {call}"), "42501", "permission denied");
    }
    client.batch_execute("SELECT eventlog.accept_hash_key()").unwrap();
    let second = text(&mut client, hash);
    assert!(first != second && second.len() == 64, "{first} {second}");
    assert_refused(
        &mut member,
        "SET eventlog.hash_key_file = '/etc/hostname'",
        "42501",
        "permission",
    );
}

#[test]
fn the_first_key_is_accepted_by_define_event_and_without_one_it_warns() {
    let db = Db::new();
    let mut owner = db.connect("log_owner");
    // No file is set for the owner: the name is defined all the same, and refuses its events.
    owner
        .batch_execute("SELECT eventlog.define_event('signed_up', hash_keys => '{email}')")
        .unwrap();
    let mut writer = db.connect_as("writer", TENANT_A);
    let log = "SELECT eventlog.log_event(NULL, 'signed_up', '{\"email\": \"a\"}')";
    assert_refused(&mut writer, log, "55000", "is not set");
    let file = shared().write_secret("first_key", KEY.as_bytes());
    db.superuser()
        .batch_execute(&format!(
            "ALTER DATABASE {} SET eventlog.hash_key_file = '{}'",
            db.name,
            file.display()
        ))
        .unwrap();
    let mut writer = db.connect_as("writer", TENANT_A);
    assert_refused(&mut writer, log, "55000", "no hash key yet");
    db.connect("log_owner").batch_execute("SELECT eventlog.accept_hash_key()").unwrap();
    // An open connection learns of it.
    writer.batch_execute(log).unwrap();
}

#[test]
fn a_plain_insert_cannot_bring_a_value_that_the_log_would_hash() {
    let (db, _client, _) = with_key("insert_key");
    db.superuser()
        .batch_execute(&format!(
            "ALTER DATABASE {} SET eventlog.hash_key_file = '{}'",
            db.name,
            shared().folder().join("insert_key").display()
        ))
        .unwrap();
    let mut member = db.connect_as("member", TENANT_A);
    let insert = |columns: &str, values: &str| {
        format!(
            "INSERT INTO eventlog.events (tenant_id, name, {columns}) VALUES ('{TENANT_A}', 'signed_up', {values})"
        )
    };
    let bare = format!("'{{\"email\": \"{}\"}}'", "0".repeat(64));
    assert_refused(
        &mut member,
        &insert("data", "'{\"email\": \"a\"}'"),
        "23514",
        "not in the form",
    );
    assert_refused(&mut member, &insert("data", &bare), "23514", "not in the form");
    assert_refused(&mut member, &insert("actor", "'someone'"), "23514", "not in the form");
    member.batch_execute(&insert("data", "'{\"plan\": 1}'")).unwrap();
}

#[test]
fn what_was_hashed_in_the_quarantine_is_not_hashed_again_when_it_is_replayed() {
    let (_db, mut client, _) = with_key("replay_key");
    client
        .batch_execute(
            "SELECT eventlog.define_event('signed_up', required_keys => '{plan}');
             SELECT eventlog.try_log_event(NULL, 'signed_up', '{\"email\": \"user@example.com\", \"n\": {\"email\": 7}}'::jsonb,
                                           actor => 'user@example.com')",
        )
        .unwrap();
    let hash = python_hmac(&["user@example.com", "7"]);
    let kept = "SELECT data::jsonb ->> 'email', data::jsonb #>> '{n,email}', actor, can_replay FROM eventlog.rejected_events";
    assert_eq!(rows(&mut client, kept), [[&*hash[0], &hash[1], &hash[0], "t"]]);
    client
        .batch_execute(
            "UPDATE eventlog.event_types SET required_keys = '{}' WHERE name = 'signed_up';
             SELECT eventlog.replay_rejected()",
        )
        .unwrap();
    let stored = "SELECT data ->> 'email', data #>> '{n,email}', actor FROM eventlog.events";
    assert_eq!(rows(&mut client, stored), [[&*hash[0], &hash[1], &hash[0]]]);
}

#[test]
fn an_import_hashes_and_redacts_as_log_event_does_and_makes_nothing_up() {
    let (_db, mut client, _) = with_key("import_key");
    client
        .batch_execute(&format!(
            "SELECT eventlog.define_event('signed_up', redact_keys => '{{password}}', default_values => '{{\"source\": \"web\"}}');
             CREATE TABLE public.old (id bigint, tenant_id uuid, name text, data jsonb, created_at timestamptz, actor text);
             INSERT INTO public.old VALUES
                 (1, '{TENANT_A}', 'signed_up', '{{\"email\": \"a\", \"password\": \"p\"}}', '2025-01-01', 'user@example.com'),
                 (2, '{TENANT_A}', 'signed_up', '{{\"userId\": \"user@example.com\"}}', '2025-01-01', NULL),
                 (3, NULL, 'signed_up', '{{\"email\": \"a\", \"password\": \"p\"}}', '2025-01-01', 'user@example.com');
             GRANT SELECT ON public.old TO log_owner;
             SELECT eventlog.import_events('public.old')"
        ))
        .unwrap();
    let hashes = python_hmac(&["a", "user@example.com"]);
    let stored = rows(&mut client, "SELECT data, actor FROM eventlog.events ORDER BY id");
    assert_eq!(
        stored,
        [
            [format!("{{\"email\": \"{}\"}}", hashes[0]), hashes[1].clone()],
            [format!("{{\"userId\": \"{}\"}}", hashes[1]), hashes[1].clone()]
        ]
    );
    // So does what it refuses.
    let refused = rows(&mut client, "SELECT data, actor FROM eventlog.rejected_events");
    assert_eq!(refused, [[format!("{{\"email\": \"{}\"}}", hashes[0]), hashes[1].clone()]]);
}
