//! What the manual says to write with each driver, run with the drivers as they are published.
//!
//! The programs are in `tests/drivers`, the drivers where `make setup-tests` puts them. What is
//! written for an object comes out of the manual's table, as it stands there.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use eventlog_tests::{Db, TENANT_A, db, rows};
use postgres::types::{ToSql, Type};
use serde_json::{Value, json};

const PAGE: &str = include_str!("../../../../docs/logging.md");

/// A driver in a language that is not ours.
struct Driver {
    name: &'static str,
    program: &'static str,
    /// How the bare object is written, which is what comes to mind first.
    bare: &'static str,
}

const DRIVERS: &[Driver] = &[
    Driver { name: "postgres.js", program: "node.mjs", bare: "${object}" },
    Driver { name: "node-postgres", program: "node.mjs", bare: "object" },
    Driver { name: "psycopg", program: "python.py", bare: "object" },
    Driver { name: "asyncpg", program: "python.py", bare: "object" },
];

/// The manual's table: the name of each driver, and what to write for `object`.
fn table() -> Vec<(&'static str, Vec<&'static str>)> {
    let (_, below) = PAGE.split_once("\n| driver | `data` |\n|---|---|\n").expect("the table");
    let lines = below.lines().take_while(|line| line.starts_with('|'));
    let cells = lines.map(|line| {
        line.trim_matches(['|', ' ']).split_once(" | ").unwrap_or_else(|| panic!("{line}"))
    });
    // Words and code by turns.
    cells.map(|(name, cell)| (name, cell.split('`').skip(1).step_by(2).collect())).collect()
}

/// What the manual's table says to write with a driver.
fn written(name: &str) -> Vec<&'static str> {
    table().into_iter().find(|(driver, _)| *driver == name).expect("a row of the table").1
}

/// A database whose members log for one tenant, whatever connects them.
fn database() -> Db {
    let db = Db::new();
    let setting =
        format!("ALTER ROLE member IN DATABASE {} SET eventlog.tenant_id = '{TENANT_A}'", db.name);
    db.superuser().batch_execute(&setting).expect("a setting for everybody");
    db
}

/// What came of a call.
#[derive(Debug)]
struct Outcome {
    value: Value,
    error: Option<String>,
    sqlstate: Option<String>,
    warnings: Vec<Value>,
}

impl Driver {
    /// Code of the driver's language, as its statements take it.
    fn code(&self, expression: &str) -> String {
        match self.name {
            "postgres.js" => format!("${{{expression}}}"),
            _ => expression.to_owned(),
        }
    }

    /// A call that logs an object, for which this is written.
    fn call(&self, function: &str, data: &str, object: &Value) -> Value {
        let tenant = self.code(&format!("'{TENANT_A}'"));
        let sql = format!("SELECT eventlog.{function}($1, $2, $3)");
        json!({"sql": sql, "values": [tenant, self.code("'tool_used'"), data], "names": {"object": object}})
    }

    /// Makes calls one after another; what came of each.
    fn run(&self, db: &Db, calls: &[Value]) -> Vec<Outcome> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("drivers");
        let python = folder.join("../../target/drivers/bin/python3");
        let is_python = self.program.ends_with(".py");
        let interpreter = if is_python { python.as_path() } else { Path::new("node") };
        let mut child = Command::new(interpreter)
            .arg(folder.join(self.program))
            .arg(self.name)
            .envs([("PGPORT", "5432"), ("PGDATABASE", &db.name), ("PGUSER", "member")])
            .env("PGHOST", db::shared().folder())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{interpreter:?}: {error}; make setup-tests"));
        let asked: String = calls.iter().map(|call| format!("{call}\n")).collect();
        // One that cannot begin closes the pipe, and says why.
        let _ = child.stdin.take().expect("piped").write_all(asked.as_bytes());
        let output = child.wait_with_output().expect("it is ours");
        let faults = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {faults}\nmake setup-tests", self.name);
        let said = String::from_utf8(output.stdout).expect("UTF-8");
        let outcomes: Vec<_> = said.lines().map(outcome).collect();
        assert_eq!(outcomes.len(), calls.len(), "{}: {said}", self.name);
        outcomes
    }
}

fn outcome(line: &str) -> Outcome {
    let said: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
    let text = |key: &str| said[key].as_str().map(str::to_owned);
    Outcome {
        value: said["value"].clone(),
        error: text("error"),
        sqlstate: text("sqlstate"),
        warnings: said["warnings"].as_array().expect("a list").clone(),
    }
}

/// An object with what is awkward for one who quotes: quotes, backslashes, braces, other scripts.
fn object(call: &str) -> Value {
    json!({"toolName": call, "deep": {"list": [1, 2.5, null, true, "it's \"{a,\\b}\" ü 日本 $1 %s"]}})
}

/// The payloads of the log's events, in order.
fn stored(db: &Db) -> Vec<Value> {
    let rows = rows(&mut db.superuser(), "SELECT data FROM eventlog.events ORDER BY id");
    rows.iter().map(|row| serde_json::from_str(&row[0]).expect("JSON")).collect()
}

/// What is kept of the refused ones, in order.
fn quarantined(db: &Db) -> Vec<Vec<String>> {
    let sql = "SELECT data, sqlstate, reason FROM eventlog.rejected_events ORDER BY id";
    rows(&mut db.superuser(), sql)
}

const AS_TEXT: &str = r#"data is the text "[object Object]": the driver sent an object as text"#;

#[test]
fn what_the_manual_says_to_write_with_a_driver_stores_the_object() {
    let names: Vec<_> = table().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names[..4], DRIVERS.iter().map(|driver| driver.name).collect::<Vec<_>>());
    assert_eq!(names[4..], ["JDBC", "Rust"], "their rows have tests of their own below");

    for driver in DRIVERS {
        let db = database();
        let mut calls = Vec::new();
        let mut objects = Vec::new();
        for function in ["try_log_event", "log_event"] {
            for data in written(driver.name) {
                let object = object(&format!("{function} {data}"));
                calls.push(driver.call(function, data, &object));
                objects.push(object);
            }
        }
        assert!(!calls.is_empty(), "{}: the manual has no code", driver.name);
        for (call, outcome) in calls.iter().zip(driver.run(&db, &calls)) {
            assert!(!outcome.value.is_null(), "{}: {call}\n{outcome:?}", driver.name);
            assert!(outcome.warnings.is_empty(), "{}: {call}\n{outcome:?}", driver.name);
        }
        assert_eq!(stored(&db), objects, "{}", driver.name);
    }
}

#[test]
fn a_bare_object_is_stored_or_refused_by_the_driver_or_kept_with_the_cast_to_write() {
    for driver in DRIVERS {
        let db = database();
        let object = object("bare");
        let call = driver.call("try_log_event", driver.bare, &object);
        let outcome = driver.run(&db, &[call]).pop().expect("one");
        match driver.name {
            "node-postgres" => assert_eq!(stored(&db), [object], "{outcome:?}"),
            "postgres.js" => {
                assert!(outcome.error.is_none() && outcome.value.is_null(), "{outcome:?}");
                let hint = "cast the parameter: eventlog.try_log_event($1, $2, $3::jsonb)";
                assert_eq!(outcome.warnings, [json!({"message": AS_TEXT, "hint": hint})]);
                assert_eq!(quarantined(&db), [["[object Object]", "22023", AS_TEXT]]);
            }
            // They send no object at all, and say so themselves.
            _ => {
                let error = outcome.error.as_ref().expect("an error of the driver");
                assert!(error.contains("dict"), "{outcome:?}");
                assert_eq!(outcome.sqlstate, None, "{outcome:?}");
                assert!(stored(&db).is_empty() && quarantined(&db).is_empty());
            }
        }
    }
}

#[test]
fn json_that_is_none_does_not_raise_from_any_driver_and_is_kept() {
    // As they are sent, and after what the manual says to write, which makes JSON strings of them.
    let malformed = [r#"{"toolName": "#, "", "[object Object]", r#"{"toolName": "\u0000"}"#, "nil"];
    for driver in DRIVERS {
        let db = database();
        let mut calls = Vec::new();
        for text in malformed {
            for data in [driver.bare].into_iter().chain(written(driver.name)) {
                calls.push(driver.call("try_log_event", data, &json!(text)));
            }
        }
        // log_event says as much, as an error that its caller sees.
        let tried = calls.len();
        calls.extend(malformed.map(|text| driver.call("log_event", driver.bare, &json!(text))));
        let mut outcomes = driver.run(&db, &calls);
        for outcome in outcomes.split_off(tried) {
            assert!(outcome.sqlstate.is_some_and(|code| code.starts_with("22")));
        }
        for (call, outcome) in calls.iter().zip(&outcomes) {
            assert_eq!(outcome.error, None, "{}: {call}", driver.name);
            assert!(outcome.value.is_null(), "{}: {call}\n{outcome:?}", driver.name);
            assert_eq!(outcome.warnings.len(), 1, "{}: {call}\n{outcome:?}", driver.name);
        }
        let kept = quarantined(&db);
        assert_eq!(kept.len(), tried, "{}: {kept:?}", driver.name);
        assert!(stored(&db).is_empty(), "{}", driver.name);
    }
}

#[test]
fn a_batch_of_objects_is_stored_from_a_driver_or_kept_with_what_the_driver_did() {
    for driver in DRIVERS {
        let json = match driver.program {
            "node.mjs" => "objects.map((object) => JSON.stringify(object))",
            _ => "[json.dumps(object) for object in objects]",
        };
        let says = format!("`{json}`");
        assert!(PAGE.contains(&says), "logging.md does not say {says}");
        let objects = [object("first"), object("second")];
        let call = |data: &str| {
            let sql = "SELECT rejected FROM eventlog.log_events(NULL, $1, $2)";
            let names = driver.code("['tool_used', 'tool_used']");
            json!({"sql": sql, "values": [names, driver.code(data)], "names": {"objects": &objects}})
        };
        let db = database();
        let calls = [call(json), call("objects")];
        let [as_json, bare] = driver.run(&db, &calls).try_into().expect("two");
        assert!(as_json.value == "0" || as_json.value == 0, "{}: {as_json:?}", driver.name);
        match driver.name {
            "node-postgres" => {
                assert_eq!(bare.value, "0", "{bare:?}");
                assert_eq!(stored(&db).len(), 4);
            }
            "postgres.js" => {
                assert_eq!(bare.value, "2", "{bare:?}");
                let kept = ["[object Object]", "22023", AS_TEXT];
                assert_eq!(quarantined(&db), [kept, kept]);
            }
            _ => assert!(bare.error.is_some() && bare.sqlstate.is_none(), "{bare:?}"),
        }
        let stored = stored(&db);
        assert_eq!(stored[..2], objects, "{}", driver.name);
        // Only one that stores the bare ones too has more.
        assert_eq!(stored[2..], objects[..stored.len() - 2], "{}", driver.name);
    }
}

#[test]
fn what_the_manual_says_to_write_in_rust_stores_the_object() {
    let db = database();
    let mut member = db.connect("member");
    let tenant: uuid::Uuid = TENANT_A.parse().expect("a uuid");
    let [as_text, as_json, json_type] = written("Rust").try_into().expect("two ways and a type");
    assert_eq!(json_type, "serde_json::Value");
    let mut objects = Vec::new();
    for function in ["try_log_event", "log_event"] {
        for data in [as_text, as_json] {
            let object = object(&format!("{function} {data}"));
            let sql = format!("SELECT eventlog.{function}($1, $2, {data})");
            let text = object.to_string();
            let value: &(dyn ToSql + Sync) = if data == as_text { &text } else { &object };
            let row = member.query_one(&sql, &[&tenant, &"tool_used", value]).expect(&sql);
            assert!(row.get::<_, Option<i64>>(0).is_some(), "{sql}");
            objects.push(object);
        }
    }
    assert_eq!(stored(&db), objects);
}

/// No Java is needed to test: `setString` sends a `varchar`.
#[test]
fn a_string_of_jdbc_stores_the_object() {
    let db = database();
    let mut member = db.connect("member");
    assert_eq!(written("JDBC"), ["setString"]);
    let objects = ["try_log_event", "log_event"].map(object);
    for (call, object) in
        ["try_log_event($1, $2, $3)", "log_event($1, $2, $3::jsonb)"].iter().zip(&objects)
    {
        let tenant: uuid::Uuid = TENANT_A.parse().expect("a uuid");
        let sql = format!("SELECT eventlog.{call}");
        let text = object.to_string();
        let values: [(&(dyn ToSql + Sync), Type); 3] =
            [(&tenant, Type::UUID), (&"tool_used", Type::VARCHAR), (&text, Type::VARCHAR)];
        let row = member.query_typed(&sql, &values).expect(&sql).pop().expect("a row");
        assert!(row.get::<_, Option<i64>>(0).is_some(), "{sql}");
    }
    assert_eq!(stored(&db), objects);
}
