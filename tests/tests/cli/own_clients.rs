//! The clients `pg-eventlog` for JavaScript and Python against the gateway: what they promise, shown by
//! programs of theirs (`clients/javascript/tests/scenarios.mjs`, `clients/python/tests/scenarios.py`).

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::OnceLock;

use eventlog_tests::{db, rows};
use serde_json::{Value, json};

use crate::server::{GATEWAY, Gateway, World, answers, eventlog};

/// A client, by its language.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Client {
    JavaScript,
    Python,
}

const BOTH: [Client; 2] = [Client::JavaScript, Client::Python];

/// The folder of the clients.
pub(crate) fn clients() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../clients")
}

/// Joins the sources of the client for JavaScript, once.
pub(crate) fn build() {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| {
        let mut build = Command::new("node");
        let status = build.arg("build.mjs").current_dir(clients().join("javascript")).status();
        assert!(status.expect("node").success());
    });
}

/// A scenario that runs.
struct Running {
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Client {
    /// Starts a scenario with a gateway and a key.
    fn start(self, name: &str, url: &str, key: &str) -> Running {
        // One that hangs is ended, and then fails.
        let mut command = Command::new("timeout");
        command.arg("300");
        match self {
            Client::JavaScript => {
                build();
                let program = clients().join("javascript/tests/scenarios.mjs");
                command.args(["node", "--expose-gc"]).arg(program);
            }
            Client::Python => {
                let folder = clients().join("python");
                command.arg("python3").arg(folder.join("tests/scenarios.py"));
                command.env("PYTHONPATH", folder.join("src")).env("PYTHONDONTWRITEBYTECODE", "1");
            }
        }
        command.arg(name).env("EVENTLOG_URL", url).env("EVENTLOG_KEY", key);
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = piped.spawn().expect("timeout, node and python3");
        let said = BufReader::new(child.stdout.take().expect("piped"));
        Running { child, said }
    }

    /// Runs a scenario to its end; what it says last.
    #[track_caller]
    fn run(self, name: &str, url: &str, key: &str) -> Value {
        let mut running = self.start(name, url, key);
        let said = running.next();
        running.ends();
        said
    }
}

impl Running {
    /// What it says next; null at its end.
    #[track_caller]
    fn next(&mut self) -> Value {
        let mut line = String::new();
        self.said.read_line(&mut line).expect("text");
        if line.is_empty() { Value::Null } else { serde_json::from_str(&line).expect("JSON") }
    }

    /// Waits until it wants this done, and does it.
    #[track_caller]
    fn wants(&mut self, what: &str, mut act: impl FnMut()) {
        assert_eq!(self.next(), json!({ "have": what }));
        act();
        self.child.stdin.as_mut().expect("piped").write_all(b"done\n").expect("it reads");
    }

    #[track_caller]
    fn ends(mut self) {
        let status = self.child.wait().expect("it is ours");
        assert!(status.success(), "{status}");
    }
}

/// The gateway's address as a url.
fn url(world: &World) -> String {
    format!("http://{}", world.gateway.address)
}

/// The counts that are not zero.
fn counts(said: &Value) -> Value {
    let names = ["written", "accepted", "duplicate", "leftOut", "dropped", "pending"];
    let one = |name: &str| said[name].as_u64().unwrap_or_else(|| panic!("{name}: {said}"));
    let sum: u64 = names.into_iter().map(one).sum();
    assert_eq!(sum, one("submitted"), "{said}");
    names.into_iter().filter(|name| one(name) > 0).map(|name| (name, one(name))).collect()
}

/// The numbers of the events in the log, in order.
fn numbers(world: &World) -> Vec<u64> {
    world.settle();
    let sql =
        "SELECT data ->> 'n' FROM eventlog.events WHERE data ? 'n' ORDER BY (data ->> 'n')::int";
    let rows = rows(&mut world.db.superuser(), sql);
    rows.into_iter().map(|row| row[0].parse().expect("a number")).collect()
}

#[test]
fn a_thousand_events_are_there_once_with_their_times_and_users() {
    for client in BOTH {
        let world = World::new(&[]);
        let said = client.run("thousand", &url(&world), &world.key_a);
        assert_eq!(counts(&said), json!({ "written": 1000 }), "{client:?}");
        assert_eq!(numbers(&world), (0..1000).collect::<Vec<_>>());
        let sql = "SELECT count(*) FROM eventlog.events
                    WHERE actor = 'user ' || (data ->> 'n')::int % 10 AND subject = 'thing ' || (data ->> 'n')
                      AND occurred_at = to_timestamp(1764000000) + (data ->> 'n')::int * interval '1 ms'";
        assert_eq!(rows(&mut world.db.superuser(), sql), [["1000"]], "{client:?}");
    }
}

#[test]
fn a_gateway_that_is_killed_and_started_loses_and_doubles_nothing() {
    for client in BOTH {
        let mut world = World::new(&[]);
        let address = world.gateway.address.to_string();
        let mut running = client.start("outage", &url(&world), &world.key_a);
        running.wants("kill", || world.gateway.signal("KILL"));
        running.wants("start", || {
            let command = eventlog(db::shared(), &world.db.name, GATEWAY);
            world.gateway = Gateway::start_at(&address, command, &[]);
        });
        let said = running.next();
        running.ends();
        let sent = said["sent"].as_u64().expect("a count");
        assert_eq!((&said["dropped"], &said["pending"]), (&json!(0), &json!(0)), "{said}");
        assert_eq!(numbers(&world), (0..sent).collect::<Vec<_>>(), "{client:?}");
    }
}

/// A server that accepts and never answers; it ends with what is returned.
fn deaf() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    (listener, url)
}

#[test]
fn a_server_that_never_answers_holds_nothing_up() {
    for client in BOTH {
        let (_listener, url) = deaf();
        let said = client.run("hang", &url, "key");
        assert_eq!(said["flushed"]["pending"], 100, "{said}");
        assert_eq!(counts(&said), json!({ "dropped": 200 }), "{client:?}");
        let of = |reason: &str| said["reasons"][reason].as_u64().unwrap_or(0);
        assert_eq!(of("unconfirmed") + of("closed"), 200, "{said}");
        assert_eq!(said["late"], of("closed") + 1);
        // Its limit is half a second.
        let took = said["tookMs"].as_f64().expect("a time");
        assert!(took < 20_000.0, "{client:?}: {took} ms");
    }
}

#[test]
fn a_flood_fills_the_queue_and_nothing_else() {
    for client in BOTH {
        let (_listener, url) = deaf();
        let said = client.run("flood", &url, "key");
        assert_eq!(said["full"]["pending"], 1_000, "{said}");
        assert_eq!(said["full"]["reasons"]["queue_full"], 199_001, "{said}");
        assert_eq!(counts(&said), json!({ "dropped": 200_001 }), "{client:?}");
        let grown = said["grown"].as_i64().expect("bytes");
        assert!(grown < 100 << 20, "{client:?}: {grown} bytes");
        // Told at once, then every ten seconds.
        let told = said["noticesMeanwhile"].as_u64().expect("a count");
        assert!((1..30).contains(&told), "{client:?}: {told} notices");
        let notices = said["notices"].as_array().expect("a list");
        let full = notices.iter().filter(|notice| notice["reason"] == "queue_full");
        let sum: u64 = full.map(|notice| notice["count"].as_u64().expect("a count")).sum();
        assert_eq!(sum, 199_001, "at the end all are told of");
    }
}

#[test]
fn a_wrong_key_drops_the_events_and_says_so() {
    for client in BOTH {
        let world = World::new(&[]);
        let said = client.run("few", &url(&world), &world.key_a.replace('_', "-"));
        assert_eq!(counts(&said), json!({ "dropped": 10 }), "{client:?}");
        assert_eq!(said["reasons"], json!({ "denied": 10 }));
        let message = said["notices"][0]["message"].as_str().expect("a text");
        assert!(message.starts_with("401: "), "{message}");
        assert_eq!(numbers(&world), Vec::<u64>::new());
    }
}

#[test]
fn a_refused_event_is_said_and_takes_no_other_with_it() {
    for client in BOTH {
        let world = World::new(&[]);
        let said = client.run("refused", &url(&world), &world.key_a);
        assert_eq!(counts(&said), json!({ "written": 3, "dropped": 3 }), "{client:?}");
        assert_eq!(said["reasons"], json!({ "refused": 3 }));
        assert_eq!(numbers(&world), [0, 2, 5]);
        let told = said["notices"].to_string();
        assert!(told.contains("400: occurredAt must be a time"), "{told}");
        assert!(told.contains("unknown event name"), "{told}");
        let refused = "SELECT name FROM eventlog.rejected_events";
        assert_eq!(rows(&mut world.db.superuser(), refused), [["nonesuch"]]);
        // A key of some names: the same, by 403.
        let key = world.key(&["--event", "tool_used"]);
        let said = client.run("refused", &url(&world), &key);
        assert_eq!(counts(&said), json!({ "written": 3, "dropped": 3 }), "{client:?}");
    }
}

#[test]
fn a_limit_is_waited_for_as_long_as_the_gateway_asks() {
    for client in BOTH {
        let world = World::new(&[]);
        let key = world.key(&["--rate-limit", "60"]);
        let said = client.run("limit", &url(&world), &key);
        assert_eq!(counts(&said), json!({ "written": 70 }), "{client:?}");
        assert_eq!(numbers(&world), (0..70).collect::<Vec<_>>());
        let answered = answers(&mut world.http());
        let limited = answered.iter().find(|(labels, _)| labels.contains("status=\"429\""));
        let count = limited.expect("it is over the limit").1;
        assert!(count < 10, "{client:?} came back {count} times too early");
    }
}

#[test]
fn a_batch_that_is_too_large_is_sent_in_parts() {
    for client in BOTH {
        for options in [["--max-events", "100"], ["--max-body", "40000"]] {
            let world = World::new(&options);
            let said = client.run("thousand", &url(&world), &world.key_a);
            assert_eq!(counts(&said), json!({ "written": 1000 }), "{client:?} {options:?}");
            let answered = answers(&mut world.http());
            assert!(answered.iter().any(|(labels, _)| labels.contains("status=\"413\"")));
        }
    }
}

#[test]
fn large_requests_are_compressed_and_arrive_whole() {
    for client in BOTH {
        let world = World::new(&[]);
        let said = client.run("gzip", &url(&world), &world.key_a);
        assert_eq!(counts(&said), json!({ "written": 51 }), "{client:?}");
        assert_eq!(said["encodings"], json!(["none", "gzip"]));
        let sql =
            "SELECT count(*) FROM eventlog.events WHERE data ->> 'text' = repeat('äöü€😀', 50)";
        assert_eq!(rows(&mut world.db.superuser(), sql), [["50"]], "{client:?}");
    }
}

#[test]
fn a_process_that_ends_sends_what_waits() {
    for client in BOTH {
        let world = World::new(&[]);
        assert_eq!(client.run("exits", &url(&world), &world.key_a), Value::Null);
        assert_eq!(numbers(&world), (0..50).collect::<Vec<_>>(), "{client:?}");
    }
}

#[test]
fn calls_of_functions_are_logged_and_their_ends_handed_on() {
    for client in BOTH {
        let world = World::new(&[]);
        let said = client.run("execution", &url(&world), &world.key_a);
        assert_eq!(counts(&said), json!({ "written": 4 }), "{client:?}");
        assert_eq!((&said["results"], &said["caught"]), (&json!([1, 2]), &json!([true, true])));
        let error = if client == Client::JavaScript { "RangeError" } else { "LookupError" };
        let found = world.events(
            "data ->> 'skillName', data ->> 'success', coalesce(data ->> 'errorType', ''),
             coalesce(data ->> 'errorMessage', ''), (data ->> 'durationMs')::numeric >= 0, actor",
        );
        let row = |name: &str, success: &str, error: &str, message: &str| {
            [name, success, error, message, "t", "user 1"].map(str::to_owned).to_vec()
        };
        let expected = [
            row("sync", "true", "", ""),
            row("async", "true", "", ""),
            row("throws", "false", error, "out of range"),
            row("rejects", "false", error, "out of range"),
        ];
        assert_eq!(found, expected, "{client:?}");
    }
}

#[test]
fn children_of_a_process_that_forks_log_their_own_events_once() {
    let world = World::new(&[]);
    let said = Client::Python.run("forks", &url(&world), &world.key_a);
    assert_eq!(said["statuses"], json!([0, 0, 0]));
    assert_eq!(counts(&said), json!({ "written": 1 }));
    assert_eq!(numbers(&world), [0, 1, 2, 3]);
}

#[test]
fn an_event_loop_goes_on_while_its_client_waits() {
    let world = World::new(&[]);
    let said = Client::Python.run("loops", &url(&world), &world.key_a);
    assert_eq!(counts(&said), json!({ "written": 500 }));
    assert!(said["turns"].as_u64().expect("a count") > 3, "{said}");
}
