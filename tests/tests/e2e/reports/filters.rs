//! What is no filter and no breakdown, and what the report says about it.

use std::sync::{Arc, Mutex};

use eventlog_tests::{Db, TENANT_A, refused, rows, text};
use postgres::NoTls;

/// Filters that are none, with SQLSTATE and message.
const WRONG: &[(&str, &str, &str)] = &[
    ("5", "22023", "filters must be an object, got a number"),
    ("\"tool_used\"", "22023", "filters must be an object, got a string"),
    ("[5]", "22023", "filters must be an array of objects, got a number in it"),
    ("[[{}]]", "22023", "filters must be an array of objects, got a array in it"),
    (r#"{"toolName": "x"}"#, "22023", "unknown filter \"toolName\""),
    (r#"{"names": ["x"]}"#, "22023", "unknown filter \"names\""),
    (r#"{"Name": "x"}"#, "22023", "unknown filter \"Name\""),
    (r#"{"": 1}"#, "22023", "unknown filter \"\""),
    (r#"{"data": {"toolName": "x"}}"#, "22023", "unknown filter \"data\""),
    (r#"{"data.": 1}"#, "22023", "unknown filter \"data.\""),
    (r#"{"id": 5}"#, "22023", "unknown filter \"id\""),
    (r#"{"name') OR true --": 1}"#, "22023", "unknown filter \"name') OR true --\""),
    (r#"{"data.x": {}}"#, "22023", "filter \"data.x\" has no operator"),
    (r#"{"data.x": {"gt": 5}}"#, "22023", "unknown operator \"gt\" of filter \"data.x\""),
    (r#"{"data.x": {"IS": 5}}"#, "22023", "unknown operator \"IS\" of filter \"data.x\""),
    (
        r#"{"data.x": {"> 1) OR (1": 5}}"#,
        "22023",
        "unknown operator \"> 1) OR (1\" of filter \"data.x\"",
    ),
    (
        r#"{"data.x": {">": "5"}}"#,
        "22023",
        "operator \">\" of filter \"data.x\" must have a number, got a value of type string",
    ),
    (
        r#"{"data.x": {"<": null}}"#,
        "22023",
        "operator \"<\" of filter \"data.x\" must have a number, got a value of type null",
    ),
    (
        r#"{"actor": {">": 5}}"#,
        "22023",
        "operator \">\" of filter \"actor\" compares numbers, and actor is a text",
    ),
    (r#"{"data.x": []}"#, "22023", "filter \"data.x\" has an empty array of values"),
    (
        r#"{"data.x": [["a"]]}"#,
        "22023",
        "operator \"is\" of filter \"data.x\" must have a text, number, boolean or null, or an array of those, got an array",
    ),
    (
        r#"{"data.x": {"is": {"a": 1}}}"#,
        "22023",
        "operator \"is\" of filter \"data.x\" must have a text, number, boolean or null, or an array of those, got an object",
    ),
    (
        r#"{"data.x": {"present": "yes"}}"#,
        "22023",
        "operator \"present\" of filter \"data.x\" must have true or false, got a value of type string",
    ),
    (
        r#"{"name": {"prefix": ["a"]}}"#,
        "22023",
        "operator \"prefix\" of filter \"name\" must have a text, got a value of type array",
    ),
    ("{\"data.x\": \"\\u0000\"}", "22P05", "unsupported Unicode escape sequence"),
    ("{\"data.x\": ", "22P02", "invalid input syntax for type json"),
];

#[test]
fn what_is_no_filter_is_refused_with_a_message_that_names_the_fault() {
    let db = Db::new();
    let mut reader = db.connect_as("reader", TENANT_A);
    for report in ["summary", "events_per_day", "events_per_hour", "top_subjects", "get_events"] {
        for (filters, sqlstate, message) in WRONG {
            let call = format!("SELECT * FROM eventlog.{report}(filters => $f${filters}$f$)");
            let error = refused(&mut reader, &call);
            assert_eq!(error.code().code(), *sqlstate, "{call}\n{error:?}");
            assert_eq!(error.message(), *message, "{call}");
            assert!(*sqlstate != "22023" || error.hint().is_some(), "{call}\n{error:?}");
        }
    }
    for (filters, message) in [
        (
            "jsonb_build_object('data.x', repeat('x', 70000))",
            "filters have 70014 bytes, limit 65536",
        ),
        (
            "(SELECT jsonb_object_agg('data.' || n, 1) FROM generate_series(1, 21) n)",
            "filters have 21 conditions, limit 20",
        ),
        (
            "jsonb_build_object('data.x', (SELECT jsonb_agg(n) FROM generate_series(1, 101) n))",
            "filter \"data.x\" has 101 values, limit 100",
        ),
        ("'{\"data.x\": {\">\": 1e100000}}'", "filters have 100020 bytes, limit 65536"),
    ] {
        let error = refused(&mut reader, &format!("SELECT eventlog.summary(filters => {filters})"));
        assert_eq!(error.code().code(), "54000", "{filters}");
        assert_eq!(error.message(), message);
    }
    let nested = format!("{{\"data.x\": {}{}}}", "[".repeat(20_000), "]".repeat(20_000));
    let error = refused(&mut reader, &format!("SELECT eventlog.summary(filters => '{nested}')"));
    assert!(["54001", "54000", "22023"].contains(&error.code().code()), "{error:?}");
}

#[test]
fn what_is_no_breakdown_no_period_and_no_zone_is_refused() {
    let db = Db::new();
    let mut reader = db.connect_as("reader", TENANT_A);
    for (call, sqlstate, message) in [
        ("summary(breakdown => 'tool')", "22023", "unknown breakdown \"tool\""),
        ("summary(breakdown => '')", "22023", "unknown breakdown \"\""),
        ("summary(breakdown => 'none')", "22023", "unknown breakdown \"none\""),
        ("summary(breakdown => 'data.')", "22023", "unknown breakdown \"data.\""),
        ("events_per_day(breakdown => 'e.id')", "22023", "unknown breakdown \"e.id\""),
        ("summary(breakdown => 'name', top => 0)", "22023", "top must be from 1 to 1000, got 0"),
        ("summary(top => 1001)", "22023", "top must be from 1 to 1000, got 1001"),
        ("events_per_hour(top => NULL)", "22023", "top must be from 1 to 1000, got null"),
        (
            "events_per_day(period => 'year')",
            "22023",
            "period must be day, week or month, got \"year\"",
        ),
        ("events_per_hour(time_zone => 'Mars')", "22023", "time zone \"Mars\" not recognized"),
        ("top_subjects(time_zone => NULL)", "22004", "time_zone must not be null"),
        ("subject_stats(row_limit => 0)", "22023", "row_limit must be from 1 to 10000, got 0"),
    ] {
        let error = refused(&mut reader, &format!("SELECT * FROM eventlog.{call}"));
        assert_eq!(error.code().code(), sqlstate, "{call}");
        assert_eq!(error.message(), message, "{call}");
    }
}

/// Whatever a caller writes is a value, and no SQL.
#[test]
fn hostile_keys_and_values_are_compared_and_nothing_else() {
    let db = Db::new();
    let mut owner = db.superuser();
    owner
        .batch_execute(&format!(
            "CREATE TABLE public.hostile (text text);
             INSERT INTO public.hostile VALUES ('it''s'), (E'back\\\\slash'), (E'\\\\''; DROP TABLE eventlog.events; --'), ('%s %1$s $1 %L'),
                 ('\"'), ('{{}}'), ('a.b.c'), (E'new\\nline'), ('$sql$ || $f$'), ('null'), (' '), ('ünï ✓'), ('{{a,NULL}}'), ('e.data');
             GRANT SELECT ON public.hostile TO PUBLIC;
             SELECT eventlog.log_event('{TENANT_A}', 'tool_used', jsonb_build_object('toolName', text, text, text), actor => text, subject => text)
               FROM public.hostile"
        ))
        .unwrap();
    let mut reader = db.connect_as("reader", TENANT_A);
    for of in ["jsonb_build_object('data.' || text, text)", "jsonb_build_object('actor', text)"] {
        for operator in ["%s", "jsonb_build_object('is', jsonb_build_array(text, 'other'))"] {
            let filters = of.replace(", text)", &format!(", {})", operator.replace("%s", "text")));
            let found = format!(
                "SELECT h.text, s.events FROM public.hostile h, eventlog.summary(filters => {filters}) s WHERE s.events <> 1"
            );
            assert!(rows(&mut reader, &found).is_empty(), "{filters}");
        }
    }
    for filters in [
        "jsonb_build_object('subject', jsonb_build_object('prefix', text), 'data.toolName', text)",
        "jsonb_build_object('data.' || text, jsonb_build_object('prefix', text))",
        "jsonb_build_object('data.' || text, jsonb_build_object('present', true))",
    ] {
        let found = format!(
            "SELECT h.text, s.events FROM public.hostile h, eventlog.summary(filters => {filters}) s WHERE s.events <> 1"
        );
        assert!(rows(&mut reader, &found).is_empty(), "{filters}");
    }
    let broken_down =
        "SELECT count(*) FROM public.hostile h, eventlog.summary(breakdown => 'data.' || text) s
                        WHERE s.breakdown_value = h.text AND s.events = 1";
    assert_eq!(text(&mut reader, broken_down), "14");
    assert_eq!(text(&mut owner, "SELECT count(*) FROM eventlog.events"), "14");
}

#[test]
fn a_filter_on_an_unknown_name_or_key_says_so() {
    let db = Db::new();
    db.connect("log_owner")
        .batch_execute(
            "SELECT eventlog.define_event('strict', required_keys => '{skillName}', allow_other_keys => false);
             SELECT eventlog.define_event('stricter', optional_keys => '{toolName}', allow_other_keys => false)",
        )
        .unwrap();
    let notices = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&notices);
    let mut config = eventlog_tests::db::shared().config(&db.name, "reader");
    config.notice_callback(move |notice| {
        let line = format!("{}|{}", notice.message(), notice.hint().unwrap_or_default());
        heard.lock().unwrap().push(line);
    });
    let mut reader = config.connect(NoTls).unwrap();
    reader.batch_execute(&format!("SET eventlog.tenant_id = '{TENANT_A}'")).unwrap();
    for (arguments, expected) in [
        (r#"filters => '{"name": "strict"}'"#, None),
        (
            r#"filters => '{"name": ["strict", "strikt"]}'"#,
            Some("unknown event name \"strikt\"|SELECT name FROM eventlog.event_types;"),
        ),
        (
            r#"filters => '{"name": {"not": "stric"}}'"#,
            Some("unknown event name \"stric\"|perhaps \"strict\""),
        ),
        (r#"filters => '{"name": "strict", "data.skillName": "x"}'"#, None),
        (
            r#"filters => '{"name": "strict", "data.skill_name": "x"}'"#,
            Some("unknown payload key \"skill_name\"|perhaps \"data.skillName\""),
        ),
        (
            r#"names => '{strict}', filters => '{"data.other": 1}'"#,
            Some(
                "unknown payload key \"other\"|SELECT name, required_keys, optional_keys FROM eventlog.event_types;",
            ),
        ),
        // Other names allow other keys.
        (r#"filters => '{"data.other": 1}'"#, None),
        (
            r#"names => '{strict,stricter}', breakdown => 'data.tool'"#,
            Some("unknown payload key \"tool\"|perhaps \"data.toolName\""),
        ),
    ] {
        notices.lock().unwrap().clear();
        reader.batch_execute(&format!("SELECT * FROM eventlog.summary({arguments})")).unwrap();
        let expected: Vec<String> = expected.into_iter().map(str::to_owned).collect();
        assert_eq!(*notices.lock().unwrap(), expected, "{arguments}");
    }
    // Once, whatever a report does with its filters.
    let key = "unknown payload key \"skill_name\"|perhaps \"data.skillName\"";
    let filters = r#"'{"name": "strict", "data.skill_name": "x"}'"#;
    let reports = super::every_report::reports(&mut db.superuser());
    let mut compared = 0;
    // The steps of a funnel and exposures are of other names, so that no key can be meant.
    let is_meant = |report: &&super::every_report::Report| {
        report.has("filters") && !report.has("steps") && !report.has("exposure")
    };
    for report in reports.iter().filter(is_meant) {
        for (breakdown, most) in [(None, 1), (Some(("breakdown", "'data.skill_name'")), 2)] {
            let given: Vec<_> = [("filters", filters)].into_iter().chain(breakdown).collect();
            if breakdown.is_none() || report.has("breakdown") {
                notices.lock().unwrap().clear();
                reader.batch_execute(&report.call(&given)).unwrap();
                let heard = notices.lock().unwrap();
                assert!((1..=most).contains(&heard.len()), "{}: {heard:?}", report.call(&given));
                assert!(heard.iter().all(|notice| notice == key), "{heard:?}");
            }
        }
        compared += 1;
    }
    assert!(compared >= 10, "{compared}");
}
