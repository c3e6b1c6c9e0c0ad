//! Types that `eventlog codegen` writes, in projects of TypeScript and Python: what they refuse, the log
//! refuses by the same rule, and what they take, it takes.
//!
//! The projects are in `tests/typed`, the compilers where `make setup-tests` puts them.

mod made_up;
mod manual;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use eventlog_tests::{Db, TENANT_A, db, rows, text};
use serde_json::Value;

use crate::files::Folder;
use crate::own_clients;
use crate::server::{World, eventlog, failed, printed};

/// A folder of the projects.
fn projects() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("typed")
}

/// A script of the packages of npm.
fn node(script: &str) -> Command {
    let mut command = Command::new("node");
    command.arg(projects().join("node_modules").join(script));
    command
}

/// The TypeScript compilers: the one that most have, and the newest.
const TSC: [&str; 2] = ["typescript/bin/tsc", "typescript-7/bin/tsc"];

fn tsc(script: &str, folder: &Path) -> Command {
    let mut command = node(script);
    command.arg("--project").arg(folder).arg("--pretty").arg("false").current_dir(folder);
    command
}

/// Where pg_eventlog for Python is.
fn python_client() -> PathBuf {
    own_clients::clients().join("python/src").canonicalize().expect("a folder")
}

fn mypy(folder: &Path, files: &[&str]) -> Command {
    let mut command = Command::new(projects().join("../../target/typed/bin/python3"));
    command.args([
        "-m",
        "mypy",
        "--strict",
        "--enable-error-code=deprecated",
        "--no-error-summary",
        "--no-color-output",
        "--cache-dir",
    ]);
    command.arg(folder.join(".mypy_cache")).arg("--follow-imports=silent");
    command.args(files).current_dir(folder).env("MYPYPATH", python_client());
    command
}

/// Pyright in its strict mode, for the oldest Python that the code is for.
fn pyright(folder: &Path, files: &[&str]) -> Command {
    let config = serde_json::json!({
        "typeCheckingMode": "strict", "reportDeprecated": "error", "pythonVersion": "3.9", "extraPaths": [python_client()],
    });
    fs::write(folder.join("pyrightconfig.json"), config.to_string()).expect("the folder is ours");
    let mut command = node("pyright/index.js");
    command.args(files).current_dir(folder);
    command
}

/// Copies files of a project into a folder.
fn copy(folder: &Path, project: &str, files: &[&str]) {
    for file in files {
        fs::copy(projects().join(project).join(file), folder.join(file)).expect("a project's file");
    }
}

/// Installs pg-eventlog for JavaScript in a folder.
fn link_client(folder: &Path) {
    own_clients::build();
    fs::create_dir(folder.join("node_modules")).expect("ours");
    let client = own_clients::clients().join("javascript").canonicalize().expect("a folder");
    symlink(client, folder.join("node_modules/pg-eventlog")).expect("ours");
}

/// The lines of a file that a checker must refuse, and the SQLSTATEs of those that run.
fn marked(folder: &Path, file: &str) -> (BTreeSet<usize>, Vec<String>) {
    let text = fs::read_to_string(folder.join(file)).expect("it was copied");
    let (mut lines, mut codes) = (BTreeSet::new(), Vec::new());
    for (number, line) in (1..).zip(text.lines()) {
        let refused = line.split_once("// refused ").or_else(|| line.split_once("# refused "));
        if let Some((_, code)) = refused {
            codes.push(code.to_owned());
            lines.insert(number);
        } else if line.ends_with(" wrong") {
            lines.insert(number);
        }
    }
    (lines, codes)
}

/// Asserts that a checker refuses the marked lines of a file, and no others. It writes them as
/// `FILE(LINE,…` or `FILE:LINE:…`, with `error` in them.
#[track_caller]
fn assert_refuses_marked(mut command: Command, folder: &Path, file: &str) {
    let output = command.output().expect("it starts; make setup-tests");
    let said = String::from_utf8_lossy(&output.stdout);
    let line_of = |text: &str| -> Option<usize> {
        let (_, place) = text.split_once(file)?;
        place.get(1..)?.split([',', ':', ')']).next()?.parse().ok()
    };
    let found: BTreeSet<usize> =
        said.lines().filter(|text| text.contains("error")).filter_map(line_of).collect();
    assert!(!output.status.success(), "{command:?}: {said}");
    assert_eq!(found, marked(folder, file).0, "{command:?}: {said}");
}

/// A log with the event types of the projects.
fn world() -> (World, String) {
    let db = Db::new();
    let plan = fs::read_to_string(projects().join("plan.json")).expect("a plan");
    let mut owner = db.connect("log_owner");
    let import = "SELECT count(*) FROM eventlog.taxonomy_import($1::text::jsonb, apply => true)";
    owner.query_one(import, &[&plan]).expect("the log takes the plan");
    let exported = text(&mut owner, "SELECT jsonb_pretty(eventlog.taxonomy_export())");
    (World::of(db, &[], ""), exported)
}

/// Writes code from the log, and checks that the exported plan gives the same.
fn generate(world: &World, plan: &Path, arguments: &[&str], to: &Path) {
    let codegen = |more: &[&str]| {
        let mut command = eventlog(db::shared(), &world.db.name, "reader");
        command.arg("codegen").args(arguments).args(more);
        command
    };
    let (plan, to) = (plan.to_str().expect("UTF-8"), to.to_str().expect("UTF-8"));
    printed(&mut codegen(&["--output", to]));
    printed(codegen(&["--output", to, "--check", "--plan", plan]).env("PGHOST", "/nowhere"));
    fs::write(to, fs::read_to_string(to).expect("code") + " ").expect("ours");
    let said = failed(&mut codegen(&["--output", to, "--check"]), 1);
    assert!(said.contains("differs from the event types of the log"), "{said}");
    printed(&mut codegen(&["--output", to]));
}

/// Runs a program of a project, which says at its end how many of its events were written and dropped.
fn outcome(world: &World, command: &mut Command) -> (u64, u64) {
    let address = world.gateway.address;
    command.env("EVENTLOG_URL", format!("http://{address}")).env("EVENTLOG_KEY", &world.key_a);
    // What the machine goes through to reach the world is not for its own addresses.
    command.env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1");
    let said = printed(command.env_remove("EVENTLOG_ENABLED"));
    let stats: Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said}"));
    let count = |name: &str| stats[name].as_u64().unwrap_or_else(|| panic!("{said}"));
    assert_eq!(count("written") + count("dropped"), count("submitted"), "{said}");
    (count("written"), count("dropped"))
}

/// Runs a program whose events the log must refuse, each with the SQLSTATE of its line.
fn assert_refused(world: &World, command: &mut Command, mut codes: Vec<String>) {
    assert_eq!(outcome(world, command), (0, codes.len() as u64));
    let sql = "SELECT sqlstate FROM eventlog.rejected_events ORDER BY sqlstate";
    codes.sort();
    assert_eq!(rows(&mut world.db.superuser(), sql).concat(), codes);
}

/// The names and payloads of the log's events.
fn logged(world: &World) -> Vec<Vec<String>> {
    rows(
        &mut world.db.superuser(),
        &format!(
            "SELECT name, data::text, coalesce(actor, '') FROM eventlog.events
              WHERE tenant_id = '{TENANT_A}' ORDER BY name COLLATE \"C\", data::text COLLATE \"C\""
        ),
    )
}

#[test]
fn what_does_not_compile_in_typescript_the_log_refuses_and_what_does_it_takes() {
    let (world, plan) = world();
    let folder = Folder::new("typed-typescript");
    let plan = folder.write("plan.json", plan.as_bytes());
    let folder = folder.path("");
    generate(&world, &plan, &["-l", "typescript", "--client"], &folder.join("events.ts"));
    copy(&folder, "typescript", &["tsconfig.json", "right.ts"]);
    fs::write(folder.join("package.json"), r#"{"type": "module"}"#).expect("ours");
    link_client(&folder);
    for script in TSC {
        printed(&mut tsc(script, &folder));
    }
    assert_eq!(outcome(&world, Command::new("node").arg(folder.join("right.js"))), (7, 0));
    let events = logged(&world);
    let of = |name: &str| events.iter().filter(|event| event[0] == name).count();
    let counts = ["order_placed", "page_viewed", "ping", "order.cancelled"].map(of);
    assert_eq!(counts, [2, 1, 3, 1], "{events:?}");
    let data = r#"{"total": 12.5, "channel": "web", "orderId": "A-1"}"#;
    assert!(events.contains(&vec!["order_placed".into(), data.into(), "ada".into()]), "{events:?}");

    copy(&folder, "typescript", &["wrong.ts"]);
    for script in TSC {
        let mut command = tsc(script, &folder);
        command.arg("--noEmitOnError").arg("false");
        assert_refuses_marked(command, &folder, "wrong.ts");
    }
    // The types are gone at run time, and the log's rules are the same.
    let codes = marked(&folder, "wrong.ts").1;
    assert_refused(&world, Command::new("node").arg(folder.join("wrong.js")), codes);
    assert_eq!(logged(&world), events);
}

#[test]
fn what_type_checkers_of_python_refuse_the_log_refuses_and_what_they_take_it_takes() {
    let (world, plan) = world();
    let folder = Folder::new("typed-python");
    let plan = folder.write("plan.json", plan.as_bytes());
    let folder = folder.path("");
    generate(&world, &plan, &["-l", "python"], &folder.join("events.py"));
    generate(&world, &plan, &["-l", "python", "--client"], &folder.join("client.py"));
    copy(&folder, "python", &["right.py", "wrong.py"]);
    let files = ["events.py", "client.py", "right.py"];
    printed(&mut mypy(&folder, &files));
    printed(&mut pyright(&folder, &files));
    let run = |file: &str| {
        let mut command = Command::new("python3");
        command.args(["-B", file]).current_dir(&folder).env("PYTHONPATH", python_client());
        command
    };
    assert_eq!(outcome(&world, &mut run("right.py")), (8, 0));
    let events = logged(&world);
    let of = |name: &str| events.iter().filter(|event| event[0] == name).count();
    assert_eq!(["order_placed", "page_viewed", "ping"].map(of), [4, 2, 2], "{events:?}");
    let data = r#"{"path": "/", "depth": 2, "referrer": "https://example.com"}"#;
    assert!(events.contains(&vec!["page_viewed".into(), data.into(), String::new()]), "{events:?}");

    assert_refuses_marked(mypy(&folder, &["wrong.py"]), &folder, "wrong.py");
    assert_refuses_marked(pyright(&folder, &["wrong.py"]), &folder, "wrong.py");
    assert_refused(&world, &mut run("wrong.py"), marked(&folder, "wrong.py").1);
    assert_eq!(logged(&world), events);
}

/// Finds objects whose schema does not say whether they have other keys: types made from it have none.
fn find_vague(schema: &Value, path: &str, found: &mut Vec<String>) {
    let kind = &schema["type"];
    let is_object = kind == "object"
        || kind.as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind == "object"));
    if is_object && schema.get("additionalProperties").is_none() {
        found.push(path.to_owned());
    }
    match schema {
        Value::Object(keys) => {
            keys.iter().for_each(|(key, inner)| find_vague(inner, &format!("{path}/{key}"), found));
        }
        Value::Array(inner) => inner.iter().for_each(|inner| find_vague(inner, path, found)),
        _ => {}
    }
}

#[test]
fn types_made_from_the_description_take_payloads() {
    let world = World::new(&[]);
    let folder = Folder::new("typed-description");
    let description = world.http().get("/api/openapi.json").text();
    let mut vague = Vec::new();
    find_vague(&serde_json::from_str(&description).expect("JSON"), "", &mut vague);
    assert_eq!(vague, Vec::<String>::new());
    let description = folder.write("openapi.json", description.as_bytes());
    let folder = folder.path("");
    copy(&folder, "typescript", &["tsconfig.json", "described.ts"]);
    let mut command = node("openapi-typescript/bin/cli.js");
    command.arg(&description).arg("--output").arg(folder.join("api.ts"));
    printed(&mut command);
    for script in TSC {
        printed(tsc(script, &folder).arg("--noEmit"));
    }
}

#[test]
fn codegen_reads_a_plan_without_a_server_and_says_what_is_wrong_with_it() {
    let folder = Folder::new("typed-plan");
    let codegen = |plan: &str, arguments: &[&str]| {
        let plan = folder.write("plan.json", plan.as_bytes());
        let mut command = Command::new(eventlog_tests::program::eventlog());
        command.args(["codegen", "--plan"]).arg(plan).args(arguments).env("PGHOST", "/nowhere");
        command
    };
    let plan = fs::read_to_string(projects().join("plan.json")).expect("a plan");
    let code = printed(&mut codegen(&plan, &["--names", "Order Cancelled"]));
    assert!(code.contains("pub struct OrderCancelled") && !code.contains("OrderPlaced"), "{code}");
    assert!(code.contains("pub order_id: String,") && code.contains("use order_placed"), "{code}");
    let code = printed(&mut codegen(&plan, &["--names", "order_placed"]));
    for typed in [
        "pub total: f64,",
        "pub is_gift: Option<bool>,",
        "pub items: Option<Vec<serde_json::Value>>,",
        "pub address: Option<serde_json::Map<String, serde_json::Value>>,",
        "pub priority: Option<i64>,",
    ] {
        assert!(code.contains(typed), "{typed}\n{code}");
    }
    for (plan, arguments, message, exit) in [
        ("[1]", [].as_slice(), "is not an event plan", 1),
        (r#"{"eventlog_plan": 2, "events": {}}"#, &[], "is an event plan of version 2, not 1", 1),
        (r#"{"eventlog_plan": 1, "events": {"A b": {}}}"#, &[], "\"A b\" cannot be the name", 1),
        (r#"{"eventlog_plan": 1, "events": {"a": {"required_keys": 1}}}"#, &[], "line 1 column", 1),
        (&plan, &["--names", "gone"], "there is no event type \"gone\"", 1),
        (&plan, &["--learn"], "--learn", 2),
        (&plan, &["--client"], "--language typescript", 2),
        (&plan, &["-l", "cobol"], "cobol", 2),
    ] {
        let said = failed(&mut codegen(plan, arguments), exit);
        assert!(said.contains(message), "{said}");
    }
}
