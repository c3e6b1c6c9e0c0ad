//! Every function of the catalog, called by everybody with everything: nothing changes but what the
//! manual says.

use std::collections::BTreeSet;

use eventlog_tests::{Db, TENANT_A, TENANT_B, rows, text};
use postgres::Client;

/// The functions whose calls may change rows, the roles that may call them so, and the tables.
const MAY_CHANGE: &[(&[&str], &[&str], &[&str])] = &[
    (
        &["log_event", "try_log_event", "log_events"],
        &["writer", "service"],
        &[
            "events",
            "rejected_events",
            "hygiene_counts",
            "idempotency_keys",
            "late_events",
            "producers",
        ],
    ),
    (
        &[
            "certain_id",
            "create_consumer",
            "drop_consumer",
            "read_events_after",
            "_read_events_after",
            "acknowledge",
            "_add_consumer",
            "_begin_reading",
            "_readable_until",
            "_note_acknowledged",
            "_skip_ids",
            "_remove_consumer",
        ],
        &["reader", "service"],
        &["consumers", "consumer_losses", "delivery_looks"],
    ),
    (
        &[
            "create_alert",
            "drop_alert",
            "disable_alert",
            "enable_alert",
            "_add_alert",
            "_remove_alert",
            "_switch_alert",
        ],
        &["reader", "service"],
        &["alerts"],
    ),
    (
        &[
            "create_webhook",
            "drop_webhook",
            "disable_webhook",
            "enable_webhook",
            "rotate_secret",
            "replay_webhook",
            "_add_webhook",
            "_remove_webhook",
            "_switch_webhook",
            "_rotate_secret",
            "_replay_webhook",
            "_take_webhooks",
            "_release_webhooks",
            "_note_deliveries",
            "_deliverable_until",
            "_read_deliverable",
            "_read_alert_changes",
            "_due_retries",
        ],
        &["service"],
        &[
            "webhooks",
            "webhook_secrets",
            "webhook_retries",
            "webhook_deliveries",
            "deliverers",
            "delivery_looks",
        ],
    ),
];

/// A digest of each relation of the log, and of what is tenant B's in it.
const DIGEST: &str = "
    SELECT c.relname, (xpath('/row/d/text()', query_to_xml(format(
               'SELECT md5(coalesce(string_agg(t::text, E''\\n'' ORDER BY t::text), '''')) AS d FROM %s t', c.oid::regclass),
           false, true, '')))[1]::text,
           (xpath('/row/d/text()', query_to_xml(format(
               'SELECT count(*) AS d FROM %s t WHERE to_jsonb(t) ->> ''tenant_id'' = %L', c.oid::regclass, $B$tenant_b$B$),
           false, true, '')))[1]::text
      FROM pg_class c
     WHERE c.relnamespace = 'eventlog'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
     ORDER BY 1";

fn digest(superuser: &mut Client) -> Vec<Vec<String>> {
    rows(superuser, &DIGEST.replace("tenant_b", TENANT_B))
}

/// Names of the tables that differ.
fn changed(before: &[Vec<String>], after: &[Vec<String>]) -> Vec<String> {
    assert_eq!(before.len(), after.len());
    before.iter().zip(after).filter(|(b, a)| b != a).map(|(b, _)| b[0].clone()).collect()
}

/// A value of a type that wants to do harm: another tenant's, the log's own tables and roles.
fn hostile(kind: &str, variant: usize) -> String {
    let text =
        ["tool_used", "actor", "events", "eventlog.events", "service", "tenant", "apply retention"];
    match kind {
        "uuid" => format!("'{TENANT_B}'"),
        "uuid[]" => format!("ARRAY['{TENANT_B}']::uuid[]"),
        "jsonb" => "'{\"toolName\": \"x\", \"tenant_id\": \"B\"}'".to_owned(),
        "text[]" => "'{tool_used}'".to_owned(),
        "oid" | "regclass" => "'eventlog.events'::regclass".to_owned(),
        "regrole" => "'service'::regrole".to_owned(),
        "regproc" => "'eventlog.guard'::regproc".to_owned(),
        "text" | "name" | "\"char\"" => format!("'{}'", text[variant % text.len()]),
        "boolean" => "true".to_owned(),
        "integer" | "bigint" | "smallint" | "real" | "double precision" | "numeric" => {
            "1".to_owned()
        }
        "timestamp with time zone" => "'2020-01-01'".to_owned(),
        "date" => "'2020-01-01'".to_owned(),
        "interval" => "'1 day'".to_owned(),
        _ => format!("NULL::{kind}"),
    }
}

#[test]
fn nothing_changes_but_what_a_role_may_do_whoever_calls_whatever_function() {
    let db = Db::new();
    let mut superuser = db.superuser();
    superuser
        .batch_execute(&format!(
            "GRANT USAGE ON SCHEMA eventlog TO outsider;
             SET ROLE log_owner;
             INSERT INTO eventlog.tenant_roles (role_name, tenant_id) VALUES ('member', '{TENANT_B}');
             SELECT eventlog.set_tenant('{TENANT_B}', events_per_minute => 1000);
             SELECT eventlog.log_event('{TENANT_B}', 'tool_used', '{{\"toolName\": \"b\"}}', actor => 'b', idempotency_key => 'b');
             SELECT eventlog.try_log_event('{TENANT_B}', 'no_such_name', '{{}}');
             INSERT INTO eventlog.late_events (tenant_id, id, created_at) VALUES ('{TENANT_B}', 1000, '2020-01-01');
             RESET ROLE"
        ))
        .unwrap();
    let functions = rows(
        &mut superuser,
        "SELECT p.oid, p.pronamespace::regnamespace || '.' || quote_ident(p.proname), p.proname, p.prokind,
                coalesce(array_to_string(ARRAY(SELECT format_type(t, NULL) FROM unnest(p.proargtypes) t), ';'), ''),
                p.prorettype = 'trigger'::regtype
           FROM pg_proc p
          WHERE p.pronamespace IN ('eventlog'::regnamespace, 'eventlog_private'::regnamespace)
            AND p.prorettype <> 'event_trigger'::regtype
          ORDER BY 2, 5",
    );
    assert!(functions.len() > 200);
    let mut before = digest(&mut superuser);
    let mut offences = Vec::new();
    // What shows that this test sees changes, and that the triggers were called.
    let mut seen = BTreeSet::new();
    let mut refusals = BTreeSet::new();
    for role in ["outsider", "reader", "writer", "service"] {
        let mut client = db.connect_as(role, TENANT_A);
        client
            .batch_execute("SET statement_timeout = '5s'; SET client_min_messages = 'error'")
            .unwrap();
        for function in &functions {
            let [_, name, short, kind, types, is_trigger] = function.as_slice() else {
                unreachable!()
            };
            let calls = match is_trigger.as_str() {
                "t" => by_triggers(name),
                _ => directly(name, kind, types),
            };
            for call in calls {
                let succeeded = match client.batch_execute(&call) {
                    Ok(()) => true,
                    Err(error) => {
                        let state = error.as_db_error().map(|error| error.code().code().to_owned());
                        let state = state.unwrap_or_else(|| panic!("{role}: {call}\n{error:?}"));
                        refusals
                            .extend(error.as_db_error().map(|error| error.message().to_owned()));
                        if state.starts_with("XX") {
                            offences.push(format!("{role}: {call}: {error:?}"));
                        }
                        false
                    }
                };
                // The quarantine keeps a refused event in a transaction that goes on; else an error
                // undoes all.
                if !succeeded {
                    continue;
                }
                let after = digest(&mut superuser);
                let may = MAY_CHANGE
                    .iter()
                    .filter(|(names, roles, _)| names.contains(&&**short) && roles.contains(&role));
                let may: Vec<&str> =
                    may.flat_map(|(_, _, tables)| tables.iter().copied()).collect();
                for table in changed(&before, &after) {
                    seen.insert(table.clone());
                    if !may.contains(&&*table) {
                        offences.push(format!("{role}: {call}: changed {table}"));
                    }
                }
                if role != "service" {
                    let of_b = |digest: &[Vec<String>]| -> Vec<String> {
                        digest.iter().map(|row| format!("{} {}", row[0], row[2])).collect()
                    };
                    if of_b(&before) != of_b(&after) {
                        offences.push(format!("{role}: {call}: changed rows of another tenant"));
                    }
                }
                before = after;
            }
        }
        // The quota of the other tenant is untouched.
        assert_eq!(text(&mut client, "SELECT 1"), "1");
    }
    assert_eq!(offences, Vec::<String>::new());
    assert!(seen.contains("events"), "{seen:?}");
    for function in ["erase_tenant()", "late_event()", "name_tenant()", "tenant_role_named()"] {
        assert!(refusals.iter().any(|message| message.starts_with(function)), "{refusals:?}");
    }
}

/// A call with nulls, and some with hostile values.
fn directly(name: &str, kind: &str, types: &str) -> Vec<String> {
    let types: Vec<&str> = types.split(';').filter(|kind| !kind.is_empty()).collect();
    let call = |arguments: Vec<String>| {
        let arguments = arguments.join(", ");
        match kind {
            "p" => format!("CALL {name}({arguments})"),
            _ => format!("SELECT * FROM (SELECT {name}({arguments})) f"),
        }
    };
    // `internal` cannot be written in SQL, so that no call of those is.
    if types.contains(&"internal") {
        return Vec::new();
    }
    let nulls = types.iter().map(|kind| format!("NULL::{kind}")).collect();
    let variants = if types.iter().any(|kind| matches!(*kind, "text" | "name")) { 7 } else { 1 };
    std::iter::once(call(nulls))
        .chain((0..variants).map(|n| call(types.iter().map(|kind| hostile(kind, n)).collect())))
        .collect()
}

/// The function as a trigger of every timing on a table of the role's own.
fn by_triggers(name: &str) -> Vec<String> {
    let mut calls = Vec::new();
    for (timing, level) in
        [("BEFORE", "ROW"), ("AFTER", "ROW"), ("BEFORE", "STATEMENT"), ("AFTER", "STATEMENT")]
    {
        for event in ["INSERT", "UPDATE", "DELETE"] {
            for arguments in ["", "'tenant_id'", "'id'"] {
                calls.push(format!(
                    "BEGIN; DROP TABLE IF EXISTS pg_temp.t;
                     CREATE TEMP TABLE t (id bigint, tenant_id uuid, name text, data jsonb, created_at timestamptz, role_name name);
                     INSERT INTO t VALUES (1, '{TENANT_B}', 'tool_used', '{{}}', '2020-01-01', 'service');
                     CREATE TRIGGER x {timing} {event} ON t FOR EACH {level} EXECUTE FUNCTION {name}({arguments});
                     INSERT INTO t VALUES (2, '{TENANT_B}', 'tool_used', '{{}}', '2020-01-01', 'service');
                     UPDATE t SET name = name; DELETE FROM t; COMMIT"
                ));
            }
        }
    }
    calls.push(format!(
        "BEGIN; DROP TABLE IF EXISTS pg_temp.t; CREATE TEMP TABLE t (id uuid);
         CREATE TRIGGER x AFTER TRUNCATE ON t FOR EACH STATEMENT EXECUTE FUNCTION {name}(); TRUNCATE t; COMMIT"
    ));
    // Where it was refused in the middle of a block.
    calls.into_iter().flat_map(|call| [call, "ROLLBACK".to_owned()]).collect()
}
