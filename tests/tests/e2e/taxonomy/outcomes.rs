//! What counts as a success and what as a failure.

use eventlog_tests::{Db, TENANT_A, assert_refused, rows};

const OUTCOMES: &str = "SELECT name, failures, successes FROM eventlog._counts_by_name(
    'aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa', now() - interval '1 hour', now() + interval '1 hour', NULL, '1 hour') ORDER BY 1";

#[test]
fn success_values_say_which_text_number_or_boolean_means_success() {
    let db = Db::new();
    let mut owner = db.superuser();
    owner
        .batch_execute(
            "SELECT eventlog.define_event('answered', success_key => 'status', success_values => '{200,ok,true}', error_key => 'error')",
        )
        .unwrap();
    let mut member = db.connect_as("member", TENANT_A);
    let log = |client: &mut postgres::Client, name: &str, data: &str| {
        client
            .batch_execute(&format!("SELECT eventlog.log_event(NULL, '{name}', '{data}')"))
            .unwrap();
    };
    for data in [
        r#"{"status": 200}"#,
        r#"{"status": "ok"}"#,
        r#"{"status": true, "error": "E"}"#,
        r#"{"success": true}"#,
        // Failures.
        r#"{"status": 500}"#,
        r#"{"status": "gone"}"#,
        r#"{"status": false}"#,
        r#"{"success": false}"#,
        r#"{"error": "E"}"#,
        r#"{"status": "gone", "success": true}"#,
        // Neither.
        "{}",
        r#"{"status": {"ok": true}}"#,
        r#"{"success": "false"}"#,
    ] {
        log(&mut member, "answered", data);
    }
    for rest in [
        r#""result": "success""#,
        r#""success": true"#,
        r#""result": "error""#,
        r#""success": false"#,
        r#""result": "conflict", "conflicts": ["a"]"#,
        r#""collectionName": "c""#,
    ] {
        log(
            &mut member,
            "artifact_deployed",
            &format!(r#"{{"artifactName": "a", "artifactType": "skill", {rest}}}"#),
        );
    }
    assert_eq!(
        rows(&mut owner, OUTCOMES),
        [["answered", "6", "4"], ["artifact_deployed", "3", "2"]]
    );
    let errors = "SELECT name, sum(events) FROM eventlog.recent_errors() GROUP BY 1 ORDER BY 1";
    assert_eq!(rows(&mut member, errors), [["answered", "6"], ["artifact_deployed", "3"]]);
}

#[test]
fn success_values_are_kept_by_later_definitions_go_into_the_plan_and_hold_no_null() {
    let db = Db::new();
    let mut owner = db.superuser();
    owner
        .batch_execute(
            "SELECT eventlog.define_event('answered', success_key => 'status', success_values => '{ok}');
             SELECT eventlog.define_event('answered', description => 'Somebody answered.')",
        )
        .unwrap();
    let plan = "SELECT eventlog.taxonomy_export() #> '{events,answered,success_values}',
                       eventlog.taxonomy_export() #> '{events,artifact_synced,path_keys}'";
    assert_eq!(rows(&mut owner, plan), [[r#"["ok"]"#, r#"["projectPath"]"#]]);
    let again = "SELECT count(*) FROM eventlog.taxonomy_import(eventlog.taxonomy_export())";
    assert_eq!(rows(&mut owner, again), [["0"]]);
    for (argument, message) in [
        ("success_values => '{ok,NULL}'", "success_values must not contain null"),
        ("required_keys => '{a,NULL}'", "must not contain null"),
        ("optional_keys => '{NULL}'", "must not contain null"),
        ("subject_keys => '{NULL}'", "must not contain null"),
        ("redact_keys => '{NULL}'", "must not contain null"),
        ("hash_keys => '{NULL}'", "must not contain null"),
        ("path_keys => '{NULL}'", "must not contain null"),
    ] {
        let call = format!("SELECT eventlog.define_event('answered', {argument})");
        assert_refused(&mut owner, &call, "22004", message);
    }
}
