//! The built program: commands that end, and the gateway, started and stopped.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Mutex;
use std::thread::JoinHandle;
use std::time::Duration;

use eventlog_tests::{Cluster, Db, TENANT_A, TENANT_B, db, program};
use serde_json::Value;

use crate::http::Http;

/// The role of the gateway.
pub(crate) const GATEWAY: &str = "gateway";

/// The program, set to a database and a role.
pub(crate) fn eventlog(cluster: &Cluster, database: &str, role: &str) -> Command {
    let mut command = Command::new(program::eventlog());
    command
        .env("PGHOST", cluster.folder())
        .env("PGPORT", "5432")
        .env("PGUSER", role)
        .env("PGDATABASE", database)
        .env_remove("EVENTLOG_DSN")
        .stdin(Stdio::null());
    command
}

/// Runs a command that must go well; what it printed.
#[track_caller]
pub(crate) fn printed(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().expect("it starts");
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{command:?}: {status}\n{stdout}\n{stderr}");
    stdout.into_owned()
}

/// Runs a command that must fail with this exit code; what it said.
#[track_caller]
pub(crate) fn failed(command: &mut Command, code: i32) -> String {
    let Output { status, stdout, stderr } = command.output().expect("it starts");
    let stderr = String::from_utf8_lossy(&stderr).into_owned();
    assert_eq!(status.code(), Some(code), "{command:?}\n{stderr}");
    assert!(stdout.is_empty(), "{command:?}");
    stderr
}

/// Makes the gateway's role in a cluster, if it is not there, and grants it the log of a database.
pub(crate) fn grant_gateway(cluster: &Cluster, database: &str) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let mut superuser = cluster.connect(database, "postgres");
    let sql = format!(
        "DO $$ BEGIN IF to_regrole('{GATEWAY}') IS NULL THEN CREATE ROLE {GATEWAY} LOGIN; END IF; END $$;
         SET SESSION AUTHORIZATION log_owner;
         SELECT eventlog.grant_gateway('{GATEWAY}')"
    );
    superuser.batch_execute(&sql).expect("the log is there");
}

/// Makes a key with these options; its text.
pub(crate) fn make_key(
    cluster: &Cluster,
    database: &str,
    tenant: &str,
    options: &[&str],
) -> String {
    let mut command = eventlog(cluster, database, "log_owner");
    command.args(["key", "create", "--tenant", tenant]).args(options);
    printed(&mut command).trim().to_owned()
}

/// A gateway that runs until it is dropped.
#[derive(Debug)]
pub(crate) struct Gateway {
    child: Child,
    pub(crate) address: SocketAddr,
    log: Option<JoinHandle<String>>,
}

impl Gateway {
    /// Starts it on a free port.
    pub(crate) fn start(cluster: &Cluster, database: &str, options: &[&str]) -> Self {
        Self::start_command(eventlog(cluster, database, GATEWAY), options)
    }

    pub(crate) fn start_command(command: Command, options: &[&str]) -> Self {
        Self::start_at("127.0.0.1:0", command, options)
    }

    /// Starts it on an address.
    pub(crate) fn start_at(address: &str, mut command: Command, options: &[&str]) -> Self {
        command.env("EVENTLOG_LINGER", "5ms").args(["serve", "--listen", address]).args(options);
        let mut child = command.stderr(Stdio::piped()).spawn().expect("it starts");
        let mut stderr = BufReader::new(child.stderr.take().expect("piped"));
        let mut log = String::new();
        let address = loop {
            let before = log.len();
            assert_ne!(stderr.read_line(&mut log).expect("UTF-8"), 0, "it ended: {log}");
            if let Some((_, address)) = log[before..].split_once("listening on http://") {
                break address.trim().parse().expect("an address");
            }
        };
        let log = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = stderr.read_to_end(&mut bytes);
            log + &String::from_utf8_lossy(&bytes)
        });
        Gateway { child, address, log: Some(log) }
    }

    pub(crate) fn http(&self) -> Http {
        Http::to(self.address)
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args([&format!("-{name}"), &pid]).status();
        assert!(status.expect("kill").success());
    }

    /// Stops it as a supervisor does; its exit code, and all that it said.
    pub(crate) fn stop(mut self) -> (Option<i32>, String) {
        self.signal("TERM");
        let status = self.child.wait().expect("it is ours");
        (status.code(), self.log.take().expect("once").join().expect("the reader"))
    }

    /// Bytes of memory that it holds now.
    pub(crate) fn memory(&self) -> usize {
        self.status("VmRSS:")
    }

    /// Bytes of memory that it ever held at a time.
    pub(crate) fn peak_memory(&self) -> usize {
        self.status("VmHWM:")
    }

    fn status(&self, name: &str) -> usize {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("Linux");
        let kilobytes: usize = line.trim().trim_end_matches(" kB").parse().expect("a number");
        kilobytes << 10
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A database with a gateway, and a key to write for each of two tenants.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) gateway: Gateway,
    pub(crate) key_a: String,
    pub(crate) key_b: String,
    pub(crate) db: Db,
}

impl World {
    pub(crate) fn new(options: &[&str]) -> Self {
        World::of(Db::new(), options, "")
    }

    /// The same of a database that is there, after a superuser said this of the gateway's role.
    pub(crate) fn of(db: Db, options: &[&str], sql: &str) -> Self {
        let cluster = db::shared();
        grant_gateway(cluster, &db.name);
        db.superuser().batch_execute(sql).expect("a statement");
        let key = |tenant| make_key(cluster, &db.name, tenant, &[]);
        let (key_a, key_b) = (key(TENANT_A), key(TENANT_B));
        let gateway = Gateway::start(cluster, &db.name, options);
        World { gateway, key_a, key_b, db }
    }

    pub(crate) fn http(&self) -> Http {
        self.gateway.http()
    }

    pub(crate) fn key(&self, options: &[&str]) -> String {
        make_key(db::shared(), &self.db.name, TENANT_A, options)
    }

    /// What the log holds, once what was accepted is written.
    pub(crate) fn events(&self, columns: &str) -> Vec<Vec<String>> {
        self.settle();
        let sql = format!("SELECT {columns} FROM eventlog.events ORDER BY id");
        eventlog_tests::rows(&mut self.db.superuser(), &sql)
    }

    /// Waits until nothing waits for the database.
    pub(crate) fn settle(&self) {
        settle(&mut self.http());
    }
}

/// Waits until nothing waits for the database.
pub(crate) fn settle(http: &mut Http) {
    for _ in 0..6000 {
        if metric(http, "eventlog_events_pending") == 0 {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("events wait for ever");
}

/// A count of the gateway's.
pub(crate) fn metric(http: &mut Http, name: &str) -> u64 {
    let text = http.get("/metrics").text();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().expect("a count")
}

/// What the gateway answered, by route and status.
pub(crate) fn answers(http: &mut Http) -> Vec<(String, u64)> {
    let text = http.get("/metrics").text();
    let count = |line: &str| {
        let (labels, count) =
            line.strip_prefix("eventlog_http_requests_total{")?.split_once("} ")?;
        Some((labels.to_owned(), count.parse().expect("a count")))
    };
    text.lines().filter_map(count).collect()
}

/// Events by number, as JSON.
pub(crate) fn numbered(numbers: impl IntoIterator<Item = usize>) -> Value {
    let event = |n| {
        serde_json::json!({
            "name": "tool_used", "data": { "toolName": "t", "n": n },
        })
    };
    numbers.into_iter().map(event).collect()
}
