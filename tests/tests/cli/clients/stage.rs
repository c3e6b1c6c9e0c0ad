//! A log with gateways for one client of others, and what the client does there.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use eventlog_tests::{Db, TENANT_A, db, rows};
use serde_json::{Value, json};

use super::proxy::Proxy;
use crate::server::{Gateway, answers, grant_gateway, make_key};

/// Far beyond what the slowest machine takes.
const LONG: Duration = Duration::from_secs(180);

/// As many events as a client logs in the long run.
pub(super) const MANY: usize = 1000;

/// The event type, and the name by which clients know it.
const TYPES: &str = "
    SELECT eventlog.define_event('order_completed', required_keys => '{orderId, task, n}',
                                 aliases => '{Order Completed}')";

/// A client of others.
pub(super) struct Client {
    /// The program in `tests/clients`.
    pub(super) program: &'static str,
    /// The Python's folder below `target`, for programs in Python.
    pub(super) environment: &'static str,
    /// What the program calls the client.
    pub(super) name: &'static str,
    pub(super) variables: &'static [(&'static str, &'static str)],
    pub(super) protocol: &'static str,
    pub(super) is_gzip: bool,
    /// Whether the application hears of an event that the log refused.
    pub(super) reports_refusals: bool,
    /// Whether it sends again what met a limit.
    pub(super) comes_again: bool,
    /// Whether what it sends again is of who has signed in by then, also if nobody had when it happened.
    pub(super) sends_again_as_who_is_there: bool,
    /// How many answers the gateway gives before it is killed.
    pub(super) answers_before_the_kill: usize,
}

impl Client {
    pub(super) fn is_browser(&self) -> bool {
        self.program == "browser.mjs"
    }
}

/// A client that runs.
pub(super) struct Running {
    child: Child,
}

/// What a client told its application.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) errors: Vec<String>,
    /// The statuses of the answers, if the client shows them.
    pub(super) answers: Vec<u64>,
    /// The id that a browser's client made up.
    pub(super) anonymous: Option<String>,
}

impl Running {
    /// Starts a client on a task.
    pub(super) fn start(client: &Client, task: &Value) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients");
        let python = folder.join("../../target").join(client.environment).join("bin/python3");
        let is_python = client.program.ends_with(".py");
        let interpreter = if is_python { python.as_path() } else { Path::new("node") };
        let mut child = Command::new(interpreter)
            .arg(folder.join(client.program))
            .arg(client.name)
            .envs(client.variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{interpreter:?}: {error}; make setup-tests"));
        // One that cannot begin closes the pipe, and says why.
        let _ = writeln!(child.stdin.as_mut().expect("piped"), "{task}");
        if !client.is_browser() {
            drop(child.stdin.take());
        }
        Running { child }
    }

    /// Ends its input, and waits until it has ended; what it told its application.
    pub(super) fn end(self) -> Said {
        let output = self.child.wait_with_output().expect("it is ours");
        let faults = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{faults}\nmake setup-tests");
        let said: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
            panic!("{error}: {}\n{faults}", String::from_utf8_lossy(&output.stdout))
        });
        let texts = |key: &str| said[key].as_array().cloned().unwrap_or_default();
        Said {
            errors: texts("errors")
                .iter()
                .map(|text| text.as_str().expect("a text").to_owned())
                .collect(),
            answers: texts("answers").iter().filter_map(Value::as_u64).collect(),
            anonymous: said["anonymous"].as_str().map(str::to_owned),
        }
    }
}

/// A log with its gateways.
pub(super) struct Stage<'a> {
    pub(super) client: &'a Client,
    pub(super) db: Db,
    /// The one that nobody kills.
    pub(super) gateway: Gateway,
}

impl<'a> Stage<'a> {
    pub(super) fn new(client: &'a Client) -> Self {
        let db = Db::new();
        grant_gateway(db::shared(), &db.name);
        db.connect("log_owner").batch_execute(TYPES).expect("a new name");
        let gateway = Stage::start(&db);
        Stage { client, db, gateway }
    }

    fn start(db: &Db) -> Gateway {
        let options = ["--rate-limit", "0", "--cors-origin", "*"];
        Gateway::start(db::shared(), &db.name, &options)
    }

    /// A key as this client has one: one for pages is restricted to names.
    pub(super) fn key(&self, options: &[&str]) -> String {
        let mut all = options.to_vec();
        if self.client.is_browser() {
            all.extend(["--event", "order_completed"]);
        }
        make_key(db::shared(), &self.db.name, TENANT_A, &all)
    }

    /// Has the client log these events by a gateway.
    pub(super) fn run(
        &self,
        address: impl std::fmt::Display,
        key: &str,
        events: &Value,
    ) -> Running {
        let task = json!({ "address": format!("http://{address}"), "key": key, "events": events });
        Running::start(self.client, &task)
    }

    /// Events of a task, with users as this client can have them.
    pub(super) fn events(&self, task: &str, count: usize) -> Value {
        let event = |n: usize| {
            json!({
                "name": "Order Completed", "user": self.user(n, count), "time": time(n),
                "properties": { "orderId": format!("o-{n}"), "task": task, "n": n },
            })
        };
        (0..count).map(event).collect()
    }

    /// Who does the event of a number: one of seven, or first nobody and then one.
    fn user(&self, n: usize, count: usize) -> Option<String> {
        match self.client.is_browser() {
            false => Some(format!("user-{}", n % 7)),
            true => (n >= count / 2).then(|| "user-é".to_owned()),
        }
    }

    /// Logs many events while the gateway is killed and started again; all are there once, with their
    /// users and times.
    pub(super) fn log_many_and_lose_the_gateway(&self) {
        let (first, key) = (Stage::start(&self.db), self.key(&[]));
        let proxy = Proxy::before(first.address, self.client.answers_before_the_kill);
        let running = self.run(proxy.address, &key, &self.events("many", MANY));
        proxy.wait_until_an_answer_is_lost();
        first.signal("KILL");
        drop(first);
        proxy.cut_until_it_is_noticed();
        let second = Stage::start(&self.db);
        proxy.forward_to(second.address);
        // A page is open for as long as it takes.
        if self.client.is_browser() {
            self.wait_for("many", MANY);
        }
        let said = running.end();
        self.wait_for("many", MANY);
        let anonymous = said.anonymous.as_deref();
        let expected: BTreeMap<usize, (String, String)> = (0..MANY)
            .map(|n| {
                let user = self.user(n, MANY);
                let actor = user.as_deref().or(anonymous).expect("an actor").to_owned();
                (n, (actor, time(n)))
            })
            .collect();
        let found = self.found("many");
        assert_eq!(found.len(), MANY, "some are doubled; the client said {said:?}");
        let mut found: BTreeMap<usize, (String, String)> =
            found.into_iter().map(|(n, actor, time)| (n, (actor, time))).collect();
        if self.client.sends_again_as_who_is_there {
            // Of some hundred that came before, a few were on their way.
            let again = |n: &usize| found[n].0 != expected[n].0;
            let sent_again: Vec<usize> = (0..MANY / 2).filter(again).collect();
            assert!(sent_again.len() < MANY / 10, "{sent_again:?}");
            for n in sent_again {
                let user = self.user(MANY, MANY).expect("somebody has signed in");
                assert_eq!(found[&n].0, user, "event {n}");
                found.insert(n, expected[&n].clone());
            }
        }
        assert_eq!(found, expected);
        assert_eq!(proxy.is_gzip(), self.client.is_gzip, "gzip");
    }

    /// The numbers of a task's events in the log, with actors and times.
    pub(super) fn found(&self, task: &str) -> Vec<(usize, String, String)> {
        let sql = format!(
            "SELECT data ->> 'n', actor, to_char(occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS+00:00')
               FROM eventlog.events
              WHERE name = 'order_completed' AND tenant_id = '{TENANT_A}' AND data ->> 'task' = '{task}'"
        );
        let read =
            |row: Vec<String>| (row[0].parse().expect("a number"), row[1].clone(), row[2].clone());
        rows(&mut self.db.superuser(), &sql).into_iter().map(read).collect()
    }

    /// Waits until so many events of a task are in the log.
    pub(super) fn wait_for(&self, task: &str, count: usize) {
        self.wait_until(&format!("{count} events of {task}"), || self.found(task).len() >= count);
    }

    /// Waits until something holds.
    pub(super) fn wait_until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        self.insist_until(what, || {
            let is_there = holds();
            if !is_there {
                std::thread::sleep(Duration::from_millis(50));
            }
            is_there
        });
    }

    /// Does something without a pause until it has had its effect.
    pub(super) fn insist_until(&self, what: &str, mut has_effect: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !has_effect() {
            let answers = || answers(&mut self.gateway.http());
            assert!(begun.elapsed() < LONG, "{what} never came; {:?}", answers());
        }
    }

    /// Whether the gateway gave an answer of this status.
    pub(super) fn has_answered(&self, status: u16) -> bool {
        let status = format!("status=\"{status}\"");
        answers(&mut self.gateway.http())
            .iter()
            .any(|(labels, n)| labels.contains(&status) && *n > 0)
    }
}

/// The time of the event of a number, in a form that all languages read.
fn time(n: usize) -> String {
    format!("2025-02-03T04:05:06.{n:03}+00:00")
}
