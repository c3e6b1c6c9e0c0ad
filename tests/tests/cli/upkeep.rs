//! `eventlog lint` and `codegen`.

use std::fs;
use std::path::Path;
use std::process::Command;

use eventlog_tests::{Db, TENANT_A, db, rows, text};
use serde_json::{Value, json};

use crate::files::Folder;
use crate::generated;
use crate::server::{eventlog, failed, printed};

fn run(db: &Db, role: &str, arguments: &[&str]) -> Command {
    let mut command = eventlog(db::shared(), &db.name, role);
    command.args(arguments);
    command
}

#[test]
fn lint_checks_a_plan_and_samples_and_changes_nothing() {
    let db = Db::new();
    let mut owner = db.connect("log_owner");
    let before = text(&mut owner, "SELECT eventlog.taxonomy_export()");
    let folder = Folder::new("lint");
    let plan = json!({ "eventlog_plan": 1, "events": {
        "order_placed": { "required_keys": ["total"], "allow_other_keys": false, "max_bytes": 100 },
        "order_lost": {},
    }});
    let plan = folder.write("plan.json", plan.to_string().as_bytes());
    let good = folder.write(
        "good.ndjson",
        b"{\"name\": \"order_placed\", \"data\": {\"total\": 1e400}}\n\n{\"name\": \"order_placed\", \"data\": {}, \"refused\": \"23514\"}\n{\"name\": \"tool_used\", \"refused\": \"42704\"}",
    );
    let of = |path: &Path| path.to_str().unwrap().to_owned();
    let lint = |role: &str, arguments: &[&Path]| {
        let mut command = run(&db, role, &["lint"]);
        command.args(arguments);
        command
    };
    for role in ["log_owner", "postgres"] {
        assert_eq!(printed(&mut lint(role, &[&plan, &good])), "2 names, 3 samples, 0 faults\n");
    }
    let bad = folder.write(
        "bad.json",
        b"{\"name\": \"order_placed\", \"data\": {\"SECRET\": 1}} {\"name\": \"order_placed\", \"data\": {\"total\": \"\\u0000\"}}
          {\"name\": \"order_lost\", \"refused\": \"23514\"} {\"name\": \"order_placed\", \"refused\": \"54000\"} {\"nam\": 1}",
    );
    let output = lint("log_owner", &[&plan, &good, &bad]).arg("--json").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let faults = found["faults"].as_array().unwrap();
    let told: Vec<_> =
        faults.iter().map(|fault| (fault["sample"].as_u64(), fault["sqlstate"].as_str())).collect();
    assert_eq!(
        told,
        [
            (Some(1), Some("23514")),
            (Some(2), Some("22P05")),
            (Some(3), None),
            (Some(4), Some("23514")),
            (Some(5), None)
        ],
        "{faults:?}"
    );
    let output = lint("log_owner", &[&plan, &good]).arg("--all-names").output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.code() == Some(1) && said.contains("order_lost: no sample"), "{said}");

    let wrong = folder
        .write("wrong.json", br#"{"eventlog_plan": 1, "events": {"order": {"max_byte": 1}}}"#);
    let output = lint("log_owner", &[&wrong, &good]).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.code() == Some(1) && said.contains("unknown rule \"max_byte\""),
        "{said}"
    );
    assert_eq!(text(&mut owner, "SELECT eventlog.taxonomy_export()"), before);
    assert_eq!(rows(&mut owner, "SELECT FROM eventlog.rejected_events"), Vec::<Vec<String>>::new());
    assert!(failed(&mut lint("reader", &[&plan]), 1).contains("log's owner"));
    assert!(
        failed(&mut lint("log_owner", &[Path::new("nowhere.json")]), 1).contains("nowhere.json")
    );
    assert!(failed(&mut run(&db, "log_owner", &["lint"]), 2).contains("TAXONOMY"));

    // Where there is nothing, all of it is made for the time of it.
    let empty = Db::empty();
    let said = printed(&mut run(&empty, "postgres", &["lint", &of(&plan), &of(&good)]));
    assert_eq!(said, "2 names, 3 samples, 0 faults\n");
    let left = "SELECT count(*) FROM pg_namespace WHERE nspname = 'eventlog'";
    assert_eq!(text(&mut empty.superuser(), left), "0");
}

/// The starter taxonomy, and names that make trouble.
fn taxonomy() -> Db {
    let db = Db::new();
    db.connect("log_owner")
        .batch_execute(
            r#"SELECT eventlog.define_event('app.page.viewed', description => E'A page.\n*/ pub fn x() {}', required_keys => '{type,Type,self,path}',
                      optional_keys => '{"",2nd,"a-b","\"]","größe",other}', path_keys => '{path}', allow_other_keys => true);
               SELECT eventlog.define_event('app_page_viewed', required_keys => '{level,is_on,n,x}',
                      allowed_values => '{"level": ["low", "Low", "", "high/er"], "is_on": [true, false], "n": [1, 2], "x": [0.5, "a"]}', allow_other_keys => false);
               SELECT eventlog.define_event('event', required_keys => '{}');
               SELECT eventlog.define_event('old_name');
               UPDATE eventlog.event_types SET status = 'deprecated', successor = 'event' WHERE name = 'old_name';
               SELECT eventlog.define_event('gone_name');
               SELECT eventlog.retire_event('gone_name');
               SELECT eventlog.define_event('wild.*')"#,
        )
        .unwrap();
    db
}

/// The event types of `generated.rs`, which is compiled with these tests.
const GENERATED: &str = "--names=app.page.viewed,app_page_viewed,artifact_deployed,event,message_sent,old_name,skill_executed";

/// Where the code is to change: `EVENTLOG_BLESS=1` rewrites `generated.rs`.
#[test]
fn codegen_writes_what_compiles_and_what_the_log_takes() {
    let db = taxonomy();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/generated.rs");
    let path = file.to_str().unwrap();
    if std::env::var_os("EVENTLOG_BLESS").is_some() {
        printed(&mut run(&db, "log_owner", &["codegen", GENERATED, "--output", path]));
    }
    printed(&mut run(&db, "reader", &["codegen", GENERATED, "--check", "--output", path]));
    let code = printed(&mut run(&db, "log_owner", &["codegen", GENERATED]));
    assert_eq!(code, fs::read_to_string(&file).unwrap());
    let code = printed(&mut run(&db, "log_owner", &["codegen"]));
    assert!(code.contains("IngestFailed") && !code.contains("gone_name") && !code.contains("wild"));

    let mut client = db.connect("log_owner");
    let mut skill = generated::SkillExecuted::new("canvas", true, 12.5);
    skill.error_type = None;
    skill.other.insert("extra".to_owned(), json!([1]));
    let message = generated::MessageSent::new("c1", generated::MessageSentRole::Assistant);
    let page = generated::AppPageViewed::new(json!(1), json!(2), json!(3), "/home/ada/x");
    let level =
        generated::AppPageViewed2::new(generated::AppPageViewed2Level::Low2, true, 2, json!(0.5));
    #[allow(deprecated)]
    let old = generated::OldName::new();
    for event in [
        skill.event(),
        message.event(),
        page.event(),
        level.event(),
        generated::Event2::new().event(),
        old.event(),
    ] {
        let sql = "SELECT concat_ws(' ', v.sqlstate, v.message, v.detail) FROM eventlog.validate_event($1, $2::text::jsonb) v";
        let said: String =
            client.query_one(sql, &[&event.name().as_str(), &event.payload()]).unwrap().get(0);
        assert_eq!(said, "", "{}", event.payload());
    }
    assert_eq!(message.event().payload(), r#"{"conversationId":"c1","role":"assistant"}"#);
    assert!(level.event().payload().contains(r#""level":"Low""#));

    // From events that are there, types are learned; of one kind each, or none.
    for n in 0..10 {
        text(
            &mut client,
            &format!(
                "SELECT eventlog.log_event('{TENANT_A}', 'tool_used', '{{\"toolName\": \"t\", \"source\": \"hook\", \"skillId\": {}}}')",
                if n == 5 { "1.5".to_owned() } else { n.to_string() }
            ),
        );
    }
    let learned =
        printed(&mut run(&db, "log_owner", &["codegen", "--learn", "--names", "tool_used"]));
    assert!(
        learned.contains("pub source: Option<String>,")
            && learned.contains("pub skill_id: Option<f64>,"),
        "{learned}"
    );
    let folder = Folder::new("codegen");
    let other = folder.write("events.rs", b"old");
    let said = failed(
        &mut run(&db, "log_owner", &["codegen", "--check", "-o", other.to_str().unwrap()]),
        1,
    );
    assert!(said.contains("differs from the event types of the log"), "{said}");
    assert!(
        failed(&mut run(&db, "log_owner", &["codegen", "--names", "gone_name"]), 1)
            .contains("gone_name")
    );
    assert!(failed(&mut run(&db, "outsider", &["codegen"]), 1).contains("permission denied"));
    let types: Value =
        serde_json::from_str(&printed(&mut run(&db, "log_owner", &["codegen", "--json"]))).unwrap();
    assert!(types.as_array().unwrap().iter().any(|t| t["name"] == "app.page.viewed"));
}
