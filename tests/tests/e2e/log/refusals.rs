//! What a trigger of the user's, or anything else behind the INSERT, says against an event costs that
//! event alone.

use eventlog_tests::{Db, TENANT_A, TENANT_B, refused, rows, text};
use postgres::Client;

/// A log with a trigger of the user's: an event with the key `bad` is refused with that SQLSTATE, one
/// with `skip` is skipped.
fn with_trigger() -> (Db, Client) {
    let db = Db::new();
    let mut owner = db.superuser();
    owner
        .batch_execute(
            "CREATE FUNCTION public.check_event() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN
                 IF NEW.data ? 'bad' THEN
                     RAISE EXCEPTION 'not this one' USING ERRCODE = NEW.data ->> 'bad', DETAIL = 'It is bad.';
                 END IF;
                 RETURN CASE WHEN NOT NEW.data ? 'skip' THEN NEW END;
             END $$;
             CREATE TRIGGER check_event BEFORE INSERT ON eventlog.events FOR EACH ROW EXECUTE FUNCTION public.check_event();
             SELECT eventlog.define_event('ping')",
        )
        .unwrap();
    (db, owner)
}

/// SQLSTATEs that an application may raise of an event, and that are no standard ones.
const OF_THE_EVENT: [&str; 9] =
    ["P0001", "P0002", "0A000", "28000", "2F003", "38000", "39000", "54000", "MY001"];

#[test]
fn whatever_a_trigger_raises_of_an_event_costs_that_event_alone() {
    let (db, mut owner) = with_trigger();
    let mut service = db.connect("service");
    for state in OF_THE_EVENT {
        let bad = format!(r#"{{"bad": "{state}"}}"#);
        let batch = format!(
            "SELECT written, rejected, verdicts -> 2 ->> 'sqlstate', verdicts -> 2 ->> 'message'
               FROM eventlog.log_events(ARRAY['{TENANT_A}', '{TENANT_B}', '{TENANT_A}', '{TENANT_B}', '{TENANT_A}']::uuid[],
                    ARRAY['ping', 'ping', 'ping', 'ping', 'ping'], ARRAY['{{}}', '{{}}', '{bad}', '{{}}', '{{}}'],
                    with_verdicts => true)"
        );
        assert_eq!(rows(&mut service, &batch), [["4", "1", state, "not this one: It is bad."]]);
        let call = format!("SELECT eventlog.log_event('{TENANT_A}', 'ping', '{bad}')");
        let error = refused(&mut service, &call);
        let (own, detail) = match state {
            "MY001" => ("P0001", "It is bad. (SQLSTATE MY001)"),
            standard => (standard, "It is bad."),
        };
        assert_eq!((error.code().code(), error.detail()), (own, Some(detail)));
        for rest in ["", ", idempotency_key => 'k'"] {
            let call = format!(
                "SELECT eventlog.try_log_event('{TENANT_A}', 'ping', '{bad}'::jsonb{rest})"
            );
            assert_eq!(text(&mut service, &call), "∅", "{state}");
        }
    }
    assert_eq!(
        text(
            &mut owner,
            "SELECT count(DISTINCT sqlstate) || '/' || count(*) FROM eventlog.rejected_events"
        ),
        "9/27"
    );
    // Not refused any more, or still.
    owner.batch_execute("ALTER TABLE eventlog.events DISABLE TRIGGER check_event").unwrap();
    assert_eq!(
        rows(&mut owner, "SELECT * FROM eventlog.replay_rejected(row_limit => 3)"),
        [["3", "0"]]
    );
    // Of a key the first event counts.
    owner.batch_execute("ALTER TABLE eventlog.events ENABLE TRIGGER check_event").unwrap();
    assert_eq!(rows(&mut owner, "SELECT * FROM eventlog.replay_rejected()"), [["8", "16"]]);
}

#[test]
fn what_is_of_the_transaction_or_the_server_reaches_the_caller() {
    let (db, mut owner) = with_trigger();
    let mut service = db.connect("service");
    for state in
        ["40001", "40P01", "53200", "55P03", "55006", "57014", "57P01", "58030", "25006", "08006"]
    {
        let bad = format!(r#"{{"bad": "{state}"}}"#);
        for call in [
            format!("SELECT eventlog.log_event('{TENANT_A}', 'ping', '{bad}')"),
            format!("SELECT eventlog.try_log_event('{TENANT_A}', 'ping', '{bad}'::jsonb)"),
            format!(
                "SELECT eventlog.try_log_event('{TENANT_A}', 'ping', '{bad}', idempotency_key => 'k')"
            ),
            format!(
                "SELECT eventlog.log_events(ARRAY['{TENANT_A}']::uuid[], '{{ping}}', ARRAY['{bad}'])"
            ),
        ] {
            assert_eq!(refused(&mut service, &call).code().code(), state, "{call}");
        }
    }
    assert_eq!(text(&mut owner, "SELECT count(*) FROM eventlog.rejected_events"), "0");
    // As SQL has it for replay_rejected().
    let same = "SELECT count(*) FROM unnest('{P0001,MY001,23503,53400,55000,22P02,XX001,53200,55P03}'::text[]) s
                 WHERE eventlog_private.is_fault_of_event(s)";
    assert_eq!(text(&mut owner, same), "6");
}

#[test]
fn a_row_that_a_trigger_skips_counts_as_left_out_and_the_verdict_says_so() {
    let (db, mut owner) = with_trigger();
    owner.batch_execute(&format!("SET eventlog.tenant_id = '{TENANT_A}'")).unwrap();
    let mut member = db.connect_as("member", TENANT_A);
    let batch = "SELECT written, duplicate, sampled, rejected, verdicts FROM eventlog.log_events(NULL,
        '{ping,ping,ping,ping}', ARRAY['{\"n\": 1}', '{\"skip\": 1}', '{\"bad\": \"P0001\"}', '{\"n\": 2}'],
        idempotency_keys => '{NULL,s,NULL,d}', with_verdicts => true)";
    for (client, duplicates) in [(&mut member, ["2", "0"]), (&mut owner, ["1", "1"])] {
        let row = rows(client, batch).concat();
        let skipped = if duplicates[1] == "0" { "1" } else { "0" };
        assert_eq!(
            &row[..4],
            [duplicates[0], if skipped == "1" { "0" } else { "2" }, skipped, "1"],
            "{row:?}"
        );
        if skipped == "1" {
            assert!(
                row[4].contains(r#"{"id": null, "position": 2, "is_sampled": true}"#),
                "{row:?}"
            );
        }
        // The ids of the verdicts are those of the rows.
        let first = format!(
            "SELECT data ->> 'n' FROM eventlog.events WHERE id = ('{}'::jsonb -> 0 ->> 'id')::bigint",
            row[4].replace('\'', "''")
        );
        let mut reader = db.superuser();
        assert_eq!(text(&mut reader, &first), "1", "{row:?}");
    }
    assert_eq!(text(&mut owner, "SELECT count(*) FROM eventlog.events"), "3");
}
