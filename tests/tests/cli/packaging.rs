//! What is packed beside the program: manual pages, alerts, a dashboard for Grafana, and metadata. The
//! packages themselves are tested by `packaging/`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use eventlog_tests::{Db, TENANT_A, db};
use serde_json::Value;

use crate::server::{World, eventlog, failed, printed};

const VERSION: &str = env!("CARGO_PKG_VERSION");
const CONTROL: &str = include_str!("../../../extension/eventlog.control");
const CHANGELOG: &str = include_str!("../../../CHANGELOG.md");
const META: &str = include_str!("../../../META.json");
const RULES: &str = include_str!("../../../packaging/prometheus/eventlog.rules.yml");
const DASHBOARD: &str = include_str!("../../../packaging/grafana/eventlog.json");

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

/// All strings under this key, at any depth.
fn strings<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(map) => {
            found.extend(map.get(key).and_then(Value::as_str));
            map.values().for_each(|value| strings(value, key, found));
        }
        Value::Array(values) => values.iter().for_each(|value| strings(value, key, found)),
        _ => {}
    }
}

/// The texts that begin with this and go on with these.
fn words(text: &str, start: &str, is_part: impl Fn(char) -> bool) -> BTreeSet<String> {
    text.match_indices(start)
        .filter(|(at, _)| !text[..*at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
        .map(|(at, _)| {
            let rest = &text[at + start.len()..];
            start.to_owned() + &rest[..rest.find(|c| !is_part(c)).unwrap_or(rest.len())]
        })
        .collect()
}

#[test]
fn the_version_is_the_same_wherever_it_is_written() {
    let meta = json(META);
    assert!(CONTROL.contains(&format!("\ndefault_version = '{VERSION}'\n")), "{CONTROL}");
    assert_eq!(meta["version"], VERSION);
    assert_eq!(meta["provides"]["eventlog"]["version"], VERSION);
    let heading = CHANGELOG.lines().next().expect("a heading");
    let day = heading.strip_prefix(&format!("## {VERSION} (")).expect("this version on top");
    let status = if day == "unreleased)" { "unstable" } else { "stable" };
    assert_eq!(meta["release_status"], status, "{heading}");
    let mut command = eventlog(db::shared(), "postgres", "postgres");
    assert_eq!(printed(command.arg("--version")), format!("eventlog {VERSION}\n"));
}

/// The rules of PGXN's meta spec 1.0.0 that this file could break.
#[test]
fn the_metadata_keep_to_the_rules_of_pgxn() {
    let meta = json(META);
    for key in ["name", "version", "abstract", "license", "maintainer"] {
        assert!(meta[key].as_str().is_some_and(|text| !text.is_empty()), "{key}");
    }
    assert_eq!(meta["meta-spec"]["version"], "1.0.0");
    assert_eq!(meta["license"], "postgresql");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tree");
    for (name, extension) in meta["provides"].as_object().expect("extensions") {
        for key in ["file", "docfile"] {
            let file = extension[key].as_str().unwrap_or_else(|| panic!("{name} has no {key}"));
            assert!(root.join(file).is_file(), "{name}: {file}");
        }
    }
    for tag in meta["tags"].as_array().expect("tags") {
        let tag = tag.as_str().expect("text");
        assert!((2..=255).contains(&tag.len()) && !tag.contains(['/', '\\']), "{tag}");
    }
    let known = [
        "name",
        "version",
        "abstract",
        "description",
        "maintainer",
        "license",
        "provides",
        "prereqs",
        "release_status",
        "no_index",
        "generated_by",
        "tags",
        "meta-spec",
    ];
    for key in meta.as_object().expect("an object").keys() {
        assert!(known.contains(&key.as_str()), "{key}");
    }
}

#[test]
fn alerts_and_the_dashboard_name_only_metrics_that_the_gateway_has() {
    let world = World::new(&[]);
    let mut http = world.http();
    http.track(&world.key_a, r#"{"toolName":"t"}"#);
    world.settle();
    let metrics = http.get("/metrics").text();
    let dashboard = json(DASHBOARD);
    let mut asked = Vec::new();
    strings(&dashboard, "expr", &mut asked);
    strings(&dashboard, "query", &mut asked);
    asked.extend(RULES.lines().filter(|line| !line.trim_start().starts_with('#')));
    let asked = asked.join("\n");
    let names = words(&asked, "eventlog_", |c| c.is_ascii_lowercase() || c == '_');
    assert!(names.len() > 8, "{names:?}");
    for name in &names {
        let is_there = |line: &str| {
            line.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with([' ', '{']))
        };
        assert!(metrics.lines().any(is_there), "{name} is not in {metrics}");
    }
    for label in ["outcome=\"", "route=\""] {
        let values = words(&asked, label, |c| c != '"');
        assert!(!values.is_empty(), "{label}");
        for value in values {
            assert!(metrics.contains(&format!("{{{value}\"")), "{value} is not in {metrics}");
        }
    }
}

/// As the page on monitoring has it: a role that reads as the log's owner, and writes nothing.
#[test]
fn panels_of_the_log_are_answered() {
    let db = Db::new();
    let mut client = db.connect("log_owner");
    client
        .batch_execute(&format!(
            "SELECT eventlog.log_event('{TENANT_A}', 'tool_used', '{{\"toolName\": 1}}');
             SET default_transaction_read_only = on"
        ))
        .expect("an event");
    let dashboard = json(DASHBOARD);
    let mut queries = Vec::new();
    strings(&dashboard, "rawSql", &mut queries);
    assert!(queries.len() > 2, "{queries:?}");
    for query in queries {
        client.simple_query(query).unwrap_or_else(|error| panic!("{query}: {error}"));
    }
}

#[test]
fn manual_pages_are_written_for_every_subcommand() {
    let folder = std::env::temp_dir().join(format!("eventlog-man-{}", std::process::id()));
    let man = |folder: &Path| {
        let mut command = eventlog(db::shared(), "postgres", "postgres");
        command.arg("man").arg(folder);
        command
    };
    assert_eq!(printed(&mut man(&folder)), "");
    let help = printed(eventlog(db::shared(), "postgres", "postgres").arg("--help"));
    let (_, commands) = help.split_once("Commands:\n").expect("subcommands");
    let mut pages = 0;
    for line in commands.lines().take_while(|line| !line.is_empty()) {
        let name = line.split_whitespace().next().expect("a name");
        if name != "help" {
            let page = fs::read_to_string(folder.join(format!("eventlog-{name}.1")));
            assert!(page.expect(name).contains(".SH NAME"), "{name}");
            pages += 1;
        }
    }
    assert!(pages > 9 && folder.join("eventlog-key-create.1").is_file(), "{pages}");
    let file = folder.join("eventlog.1");
    let said = failed(&mut man(&file), 1);
    assert!(said.contains("cannot write pages to"), "{said}");
    fs::remove_dir_all(&folder).expect("ours");
}
