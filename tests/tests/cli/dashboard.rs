//! The dashboard in a real Chromium. `tests/browser/scenarios.mjs` does what people do; each figure that
//! it finds is judged here, by what the log's functions say.

mod figures;
mod funnels;
mod quality;
mod raw;
mod retention;
mod welcome;

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use eventlog_tests::{Cluster, TENANT_A, TENANT_B, db};
use serde_json::{Value, json};

use crate::seed::seed;
use crate::server::{Gateway, eventlog, grant_gateway, make_key, printed};

/// A tenant that never logged an event.
const TENANT_EMPTY: &str = "eeeeeeee-eeee-4eee-8eee-eeeeeeeeeeee";

/// A gateway over a log with a past.
struct Stage<'a> {
    cluster: &'a Cluster,
    database: String,
    gateway: Gateway,
    keys: Value,
}

impl<'a> Stage<'a> {
    fn new(cluster: &'a Cluster, database: &str) -> Self {
        grant_gateway(cluster, database);
        seed(cluster, database);
        let read = |tenant| make_key(cluster, database, tenant, &["--kind", "read"]);
        let keys = json!({
            "a": read(TENANT_A), "b": read(TENANT_B), "write": make_key(cluster, database, TENANT_A, &[]),
            "empty": read(TENANT_EMPTY), "write_empty": make_key(cluster, database, TENANT_EMPTY, &[]),
        });
        let options = ["--key-cache", "100ms", "--query-timeout", "2min"];
        let gateway = Gateway::start(cluster, database, &options);
        Stage { cluster, database: database.to_owned(), gateway, keys }
    }

    /// Runs a scenario to its end.
    fn play(&self, scenario: &str) {
        let settings = json!({
            "origin": format!("http://{}", self.gateway.address),
            "keys": self.keys,
            "shots": target().join("dashboard"),
            "chromium": std::env::var("EVENTLOG_CHROMIUM").unwrap_or_else(|_| "/usr/bin/chromium".to_owned()),
        });
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser/run.mjs");
        assert!(
            script.with_file_name("node_modules").is_dir(),
            "tests/browser has no node_modules: make setup-tests"
        );
        let mut node = Command::new("node")
            .arg(script)
            .arg(scenario)
            .env("EVENTLOG_BROWSER", settings.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("node, which make setup-tests installs");
        let mut answers = node.stdin.take().expect("piped");
        let said = BufReader::new(node.stdout.take().expect("piped"));
        let mut stderr = node.stderr.take().expect("piped");
        let faults = std::thread::spawn(move || std::io::read_to_string(&mut stderr));
        for line in said.lines() {
            let line = line.expect("UTF-8");
            let request: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line}"));
            match request["do"].as_str() {
                Some(deed) => self.have_done(deed),
                None => self.judge(&request["judge"]),
            }
            writeln!(answers, "done").expect("it waits");
        }
        let status = node.wait().expect("it is ours");
        let faults = faults.join().expect("the reader").unwrap_or_default();
        assert!(status.success(), "{scenario}: {faults}");
    }

    fn have_done(&self, deed: &str) {
        match deed {
            "stop" => self.cluster.stop(),
            "start" => self.cluster.start_again(),
            "log" => {
                let key = self.keys["write"].as_str().unwrap();
                let answer = self.gateway.http().track_and_wait(key, r#"{"toolName":"t"}"#);
                assert_eq!(answer.json()["written"], 1);
            }
            "log the first event" => {
                let key = self.keys["write_empty"].as_str().unwrap();
                let answer = self.gateway.http().track_and_wait(key, r#"{"toolName":"t"}"#);
                assert_eq!(answer.json()["written"], 1);
            }
            "define tool_usd" => {
                let sql = "SET ROLE log_owner; SELECT eventlog.define_event('tool_usd')";
                self.cluster.psql(&self.database, "postgres", sql).expect("it is new");
            }
            "revoke b" => {
                let mut command = eventlog(self.cluster, &self.database, "log_owner");
                printed(command.args(["key", "revoke", self.keys["b"].as_str().unwrap()]));
            }
            other => panic!("{other}"),
        }
    }

    fn judge(&self, found: &Value) {
        let tenant = if found["tenant"] == "b" { TENANT_B } else { TENANT_A };
        let mut raw = self.cluster.connect(&self.database, "postgres");
        match found["page"].as_str() {
            Some("funnel") => return funnels::judge(&mut raw, tenant, found),
            Some("dropouts") => return funnels::judge_dropouts(&mut raw, tenant, found),
            Some("retention") => return retention::judge(&mut raw, tenant, found),
            Some("quality") => return quality::judge(&mut raw, tenant, found),
            Some("doctor") => return quality::judge_doctor(self.cluster, &self.database, found),
            Some("programs") => {
                let origin = format!("http://{}", self.gateway.address);
                return welcome::judge(&origin, TENANT_EMPTY, found);
            }
            _ => {}
        }
        let mut reader = self.cluster.connect(&self.database, "reader");
        reader.batch_execute(&format!("SET eventlog.tenant_id = '{tenant}'")).unwrap();
        let mut owner = self.cluster.connect(&self.database, "log_owner");
        figures::judge(&mut reader, &mut owner, tenant, found);
    }
}

/// Where cargo puts what it makes.
fn target() -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    while !path.ends_with("deps") {
        assert!(path.pop());
    }
    path.ancestors().nth(2).expect("target/release/deps").to_owned()
}

fn play(scenario: &str) {
    let db = eventlog_tests::Db::new();
    Stage::new(db::shared(), &db.name).play(scenario);
}

/// The same, with one more key, made with these options.
fn play_with(scenario: &str, name: &str, options: &[&str]) {
    let db = eventlog_tests::Db::new();
    let mut stage = Stage::new(db::shared(), &db.name);
    stage.keys[name] = make_key(db::shared(), &db.name, TENANT_A, options).into();
    stage.play(scenario);
}

#[test]
fn each_figure_of_each_range_is_the_reports() {
    play("ranges");
}

#[test]
fn names_and_steps_are_chosen_and_an_address_brings_them_back() {
    play("filters");
}

#[test]
fn a_key_opens_its_tenant_and_stays_in_its_tab() {
    play("tenants");
}

#[test]
fn while_the_database_is_stopped_the_page_says_what_to_do_and_then_recovers_by_itself() {
    let cluster = Cluster::start(&[]);
    db::create_roles(&cluster);
    db::create_log(&cluster, "app");
    Stage::new(&cluster, "app").play("outage");
}

#[test]
fn it_fits_narrow_screens_in_light_and_dark() {
    play("narrow");
}

#[test]
fn all_of_it_works_with_the_keyboard_alone() {
    play("keyboard");
}

#[test]
fn news_appear_by_themselves() {
    play("news");
}

#[test]
fn nothing_that_a_client_logged_runs() {
    play("markup");
}

#[test]
fn without_its_charts_the_figures_are_in_tables() {
    play("withoutCharts");
}

#[test]
fn its_files_hold_no_data_and_are_asked_for_once() {
    let world = crate::server::World::new(&[]);
    let mut http = world.http();
    let page = http.get("/");
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"));
    assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
    let page = page.text();
    for wrong in ["http://", "https://", "<style", "style=", "onclick"] {
        assert!(!page.contains(wrong), "{wrong}");
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cli/dashboard");
    let mut files = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        if name.contains("package") || name == "node_modules" {
            assert_eq!(http.get(&format!("/dashboard/{name}")).status, 404);
            continue;
        }
        files += 1;
        let answer = http.get(&format!("/dashboard/{name}"));
        assert_eq!(answer.status, 200, "{name}: list it in gateway/dashboard.rs");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert!(answer.header("content-security-policy").is_some());
        let tag = answer.header("etag").unwrap().to_owned();
        let again = http.ask("GET", &format!("/dashboard/{name}"), &[("If-None-Match", &tag)], b"");
        assert_eq!((again.status, again.body.len()), (304, 0), "{name}");
    }
    assert!(files > 10);
    for path in
        ["/dashboard/", "/dashboard/none.js", "/dashboard/..%2fCargo.toml", "/dashboard/%00"]
    {
        assert_eq!(http.get(path).status, 404, "{path}");
    }
    let library = http.get("/dashboard/chart.js").text();
    assert!(library.contains("Chart.js v"), "the program has no charts: make dashboard");
    assert!(!library.contains("sourceMappingURL"));
}
