//! The dashboard in a real Chromium. The scenarios of `tests/browser` do what people do; each figure that they
//! find is judged here, by what SQL finds in the raw rows.

mod alerts;
mod events;
mod experiments;
mod funnels;
mod overview;
mod quality;
mod raw;
mod retention;
mod signing_in;
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
                let sql = format!(
                    "SET ROLE log_owner; SELECT eventlog.define_event('tool_usd');
                     UPDATE eventlog.rejected_events SET can_replay = true, data = '{{}}'
                      WHERE coalesce(tenant_id, claimed_tenant_id) = '{TENANT_A}'"
                );
                self.cluster.psql(&self.database, "postgres", &sql).expect("it is new");
            }
            "run an experiment" => {
                experiments::run(&mut self.cluster.connect(&self.database, "log_owner"))
            }
            "expire the shares" => {
                let sql = "UPDATE eventlog.api_tokens SET expires_at = now() - interval '1 day', created_at = now() - interval '2 days' WHERE kind = 'share'";
                self.cluster.psql(&self.database, "postgres", sql).expect("there are some");
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
        // In the judges' SQL: the tenants that count.
        let tenants = match found["tenant"] == "all" {
            true => "e.tenant_id IS NOT NULL".to_owned(),
            false => format!("e.tenant_id = '{tenant}'"),
        };
        let mut raw = self.cluster.connect(&self.database, "postgres");
        match found["page"].as_str() {
            Some("funnel") => funnels::judge(&mut raw, tenant, found),
            Some("dropouts") => funnels::judge_dropouts(&mut raw, tenant, found),
            Some("experiment") => experiments::judge(&mut raw, tenant, found),
            Some("retention") => retention::judge(&mut raw, tenant, found),
            Some("quality") => quality::judge(&mut raw, tenant, found),
            Some("alerts") => alerts::judge(&mut raw, tenant, found),
            Some("doctor") => quality::judge_doctor(self.cluster, &self.database, found),
            Some("programs") => {
                let origin = format!("http://{}", self.gateway.address);
                welcome::judge(&origin, TENANT_EMPTY, found)
            }
            Some("overview") => overview::judge(&mut raw, &tenants, found),
            Some("details") => overview::judge_details(&mut raw, &tenants, found),
            Some("events") => events::judge(&mut raw, tenant, found),
            Some("tenants") => signing_in::judge(&mut raw, found),
            Some("event") => events::judge_event(&mut raw, tenant, found),
            other => panic!("{other:?}"),
        }
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

/// The same, with one more key, for all tenants.
fn play_with_all_tenants(scenario: &str) {
    let db = eventlog_tests::Db::new();
    let mut stage = Stage::new(db::shared(), &db.name);
    let mut command = eventlog(db::shared(), &db.name, "log_owner");
    command.args(["key", "create", "--all-tenants", "--kind", "read"]);
    stage.keys["all"] = printed(&mut command).trim().into();
    stage.play(scenario);
}

/// The same, with one more key, made with these options.
fn play_with(scenario: &str, name: &str, options: &[&str]) {
    let db = eventlog_tests::Db::new();
    let mut stage = Stage::new(db::shared(), &db.name);
    stage.keys[name] = make_key(db::shared(), &db.name, TENANT_A, options).into();
    stage.play(scenario);
}

#[test]
fn while_the_database_is_stopped_the_page_says_what_to_do_and_then_recovers_by_itself() {
    let cluster = Cluster::start(&[]);
    db::create_roles(&cluster);
    db::create_log(&cluster, "app");
    Stage::new(&cluster, "app").play("outage");
}

#[test]
fn all_of_it_works_with_the_keyboard_alone() {
    play("keyboard");
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
fn a_range_without_events_says_how_to_go_on_and_an_unknown_name_or_key_is_noticed() {
    play("emptyRange");
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
        assert_eq!(answer.status, 200, "{name}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert!(answer.header("content-security-policy").is_some());
        let tag = answer.header("etag").unwrap().to_owned();
        let again = http.ask("GET", &format!("/dashboard/{name}"), &[("If-None-Match", &tag)], b"");
        assert_eq!((again.status, again.body.len()), (304, 0), "{name}");
    }
    assert!(files > 10);
    // The page names all scripts, by addresses that browsers keep until the next version.
    let (_, main) = page.split_once("<script src=\"").unwrap();
    let main = main.split('"').next().unwrap();
    assert!(main.ends_with("/main.js") && page.contains("<link rel=\"modulepreload\""), "{page}");
    assert!(http.get(main).header("cache-control").unwrap().contains("immutable"));
    let older = main.replace(main.split('/').nth(2).unwrap(), "0123456789abcdef");
    assert_eq!(http.get(&older).header("cache-control"), Some("no-cache"));
    for path in
        ["/dashboard/", "/dashboard/none.js", "/dashboard/..%2fCargo.toml", "/dashboard/%00"]
    {
        assert_eq!(http.get(path).status, 404, "{path}");
    }
    let library = http.get("/dashboard/chart.js").text();
    assert!(library.contains("Chart.js v"), "the program has no charts: make dashboard");
    assert!(!library.contains("sourceMappingURL"));
}
