//! What a tenant's settings say comes before what is wrong with its events, on every way in.

use std::thread;
use std::time::{Duration, SystemTime};

use eventlog_tests::{Db, TENANT_A, TENANT_B, rows, text};
use postgres::Client;

const SECRET: &str = "jane@example.com";

/// Every way in by which something could be kept, for a caller of tenant A or a service.
fn ways(tenant: &str) -> Vec<String> {
    let data = format!(r#"{{"toolName": "t", "email": "{SECRET}"}}"#);
    let big = format!(r#"{{"toolName": "{}", "email": "{SECRET}"}}"#, "x".repeat(3000));
    let mut ways = vec![
        format!("SELECT eventlog.log_event({tenant}, 'tool_used', '{data}')"),
        format!(
            "SELECT eventlog.log_event({tenant}, 'tool_used', '{data}', idempotency_key => 'k')"
        ),
        format!("SELECT eventlog.log_event({tenant}, 'nonsense', '{data}')"),
    ];
    // An object, an array of the name's, a text that is no JSON, one that is too large, and no name.
    for (name, data) in [
        ("'tool_used'", &*data),
        ("'nonsense'", &*data),
        ("'tool_used'", "[1]"),
        ("'tool_used'", r#"{"email": "jane@example.com""#),
        ("'tool_used'", &*big),
        ("'tool_used'", r#"{"email": "jane@example.com"}"#),
        ("NULL", &*data),
    ] {
        ways.push(format!(
            "SELECT eventlog.try_log_event({tenant}, {name}, '{data}', actor => '{SECRET}')"
        ));
        ways.push(format!(
            "SELECT eventlog.log_events(ARRAY[{tenant}]::uuid[], ARRAY[{name}]::text[], ARRAY['{data}'], actors => ARRAY['{SECRET}'])"
        ));
    }
    for event in [
        format!(r#"{{"name": "tool_used", "data": {data}}}"#),
        format!(r#"{{"name": "nonsense", "data": {data}}}"#),
        format!(r#"{{"name": "tool_used", "data": {data}, "color": "red"}}"#),
    ] {
        ways.push(format!(
            "SELECT eventlog.log_events(jsonb_build_array('{event}'::jsonb || jsonb_build_object('tenant_id', {tenant}::text)))"
        ));
    }
    ways
}

fn nothing_is_kept(owner: &mut Client, when: &str) {
    let kept = "SELECT (SELECT count(*) FROM eventlog.events), (SELECT count(*) FROM eventlog.rejected_events),
                       (SELECT count(*) FROM eventlog.idempotency_keys), (SELECT count(*) FROM eventlog.event_types WHERE name = 'nonsense')";
    assert_eq!(rows(owner, kept), [["0", "0", "0", "0"]], "{when}");
}

#[test]
fn nothing_of_a_tenant_that_opted_out_is_kept_whatever_way_it_comes_in() {
    let db = Db::new();
    let mut owner = db.superuser();
    owner
        .batch_execute(&format!(
            "SELECT eventlog.set_tenant('{TENANT_A}', is_opted_out => true);
             CREATE TABLE public.old_events AS SELECT n AS id, '{TENANT_A}'::uuid AS tenant_id, name, data::jsonb,
                    now() - interval '1 day' AS created_at, '{SECRET}' AS actor
               FROM (VALUES (1, 'tool_used', '{{\"toolName\": \"t\"}}'), (2, 'nonsense', '{{}}'), (3, 'tool_used', '[1]'))
                    AS old (n, name, data);
             GRANT SELECT ON public.old_events TO log_owner"
        ))
        .unwrap();
    for on_unknown_name in ["reject", "quarantine", "register"] {
        owner
            .batch_execute(&format!(
                "ALTER DATABASE {} SET eventlog.on_unknown_name = {on_unknown_name}",
                db.name
            ))
            .unwrap();
        let mut member = db.connect_as("member", TENANT_A);
        let mut service = db.connect("service");
        let own = format!("'{TENANT_A}'");
        for (is_service, tenant) in [(false, "NULL"), (false, &*own), (true, &*own)] {
            let client = if is_service { &mut service } else { &mut member };
            for way in ways(tenant) {
                client.batch_execute(&way).unwrap_or_else(|error| panic!("{way}\n{error:?}"));
                nothing_is_kept(&mut owner, &format!("{on_unknown_name}: {way}"));
            }
        }
        // A claim of another tenant's is refused, and not kept either.
        for way in ways(&format!("'{TENANT_B}'")).iter().skip(3) {
            member.batch_execute(way).unwrap();
            nothing_is_kept(&mut owner, &format!("{on_unknown_name}: {way}"));
        }
    }
    assert_eq!(
        rows(
            &mut db.connect("log_owner"),
            "SELECT imported, rejected, already_there FROM eventlog.import_events('public.old_events')"
        ),
        [["0", "0", "0"]]
    );
    nothing_is_kept(&mut owner, "import");
    assert_eq!(text(&mut owner, "SELECT count(*) FROM eventlog.hygiene_counts"), "0");
}

/// Quotas are by the minute of the server's clock: waits for one that does not end soon.
fn early_in_a_minute() {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let second = now.as_secs() % 60;
    if second > 30 {
        thread::sleep(Duration::from_secs(61 - second));
    }
}

#[test]
fn what_is_refused_counts_against_the_quota_whatever_is_wrong_with_it() {
    let db = Db::new();
    let mut owner = db.superuser();
    let batch = |names: &str, data: &str, tenant: &str| {
        format!(
            "SELECT rejected FROM eventlog.log_events(array_fill({tenant}::uuid, '{{40}}'), array_fill('{names}'::text, '{{40}}'),
                                             array_fill('{data}'::text, '{{40}}'))"
        )
    };
    for (what, call, setting) in [
        ("unknown names", batch("nonsense", "{}", "NULL"), "reject"),
        ("unknown names to the quarantine", batch("nonsense", "{}", "NULL"), "quarantine"),
        ("no JSON", batch("tool_used", "{", "NULL"), "reject"),
        ("no object", batch("tool_used", "[]", "NULL"), "reject"),
        ("a broken rule", batch("tool_used", "{}", "NULL"), "reject"),
        ("another tenant's", batch("tool_used", "{}", &format!("'{TENANT_B}'")), "reject"),
    ] {
        owner
            .batch_execute(&format!(
                "ALTER DATABASE {} SET eventlog.on_unknown_name = {setting}",
                db.name
            ))
            .unwrap();
        early_in_a_minute();
        // A new tenant each time, or its quota would be used up.
        let tenant = text(&mut owner, "SELECT gen_random_uuid()");
        owner.batch_execute(&format!("DELETE FROM eventlog.rejected_events; SELECT eventlog.set_tenant('{tenant}', events_per_minute => 5)")).unwrap();
        let mut member = db.connect_as("member", &tenant);
        assert_eq!(text(&mut member, &call), "40", "{what}");
        assert_eq!(
            text(&mut owner, "SELECT count(*) FROM eventlog.rejected_events"),
            "5",
            "{what}"
        );
        let over = format!(
            "SELECT sum(events) FROM eventlog.hygiene_counts WHERE tenant_id = '{tenant}' AND kind = 'over_quota'"
        );
        assert_eq!(text(&mut owner, &over), "35", "{what}");
        // Nor is one more kept.
        member.batch_execute("SELECT eventlog.try_log_event(NULL, 'nonsense', '{')").unwrap();
        assert_eq!(
            text(&mut owner, "SELECT count(*) FROM eventlog.rejected_events"),
            "5",
            "{what}"
        );
    }
}

#[test]
fn a_flood_of_new_names_registers_no_more_than_the_quota() {
    let db = Db::new();
    let mut owner = db.superuser();
    owner
        .batch_execute(&format!(
            "SELECT eventlog.set_tenant('{TENANT_A}', events_per_minute => 5);
             ALTER DATABASE {} SET eventlog.on_unknown_name = register",
            db.name
        ))
        .unwrap();
    early_in_a_minute();
    let mut member = db.connect_as("member", TENANT_A);
    let flood = "SELECT written FROM eventlog.log_events(NULL, ARRAY(SELECT 'new_' || n FROM generate_series(1, 40) n), NULL)";
    assert_eq!(text(&mut member, flood), "5");
    assert_eq!(
        text(&mut owner, "SELECT count(*) FROM eventlog.event_types WHERE domain = 'registered'"),
        "5"
    );
}
