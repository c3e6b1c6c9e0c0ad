//! The event plan in git: out, reviewed, and in again.

use eventlog_tests::{Db, TENANT_A, assert_refused, rows, text};
use postgres::SimpleQueryMessage;

fn import(plan: &str, apply: bool) -> String {
    format!("SELECT action, name, detail FROM eventlog.taxonomy_import('{plan}', {apply})")
}

#[test]
fn a_plan_that_was_exported_imports_into_another_log_and_is_the_same_there() {
    let (from, to) = (Db::new(), Db::new());
    let mut owner = from.connect("log_owner");
    owner
        .batch_execute(
            "SELECT eventlog.define_event('signed_up', domain => 'growth', description => 'it''s \"new\"', required_keys => '{plan}',
                        allowed_values => '{\"tier\": [\"free\", 1.10, true]}', max_bytes => 512, actor_key => 'userId',
                        subject_keys => '{plan}', sample_rate => 0.25, sample_key => 'plan', redact_keys => '{password}',
                        path_keys => '{cwd}', default_values => '{\"source\": {\"kind\": \"web\"}}', default_when_key => 'plan', occurred_at_key => 'at',
                        allow_other_keys => false, duration_key => 'ms', success_key => 'ok', error_key => 'error',
                        retention => '30 days', count_subjects => false, value_types => '{\"plan\": \"string\", \"ms\": \"number\"}',
                        aliases => '{Signed Up,$signup}', context_keys => '{locale,page.url}');
             SELECT eventlog.retire_event('plan_updated', 'signed_up');
             SELECT eventlog.define_event('checkout_completed', status => 'deprecated', successor => 'signed_up')",
        )
        .unwrap();
    let plan = text(&mut owner, "SELECT jsonb_pretty(eventlog.taxonomy_export())");
    assert!(rows(&mut owner, &import(&plan.replace('\'', "''"), false)).is_empty());

    let mut other = to.connect("log_owner");
    other.batch_execute("SELECT eventlog.define_event('only_here')").unwrap();
    let plan = plan.replace('\'', "''");
    let said = rows(&mut other, &import(&plan, false));
    let actions: Vec<[&str; 2]> = said.iter().map(|row| [&*row[0], &*row[1]]).collect();
    assert_eq!(
        actions,
        [
            ["add", "signed_up"],
            ["change", "checkout_completed"],
            ["retire", "only_here"],
            ["retire", "plan_updated"]
        ]
    );
    assert!(said[0][2].contains("max_bytes: 512"), "{said:?}");
    assert_eq!(said[1][2], "status: \"active\" → \"deprecated\"; successor: null → \"signed_up\"");
    assert_eq!(said[2][2], "not in the plan");
    // It only said so.
    assert_eq!(rows(&mut other, &import(&plan, false)), said);
    assert_eq!(rows(&mut other, &import(&plan, true)), said);
    assert!(rows(&mut other, &import(&plan, true)).is_empty());
    let all = "SELECT to_jsonb(t) - 'created_at' FROM eventlog.event_types t WHERE name <> 'only_here' ORDER BY name";
    assert_eq!(rows(&mut other, all), rows(&mut owner, all));
    let retired = "SELECT status FROM eventlog.event_types WHERE name = 'only_here'";
    assert_eq!(text(&mut other, retired), "retired");
    // And it counts for open connections.
    let mut writer = to.connect_as("writer", TENANT_A);
    assert_refused(&mut writer, "SELECT eventlog.log_event(NULL, 'only_here')", "42704", "retired");
}

#[test]
fn the_export_has_every_rule_that_event_types_has() {
    let db = Db::new();
    let mut owner = db.connect("log_owner");
    let columns = "SELECT string_agg(attname, ',' ORDER BY attname) FROM pg_attribute
                    WHERE attrelid = 'eventlog.event_types'::regclass AND attnum > 0 AND NOT attisdropped
                      AND attname NOT IN ('name', 'created_at')";
    let rules = "SELECT string_agg(k, ',' ORDER BY k COLLATE \"C\") FROM jsonb_object_keys(eventlog._default_rules()) k";
    assert_eq!(text(&mut owner, rules), text(&mut owner, columns));
    // The defaults are the columns' own.
    owner.batch_execute("INSERT INTO eventlog.event_types (name) VALUES ('bare')").unwrap();
    let bare = "SELECT eventlog.taxonomy_export() -> 'events' -> 'bare'";
    assert_eq!(text(&mut owner, bare), "{}");
}

#[test]
fn a_retention_means_the_same_however_it_is_written_and_whatever_the_sessions_style() {
    let db = Db::new();
    let mut owner = db.connect("log_owner");
    let plan = |retention: &str| {
        let plan =
            format!(r#"{{"eventlog_plan": 1, "events": {{"a": {{"retention": "{retention}"}}}}}}"#);
        import(&plan, true)
    };
    rows(&mut owner, &plan("30d"));
    owner.batch_execute("SET intervalstyle = iso_8601").unwrap();
    let exported = "SELECT eventlog.taxonomy_export() #>> '{events,a,retention}'";
    assert_eq!(text(&mut owner, exported), "30 days");
    assert!(rows(&mut owner, &plan("P30D")).is_empty());
    rows(&mut owner, &plan("P1Y"));
    assert_eq!(text(&mut owner, exported), "1 year");
}

#[test]
fn a_plan_that_is_none_is_refused_with_all_its_faults_and_nothing_changes() {
    let db = Db::new();
    let mut owner = db.connect("log_owner");
    let before = text(&mut owner, "SELECT eventlog.taxonomy_export()");
    for (plan, fault) in [
        ("null", "must be an object"),
        ("[]", "must be an object"),
        (r#"{"events": []}"#, "must be an object"),
        (r#"{"events": {}}"#, "\"eventlog_plan\" must be 1"),
        (r#"{"eventlog_plan": 2, "events": {}}"#, "\"eventlog_plan\" must be 1"),
        (r#"{"eventlog_plan": 1, "events": {}, "x": 1}"#, "unknown key \"x\""),
        (r#"{"eventlog_plan": 1, "events": {"a": 1}}"#, "\"a\" must be an object"),
        (r#"{"eventlog_plan": 1, "events": {"a": {"max_byte": 1}}}"#, "unknown rule \"max_byte\""),
        (
            r#"{"eventlog_plan": 1, "events": {"a": {"max_bytes": "1"}}}"#,
            "max_bytes must be a number",
        ),
        (r#"{"eventlog_plan": 1, "events": {"a": {"max_bytes": 1.5}}}"#, "whole number"),
        (r#"{"eventlog_plan": 1, "events": {"a": {"max_bytes": 99999999999}}}"#, "whole number"),
        (r#"{"eventlog_plan": 1, "events": {"a": {"actor_key": 1}}}"#, "a string or null"),
        (r#"{"eventlog_plan": 1, "events": {"a": {"domain": null}}}"#, "a string"),
        (r#"{"eventlog_plan": 1, "events": {"a": {"hash_keys": [1]}}}"#, "an array of strings"),
        (r#"{"eventlog_plan": 1, "events": {"a": {"hash_keys": "x"}}}"#, "an array"),
        (r#"{"eventlog_plan": 1, "events": {"a": {"retention": 30}}}"#, "a string or null"),
        (r#"{"eventlog_plan": 1, "events": {"a": {"retention": "soon"}}}"#, "a positive interval"),
        (
            r#"{"eventlog_plan": 1, "events": {"a": {"retention": "-1 day"}}}"#,
            "a positive interval",
        ),
        (r#"{"eventlog_plan": 1, "events": {"a": {"count_subjects": 1}}}"#, "a boolean"),
    ] {
        let outcome = eventlog_tests::refused(&mut owner, &import(plan, true));
        assert_eq!(outcome.code().code(), "22023", "{plan}: {outcome:?}");
        assert!(
            outcome.detail().is_some_and(|detail| detail.contains(fault)),
            "{plan}: {outcome:?}"
        );
    }
    for (plan, sqlstate, message) in [
        (r#"{"a": {}, "Bad Name": {}}"#, "22023", "cannot be the name"),
        (r#"{"a": {"status": "gone"}}"#, "22023", "unknown status"),
        (r#"{"a": {"max_bytes": 1}}"#, "22023", "max_bytes must be from 8"),
        (r#"{"a": {"sample_rate": 0}}"#, "22023", "sample_rate must be above 0"),
        (r#"{"a": {"sample_rate": 1e400}}"#, "22003", "out of range"),
        (r#"{"a": {"subject_keys": ["1","2","3","4","5","6","7","8","9"]}}"#, "54000", "limit 8"),
        (r#"{"a": {"allowed_values": {"k": "v"}}}"#, "22023", "allowed_values"),
        (r#"{"a": {"value_types": {"k": "text"}}}"#, "22023", "value_types"),
        (
            r#"{"a": {"aliases": ["tool_used"]}, "tool_used": {}}"#,
            "42710",
            "alias \"tool_used\" is taken",
        ),
        (r#"{"a": {"context_keys": [""]}}"#, "22023", "context_keys"),
        (
            r#"{"a": {"required_keys": ["k"], "redact_keys": ["k"]}}"#,
            "22023",
            "required and redacted",
        ),
        (
            r#"{"a": {"allowed_values": {"k": ["v"]}, "hash_keys": ["k"]}}"#,
            "22023",
            "hashed, but has",
        ),
    ] {
        let plan = format!(r#"{{"eventlog_plan": 1, "events": {plan}}}"#);
        assert_refused(&mut owner, &import(&plan, true), sqlstate, message);
    }
    assert_eq!(text(&mut owner, "SELECT eventlog.taxonomy_export()"), before);
    let mut writer = db.connect("writer");
    assert_refused(&mut writer, &import(&before.replace('\'', "''"), true), "42501", "belongs to");
    let mut reader = db.connect("reader");
    assert_eq!(text(&mut reader, "SELECT eventlog.taxonomy_export()"), before);
}

#[test]
fn a_deprecated_name_is_logged_with_a_warning_once_a_connection_that_names_its_successor() {
    let db = Db::new();
    let mut owner = db.connect("log_owner");
    owner
        .batch_execute(
            "SELECT eventlog.define_event('old', status => 'deprecated', successor => 'new');
             SELECT eventlog.define_event('new')",
        )
        .unwrap();
    let warnings = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let heard = std::sync::Arc::clone(&warnings);
    let mut config = eventlog_tests::db::shared().config(&db.name, "writer");
    config.notice_callback(move |notice| {
        let hint = notice.hint().unwrap_or_default();
        heard.lock().unwrap().push(format!(
            "{}: {}: {hint}",
            notice.code().code(),
            notice.message()
        ));
    });
    let mut writer = config.connect(postgres::NoTls).unwrap();
    writer.batch_execute(&format!("SET eventlog.tenant_id = '{TENANT_A}'")).unwrap();
    let log = "SELECT eventlog.log_event(NULL, 'old') IS NOT NULL";
    for _ in 0..3 {
        let answer = writer.simple_query(log).unwrap();
        let stored = answer.iter().any(
            |message| matches!(message, SimpleQueryMessage::Row(row) if row.get(0) == Some("t")),
        );
        assert!(stored);
    }
    assert_eq!(
        *warnings.lock().unwrap(),
        ["01P01: event name \"old\" is deprecated: its successor is \"new\""]
    );
    let said = "SELECT is_valid, hint FROM eventlog.validate_event('old')";
    assert_eq!(rows(&mut writer, said), [["t", "its successor is \"new\""]]);
}
