//! The programs of `docs/receiving-webhooks.md`, as printed, behind `eventlog deliver`.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use eventlog_tests::receiver::Receiver;
use eventlog_tests::{Db, TENANT_A, db, program, text, wait_for};
use postgres::Client;

use super::{Deliverer, create, log};

const PAGE: &str = include_str!("../../../../docs/receiving-webhooks.md");
const RUST: &str = include_str!("../../../webhooks/receiver.rs");

/// Returns the page's program in a language.
fn block(language: &str) -> &'static str {
    let (_, rest) = PAGE.split_once(&format!("```{language}\n")).expect("a program");
    rest.split_once("```").expect("its end").0
}

/// An empty folder, removed in the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("eventlog-receiver-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).expect("a folder");
        Folder(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A program that receives until it is dropped.
struct Program {
    child: Child,
    address: SocketAddr,
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Program {
    /// Starts a program on a port, and waits until it listens.
    fn start(mut command: Command, db: &Db, secret: &str, address: SocketAddr) -> Self {
        let host = db::shared().folder().display();
        command
            .env("PORT", address.port().to_string())
            .env("WEBHOOK_SECRET", secret)
            .env("MAIL_TO", "team@example.com")
            .env("PGHOST", db::shared().folder())
            .env("PGPORT", "5432")
            .env("PGUSER", "postgres")
            .env("PGDATABASE", &db.name)
            .env("DATABASE_URL", format!("host={host} user=postgres dbname={}", db.name));
        let child = command.spawn();
        let child = child.unwrap_or_else(|error| panic!("{command:?}: {error}; make setup-tests"));
        let mut program = Program { child, address };
        while TcpStream::connect(address).is_err() {
            let ended = program.child.try_wait().expect("it is ours");
            assert!(ended.is_none(), "{command:?} ended: {ended:?}; make setup-tests");
            std::thread::sleep(Duration::from_millis(50));
        }
        program
    }

    /// Sends a request that nobody signed, and returns the answer's first line.
    fn forged(&self) -> String {
        let mut stream = TcpStream::connect(self.address).expect("it listens");
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().expect("after 1970").as_secs();
        let request = format!(
            "POST /hook HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nwebhook-id: evt_1\r\n\
             webhook-timestamp: {now}\r\ncontent-length: 2\r\n\
             webhook-signature: v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=\r\n\r\n{{}}"
        );
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer.lines().next().unwrap_or_default().to_owned()
    }
}

/// Has a program receive what a deliverer sends: events, the same ones again, and one after the secret
/// was changed. What the program passed on is for the caller to compare.
fn receive(command: Command) {
    let (db, mut owner) = log();
    let mut superuser = db.connect("postgres");
    superuser.batch_execute(block("sql")).expect("a table");
    let free = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = free.local_addr().expect("bound");
    drop(free);
    let (webhook, secret) = create(&mut owner, &format!("http://{address}/hook"), "");
    let program = Program::start(command, &db, &secret, address);
    let answer = program.forged();
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    assert_eq!(text(&mut superuser, "SELECT count(*) FROM inbox"), "0");
    let _deliverer = Deliverer::of(&db, &[]);
    ping(&mut owner, "{Zoë,<b>&co,user-17}");
    let passed = |count: usize| {
        format!("SELECT count(*) = {count} AND count(passed_on_at) = {count} FROM inbox")
    };
    wait_for(&mut superuser, &passed(3), "t");
    // What is known already is neither stored nor passed on again.
    let again = format!("SELECT eventlog.replay_webhook('{webhook}', after_id => 0)");
    owner.batch_execute(&again).expect("it is known");
    let delivered = "SELECT sum(deliveries) >= 6 FROM eventlog.webhook_deliveries
                      WHERE status BETWEEN 200 AND 299";
    wait_for(&mut owner, delivered, "t");
    // The program has the old secret still.
    let rotate = format!("SELECT eventlog.rotate_secret('{webhook}')");
    owner.batch_execute(&rotate).expect("a secret");
    ping(&mut owner, "{last}");
    wait_for(&mut superuser, &passed(4), "t");
    let faults = "SELECT count(*) FROM eventlog.webhook_deliveries
                   WHERE status IS NULL OR status > 299";
    assert_eq!(text(&mut owner, faults), "0");
}

fn ping(owner: &mut Client, actors: &str) {
    let sql = format!(
        "SELECT eventlog.log_event('{TENANT_A}', 'ping', '{{}}', actor => actor)
           FROM unnest('{actors}'::text[]) actor"
    );
    owner.batch_execute(&sql).expect("events");
}

#[test]
fn the_manuals_program_for_node_receives_each_event_once_and_passes_it_on_to_slack() {
    let folder = Folder::new("node");
    let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("webhooks/node_modules");
    let modules = fs::canonicalize(modules).expect("make setup-tests");
    symlink(modules, folder.0.join("node_modules")).expect("a link");
    let file = folder.0.join("receiver.mjs");
    fs::write(&file, block("js")).expect("a file");
    let slack = Receiver::accepting();
    let mut node = Command::new("node");
    node.arg(&file).env("SLACK_URL", slack.url("services/T0/B0/x"));
    receive(node);
    let texts: Vec<_> = slack.requests().iter().map(|request| request.json()).collect();
    let expected = ["Zoë", "&lt;b&gt;&amp;co", "user-17", "last"];
    let expected = expected.map(|actor| serde_json::json!({ "text": format!("ping by {actor}") }));
    assert_eq!(texts, expected);
}

/// Receives mail on a port of its own, and keeps what came.
fn mail_server() -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let mails = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&mails);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = take_mail(stream.expect("a connection"), &kept);
        }
    });
    (port, mails)
}

fn take_mail(mut stream: TcpStream, mails: &Mutex<Vec<String>>) -> std::io::Result<()> {
    stream.write_all(b"220 test\r\n")?;
    let mut mail = None;
    for line in BufReader::new(stream.try_clone()?).lines() {
        let line = line?;
        match (&mut mail, line.as_str()) {
            (Some(_), ".") => mails.lock().expect("not poisoned").extend(mail.take()),
            (Some(text), line) => {
                *text = format!("{text}{line}\n");
                continue;
            }
            (None, "data" | "DATA") => {
                mail = Some(String::new());
                stream.write_all(b"354 go on\r\n")?;
                continue;
            }
            (None, "quit" | "QUIT") => return stream.write_all(b"221 bye\r\n"),
            (None, _) => {}
        }
        stream.write_all(b"250 ok\r\n")?;
    }
    Ok(())
}

#[test]
fn the_manuals_program_for_python_receives_each_event_once_and_passes_it_on_by_mail() {
    let folder = Folder::new("python");
    let file = folder.0.join("receiver.py");
    fs::write(&file, block("python")).expect("a file");
    let (port, mails) = mail_server();
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/webhooks/bin/python3");
    let mut python = Command::new(python);
    python.arg(&file).env("SMTP_PORT", port.to_string());
    receive(python);
    let mails = mails.lock().expect("not poisoned");
    assert_eq!(mails.len(), 4, "{mails:?}");
    for (mail, actor) in mails.iter().zip(["Zo", "<b>&co", "user-17", "last"]) {
        assert!(mail.contains(&format!("ping by {actor}")), "{mail}");
        assert!(mail.contains("To: team@example.com\n"), "{mail}");
        assert!(mail.contains("Message-ID: <evt_"), "{mail}");
    }
}

#[test]
fn the_manuals_program_for_rust_receives_each_event_once_and_passes_it_on_by_mail() {
    assert_eq!(block("rust"), RUST, "the page, and tests/webhooks/receiver.rs");
    let folder = Folder::new("rust");
    let sendmail = folder.0.join("sendmail");
    let mails = folder.0.join("mails");
    let script = format!("#!/bin/sh\ncat >> '{}'\n", mails.display());
    fs::write(&sendmail, script).expect("a file");
    fs::set_permissions(&sendmail, fs::Permissions::from_mode(0o755)).expect("it is ours");
    let path = std::env::var("PATH").expect("a path");
    let mut rust = Command::new(program::example("receive_webhooks"));
    rust.env("PATH", format!("{}:{path}", folder.0.display()));
    receive(rust);
    let head = "To: team@example.com\nSubject: An event was logged\n\
                Content-Type: text/plain; charset=utf-8\n\n";
    let expected = ["Zoë", "<b>&co", "user-17", "last"];
    let expected = expected.map(|actor| format!("{head}ping by {actor}\n"));
    assert_eq!(fs::read_to_string(mails).expect("mails"), expected.concat());
}
