//! Other names under which events of an event type arrive.

use std::thread;

use eventlog_tests::{Db, TENANT_A, assert_refused, db, refused, rows, text, wait_for};
use postgres::Client;

/// Event type `order_completed` with the names that other products have for it.
fn define(db: &Db) -> Client {
    let mut owner = db.connect_as("log_owner", TENANT_A);
    owner
        .batch_execute(
            "SELECT eventlog.define_event('order_completed', required_keys => '{total}', redact_keys => '{card}', actor_key => 'userId',
                        aliases => ARRAY['Order Completed', '$purchase', 'order.done'])",
        )
        .unwrap();
    owner
}

const STORED: &str = "SELECT name, count(*) FROM eventlog.events GROUP BY name ORDER BY name";

#[test]
fn an_event_of_an_alias_is_stored_under_the_name_whichever_way_it_comes() {
    let db = Db::new();
    let mut owner = define(&db);
    let mut member = db.connect_as("member", TENANT_A);
    let data = r#"{"total": 1}"#;
    for client in [&mut owner, &mut member] {
        let log = format!(
            "SELECT eventlog.log_event(NULL, 'Order Completed', '{data}'), eventlog.log_event(NULL, '$purchase', '{data}', idempotency_key => 'k')"
        );
        rows(client, &log);
        let log = format!(
            "SELECT eventlog.try_log_event(NULL, 'Order Completed', '{data}'::jsonb), eventlog.try_log_event(NULL, '$purchase', '{data}'::text)"
        );
        rows(client, &log);
        let log = format!(
            "SELECT written FROM eventlog.log_events(NULL, ARRAY['Order Completed', 'order_completed', 'order.done'], array_fill('{data}'::text, '{{3}}'))"
        );
        assert_eq!(text(client, &log), "3");
        let log = format!(
            "SELECT written FROM eventlog.log_events('[{{\"name\": \"$purchase\", \"data\": {data}}}]')"
        );
        assert_eq!(text(client, &log), "1");
    }
    db.superuser()
        .batch_execute(&format!(
            "CREATE TABLE public.old AS SELECT 1::bigint AS id, '{TENANT_A}'::uuid AS tenant_id, 'Order Completed' AS name,
                 '{data}'::jsonb AS data, now() AS created_at;
             GRANT SELECT ON public.old TO log_owner"
        ))
        .unwrap();
    assert_eq!(text(&mut owner, "SELECT imported FROM eventlog.import_events('public.old')"), "1");
    // The second of idempotency key k was there already.
    assert_eq!(rows(&mut owner, STORED), [["order_completed", "16"]]);
    let dry = format!(
        "SELECT is_valid, stored FROM eventlog.validate_event('Order Completed', '{data}')"
    );
    assert_eq!(rows(&mut member, &dry), [["t", data]]);
    let dry = "SELECT is_valid, message FROM eventlog.validate_event('Order Completed')";
    let message = "payload of event \"order_completed\" breaks 1 rule";
    assert_eq!(rows(&mut member, dry), [["f", message]]);
    // A plain INSERT must have the row as the log would store it.
    let plain = format!(
        "INSERT INTO eventlog.events (tenant_id, name, data) VALUES ('{TENANT_A}', 'Order Completed', '{data}')"
    );
    let error = refused(&mut member, &plain);
    assert_eq!((error.code().code(), error.detail()), ("23514", Some("the name is an alias")));
}

#[test]
fn the_quarantine_keeps_the_given_name_and_obeys_the_rules_of_the_event_type() {
    let db = Db::new();
    let mut owner = define(&db);
    for name in ["Order Completed", "order_completed"] {
        let log = format!(
            r#"SELECT eventlog.try_log_event(NULL, '{name}', '{{"card": "4111", "userId": "erin"}}'::jsonb)"#
        );
        text(&mut owner, &log);
    }
    let kept = "SELECT name, data, can_replay FROM eventlog.rejected_events ORDER BY id";
    let clean = r#"{"userId": "erin"}"#;
    assert_eq!(
        rows(&mut owner, kept),
        [["Order Completed", clean, "t"], ["order_completed", clean, "t"]]
    );
    let found = "SELECT name FROM eventlog.get_rejected('{order_completed}') ORDER BY id";
    assert_eq!(rows(&mut owner, found).concat(), ["Order Completed", "order_completed"]);
    // Forgetting an actor finds the actor's key of the event type.
    let forget = format!("CALL eventlog.forget_actor('{TENANT_A}', 'erin', dry_run => true)");
    assert!(rows(&mut owner, &forget)[0][1].contains("\"rejected_events\": 2"));
    owner
        .batch_execute("SELECT eventlog.define_event('order_completed', required_keys => '{}')")
        .unwrap();
    let replay = "SELECT replayed FROM eventlog.replay_rejected('order_completed')";
    assert_eq!(text(&mut owner, replay), "2");
    assert_eq!(rows(&mut owner, STORED), [["order_completed", "2"]]);
}

#[test]
fn a_name_wins_over_an_alias_and_an_alias_over_a_wildcard() {
    let db = Db::new();
    define(&db);
    let mut owner = db.connect_as("postgres", TENANT_A);
    owner
        .batch_execute(
            "SET eventlog.allow_wildcards = on; SELECT eventlog.define_event('order.*');
             SELECT eventlog.log_event(NULL, 'order.done', '{\"total\": 1}'), eventlog.log_event(NULL, 'order.other')",
        )
        .unwrap();
    assert_eq!(rows(&mut owner, STORED), [["order.other", "1"], ["order_completed", "1"]]);
    // A row that was written by hand.
    owner
        .batch_execute(
            "INSERT INTO eventlog.event_types (name, aliases) VALUES ('order.done', '{order_completed,$purchase}'), ('a', '{\"Order Completed\"}');
             SELECT eventlog.log_event(NULL, 'order.done'), eventlog.log_event(NULL, 'order_completed', '{\"total\": 1}'),
                    eventlog.log_event(NULL, 'Order Completed')",
        )
        .unwrap();
    assert_eq!(
        rows(&mut owner, STORED),
        [["a", "1"], ["order.done", "1"], ["order.other", "1"], ["order_completed", "2"]]
    );
    assert_refused(
        &mut owner,
        "SELECT eventlog.define_event('a', domain => 'x')",
        "42710",
        "alias \"Order Completed\" is taken",
    );
}

#[test]
fn an_alias_that_another_event_type_has_is_refused_and_the_error_says_which() {
    let db = Db::new();
    let mut owner = define(&db);
    let error = refused(
        &mut owner,
        "SELECT eventlog.define_event('sale', aliases => ARRAY['new', '$purchase'])",
    );
    assert_eq!(error.code().code(), "42710");
    assert_eq!(error.message(), "alias \"$purchase\" is taken");
    assert_eq!(error.detail(), Some("It is an alias of event \"order_completed\"."));
    let hint = "take it from there first: SELECT eventlog.define_event('order_completed', aliases => '{\"Order Completed\",order.done}');";
    assert_eq!(error.hint(), Some(hint));
    let error =
        refused(&mut owner, "SELECT eventlog.define_event('sale', aliases => '{tool_used}')");
    assert_eq!(error.code().code(), "42710");
    assert_eq!(error.detail(), Some("An event type has this name."));
    let error = refused(&mut owner, "SELECT eventlog.define_event('order.done')");
    assert_eq!((error.code().code(), error.message()), ("42710", "name \"order.done\" is taken"));
    // The hint moves it.
    owner.batch_execute(hint.rsplit("first: ").next().unwrap()).unwrap();
    owner
        .batch_execute("SELECT eventlog.define_event('sale', aliases => ARRAY['$purchase'])")
        .unwrap();
    for (aliases, sqlstate, message) in [
        ("ARRAY['']", "22023", "\"\" cannot be an alias"),
        ("ARRAY['sale']", "22023", "\"sale\" cannot be an alias"),
        ("ARRAY[E'tab\\there']", "22023", "cannot be an alias"),
        ("ARRAY[repeat('ä', 65)]", "22023", "cannot be an alias"),
        ("ARRAY[NULL]::text[]", "22004", "aliases must not contain null"),
        (
            "ARRAY(SELECT 'a' || g FROM generate_series(1, 21) g)",
            "54000",
            "aliases has 21 names, limit 20",
        ),
    ] {
        let define = format!("SELECT eventlog.define_event('sale', aliases => {aliases})");
        assert_refused(&mut owner, &define, sqlstate, message);
    }
    assert_refused(
        &mut owner,
        "SELECT eventlog.define_event('sale.*', aliases => '{x}')",
        "22023",
        "wildcard \"sale.*\" cannot have aliases",
    );
    let define = "SELECT eventlog.define_event('sale', aliases => ARRAY[repeat('ä', 64), 'Ünïcode ☕', '*'])";
    owner.batch_execute(define).unwrap();
    assert_eq!(text(&mut owner, "SELECT eventlog.log_event(NULL, 'Ünïcode ☕') > 0"), "t");
}

#[test]
fn of_two_sessions_that_give_the_same_alias_at_once_one_is_refused() {
    let db = Db::new();
    let connect = || db.connect("log_owner");
    let define =
        |name: &str| format!("SELECT eventlog.define_event('{name}', aliases => '{{Bought}}')");
    let mut first = connect();
    first.batch_execute("BEGIN").unwrap();
    first.batch_execute(&define("a")).unwrap();
    thread::scope(|scope| {
        let waiting: Vec<_> =
            [define("b"), "SELECT eventlog.define_event('bought')".into(), define("c")]
                .into_iter()
                .map(|sql| {
                    let mut client = connect();
                    scope.spawn(move || {
                        client.batch_execute(&sql).map_err(|error| error.code().cloned())
                    })
                })
                .collect();
        let blocked = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        wait_for(&mut db.superuser(), blocked, "3");
        // Other definitions go on.
        connect()
            .batch_execute("SELECT eventlog.define_event('tool_used', domain => 'x')")
            .unwrap();
        first.batch_execute("COMMIT").unwrap();
        let ends: Vec<_> = waiting.into_iter().map(|thread| thread.join().unwrap()).collect();
        let codes: Vec<_> = ends
            .iter()
            .map(|end| end.as_ref().err().map(|code| code.as_ref().unwrap().code()))
            .collect();
        assert_eq!(codes, [Some("42710"), None, Some("42710")]);
    });
    // A transaction that cannot see what was committed meanwhile is told to begin anew.
    let mut late = connect();
    late.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1").unwrap();
    connect().batch_execute("SELECT eventlog.define_event('d', aliases => '{Sold}')").unwrap();
    let error = refused(&mut late, "SELECT eventlog.define_event('e', aliases => '{Sold}')");
    assert_eq!(error.code().code(), "40001");
}

#[test]
fn the_alias_of_a_retired_event_is_refused_as_its_name_is() {
    let db = Db::new();
    let mut owner = define(&db);
    owner.batch_execute("SELECT eventlog.retire_event('order_completed', 'tool_used')").unwrap();
    let error =
        refused(&mut owner, "SELECT eventlog.log_event(NULL, 'Order Completed', '{\"total\": 1}')");
    assert_eq!(
        (error.code().code(), error.message(), error.hint()),
        (
            "42704",
            "event name \"Order Completed\" is retired",
            Some("its successor is \"tool_used\"")
        )
    );
}

#[test]
fn errors_about_names_know_the_aliases() {
    let db = Db::new();
    let mut owner = define(&db);
    let hint = |owner: &mut Client, sql: &str| {
        let error = refused(owner, sql);
        assert_eq!(error.code().code(), "42704", "{error:?}");
        error.hint().unwrap_or_default().to_owned()
    };
    let log = "SELECT eventlog.log_event(NULL, 'Order Complete')";
    assert!(hint(&mut owner, log).starts_with("did you mean \"Order Completed\""));
    let log = "SELECT eventlog.log_event(NULL, 'Subscription Cancelled')";
    assert!(
        hint(&mut owner, log).contains("define_event('<name>', aliases => ARRAY['<alias>', …])")
    );
    for call in [
        "retire_event('Order Completed')",
        "recount('Order Completed')",
        "add_enrichment('Order Completed', 'a', 'b', 'pg_catalog.pg_class', 'oid', 'relname')",
    ] {
        let hint = hint(&mut owner, &format!("SELECT eventlog.{call}"));
        assert_eq!(hint, "it is an alias of \"order_completed\"", "{call}");
    }
}

#[test]
fn reports_take_an_alias_for_the_name_and_say_so() {
    let db = Db::new();
    let mut owner = define(&db);
    owner
        .batch_execute(
            "SELECT eventlog.log_event(NULL, 'Order Completed', '{\"total\": 1, \"userId\": \"erin\"}'),
                    eventlog.log_event(NULL, 'tool_used', '{\"toolName\": \"x\"}', actor => 'erin')",
        )
        .unwrap();
    for (report, expected) in [
        ("SELECT name FROM eventlog.get_events(names => '{Order Completed}')", "order_completed"),
        ("SELECT sum(events) FROM eventlog.events_per_day(names => '{Order Completed}')", "1"),
        (
            "SELECT name FROM eventlog.get_events(filters => '{\"name\": \"Order Completed\"}')",
            "order_completed",
        ),
        (
            "SELECT count(*) FROM eventlog.get_events(filters => '{\"name\": {\"not\": [\"$purchase\"]}}')",
            "1",
        ),
        (
            "SELECT string_agg(name || reached, ' ' ORDER BY step) FROM eventlog.funnel('{$purchase,tool_used}')",
            "order_completed1 tool_used1",
        ),
        ("SELECT max(daily) FROM eventlog.active_actors(name => '$purchase')", "1"),
        (
            "SELECT sum(actors) FROM eventlog.cohort_retention('Order Completed') WHERE period_number = 0",
            "1",
        ),
    ] {
        assert_eq!(text(&mut owner, report), expected, "{report}");
    }
    let said = db::shared()
        .told(&db.name, "log_owner", &format!("SET eventlog.tenant_id = '{TENANT_A}'; SELECT FROM eventlog.get_events(names => '{{Order Completed}}')"))
        .unwrap();
    assert!(said.contains("\"Order Completed\" is an alias of \"order_completed\""), "{said}");
}

#[test]
fn a_plan_carries_aliases_and_may_move_one_from_an_event_to_another() {
    let (from, to) = (Db::new(), Db::new());
    let mut owner = define(&from);
    let export = "SELECT eventlog.taxonomy_export()";
    let import = |plan: &str| {
        format!(
            "SELECT action, name FROM eventlog.taxonomy_import('{}', true)",
            plan.replace('\'', "''")
        )
    };
    let mut other = to.connect_as("log_owner", TENANT_A);
    let plan = text(&mut owner, export);
    assert_eq!(rows(&mut other, &import(&plan)), [["add", "order_completed"]]);
    assert_eq!(
        text(&mut other, "SELECT eventlog.log_event(NULL, '$purchase', '{\"total\": 1}') > 0"),
        "t"
    );
    // 'a' comes before 'order_completed', which still has the alias then.
    owner
        .batch_execute(
            "SELECT eventlog.define_event('order_completed', aliases => '{}');
             SELECT eventlog.define_event('a', aliases => ARRAY['Order Completed'])",
        )
        .unwrap();
    let plan = text(&mut owner, export);
    assert_eq!(rows(&mut other, &import(&plan)), [["add", "a"], ["change", "order_completed"]]);
    assert!(rows(&mut other, &import(&plan)).is_empty());
    // One that leaves 'a' out retires it, and may give its alias away.
    let moved = plan.replace("\"a\": {\"aliases\"", "\"b\": {\"aliases\"");
    assert_eq!(rows(&mut other, &import(&moved)), [["add", "b"], ["retire", "a"]]);
    assert_eq!(rows(&mut other, &import(&plan)), [["change", "a"], ["retire", "b"]]);
    let doubled = plan.replace(
        "\"order_completed\": {",
        "\"order_completed\": {\"aliases\": [\"Order Completed\"], ",
    );
    assert_refused(&mut other, &import(&doubled), "42710", "alias \"Order Completed\" is taken");
}

#[test]
fn the_quarantine_keeps_the_protocol_by_which_an_event_came() {
    let db = Db::new();
    let mut owner = define(&db);
    let log = "SELECT written, rejected FROM eventlog.log_events(NULL, ARRAY['Order Completed', 'Bogus', 'order_completed'], NULL,
                      NULL, NULL, NULL, NULL, NULL, NULL, NULL, ARRAY['segment', 'posthog', NULL])";
    assert_eq!(rows(&mut owner, log), [["0", "3"]]);
    let kept = "SELECT name, protocol FROM eventlog.get_rejected() ORDER BY id";
    assert_eq!(
        rows(&mut owner, kept),
        [["Order Completed", "segment"], ["Bogus", "posthog"], ["order_completed", "∅"]]
    );
    assert_refused(
        &mut owner,
        &log.replace(", NULL])", "])"),
        "22023",
        "names has 3, protocols has 2",
    );
}
