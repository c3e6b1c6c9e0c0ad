//! `eventlog deliver` against receivers of all kinds.

mod delivers;
mod failures;
mod inside;
mod receivers;
mod survives;

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

use eventlog_tests::receiver::Receiver;
use eventlog_tests::{Cluster, Db, TENANT_A, db, rows};
use postgres::Client;

use crate::server::eventlog;

/// A deliverer that runs until it is dropped.
#[derive(Debug)]
pub(crate) struct Deliverer {
    child: Child,
    log: Option<JoinHandle<String>>,
}

impl Deliverer {
    /// Starts one that may reach this machine.
    pub(crate) fn start(cluster: &Cluster, database: &str, options: &[&str]) -> Self {
        let mut command = eventlog(cluster, database, "service");
        command.args(["deliver", "--allow-network", "127.0.0.0/8"]).args(options);
        Self::start_command(command)
    }

    /// Starts one of the shared cluster.
    pub(crate) fn of(db: &Db, options: &[&str]) -> Self {
        Self::start(db::shared(), &db.name, options)
    }

    pub(crate) fn start_command(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().expect("it starts");
        let mut stderr = BufReader::new(child.stderr.take().expect("piped"));
        let mut log = String::new();
        while !log.contains("delivering") {
            assert_ne!(stderr.read_line(&mut log).expect("UTF-8"), 0, "it ended: {log}");
        }
        let log = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = stderr.read_to_end(&mut bytes);
            log + &String::from_utf8_lossy(&bytes)
        });
        Deliverer { child, log: Some(log) }
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args([&format!("-{name}"), &pid]).status();
        assert!(status.expect("kill").success());
    }

    /// Stops it as a supervisor does, and returns its exit code and all that it said.
    pub(crate) fn stop(mut self) -> (Option<i32>, String) {
        self.signal("TERM");
        let status = self.child.wait().expect("it is ours");
        (status.code(), self.log.take().expect("once").join().expect("the reader"))
    }
}

impl Drop for Deliverer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A log with an event type, and its owner.
pub(crate) fn log() -> (Db, Client) {
    let db = Db::new();
    let mut owner = db.connect("log_owner");
    owner
        .batch_execute("SELECT eventlog.grant_service('service'), eventlog.define_event('ping'), eventlog.define_event('pong')")
        .expect("event types");
    (db, owner)
}

/// Creates a webhook of tenant A, and returns its id and its secret.
pub(crate) fn create(owner: &mut Client, url: &str, more: &str) -> (String, String) {
    let sql = format!("SELECT * FROM eventlog.create_webhook('{TENANT_A}', '{url}'{more})");
    let row = rows(owner, &sql).concat();
    (row[0].clone(), row[1].clone())
}

/// Logs so many pings of tenant A, and returns their ids.
pub(crate) fn ping(owner: &mut Client, count: usize) -> Vec<i64> {
    let sql = format!(
        "INSERT INTO eventlog.events (tenant_id, name, data) SELECT '{TENANT_A}', 'ping', '{{}}' FROM generate_series(1, {count}) RETURNING id"
    );
    owner.query(&sql, &[]).expect("events").iter().map(|row| row.get(0)).collect()
}

/// Returns the ids of the events that came.
pub(crate) fn came(receiver: &Receiver) -> Vec<i64> {
    receiver.requests().iter().map(|request| request.event_id()).collect()
}
