//! The guard: no INSERT of a role under policies gets around the rules.

use eventlog_tests::{Db, TENANT_A, TENANT_B, assert_refused, rows, text};

const INSERT: &str = "INSERT INTO eventlog.events (tenant_id, name, data) VALUES";

#[test]
fn a_plain_insert_of_a_writer_obeys_the_rules() {
    let db = Db::new();
    let mut writer = db.connect_as("writer", TENANT_A);
    let good = r#"'{"sessionId": "s", "conversationId": "c"}'"#;
    writer
        .batch_execute(&format!("{INSERT} ('{TENANT_A}', 'conversation_started', {good})"))
        .expect("a good row");
    for (values, sqlstate) in [
        (format!("('{TENANT_A}', 'bogus', '{{}}')"), "42704"),
        (format!("('{TENANT_A}', 'conversation_started', '{{}}')"), "23514"),
        (format!("('{TENANT_A}', 'conversation_started', '[]')"), "22023"),
        (format!("('{TENANT_A}', NULL, {good})"), "23502"),
        (format!("('{TENANT_A}', 'conversation_started', NULL)"), "23502"),
        (format!("('{TENANT_B}', 'conversation_started', {good})"), "42501"),
        (
            format!(
                r#"('{TENANT_A}', 'conversation_started', '{{"sessionId": 1, "conversationId": 2, "x": {{"y": null}}}}')"#
            ),
            "23514",
        ),
    ] {
        assert_refused(&mut writer, &format!("{INSERT} {values}"), sqlstate, "");
    }
    assert_refused(
        &mut writer,
        &format!(
            "INSERT INTO eventlog.events (tenant_id, name, data, weight) VALUES ('{TENANT_A}', 'conversation_started', {good}, 5)"
        ),
        "42501",
        "weight is set by the log",
    );
    assert_refused(
        &mut writer,
        &format!(
            "INSERT INTO eventlog.events (tenant_id, name, data, actor) VALUES ('{TENANT_A}', 'conversation_started', {good}, repeat('a', 1000))"
        ),
        "22023",
        "actor is too long",
    );
}

/// A flag "this was checked" would stay up after an error; the list of checked rows does not.
#[test]
fn an_error_inside_log_event_leaves_no_way_for_a_bogus_insert() {
    let db = Db::new();
    let mut superuser = db.superuser();
    superuser
        .batch_execute(
            "CREATE TABLE public.tenants (id uuid PRIMARY KEY);
             SELECT eventlog.reference_tenants('public.tenants', 'foreign_key');
             CREATE FUNCTION public.fail() RETURNS trigger LANGUAGE plpgsql AS $$
                 BEGIN
                     IF NEW.actor = 'fail' THEN RAISE EXCEPTION 'no' USING ERRCODE = '22000'; END IF;
                     IF NEW.actor = 'sleep' THEN PERFORM pg_sleep(10); END IF;
                     RETURN NEW;
                 END $$;
             CREATE TRIGGER fail BEFORE INSERT ON eventlog.events FOR EACH ROW EXECUTE FUNCTION public.fail();",
        )
        .unwrap();
    let mut writer = db.connect_as("writer", TENANT_A);
    let good = r#"'{"sessionId": "s", "conversationId": "c"}'"#;
    let bogus = format!("{INSERT} ('{TENANT_A}', 'bogus', '{{}}')");
    let errors = [
        // The policy, the foreign key, a trigger of the user, a cancel.
        format!("SELECT eventlog.log_event('{TENANT_B}', 'conversation_started', {good})"),
        format!("SELECT eventlog.log_event(NULL, 'conversation_started', {good})"),
        format!("SELECT eventlog.log_event(NULL, 'conversation_started', {good}, actor => 'fail')"),
        format!(
            "SET statement_timeout = 100; SELECT eventlog.log_event(NULL, 'conversation_started', {good}, actor => 'sleep')"
        ),
    ];
    for error in &errors {
        writer.batch_execute(error).expect_err("refused");
        writer.batch_execute("SET statement_timeout = 0").unwrap();
        assert_refused(&mut writer, &bogus, "42704", "bogus");
        // In the same transaction, behind a savepoint, and with the very row that failed: retired
        // meanwhile, it must be checked anew.
        writer.batch_execute("BEGIN; SAVEPOINT s").unwrap();
        writer.batch_execute(error).expect_err("refused");
        writer.batch_execute("ROLLBACK TO s").unwrap();
        superuser.batch_execute("SELECT eventlog.retire_event('conversation_started')").unwrap();
        let same = format!(
            "INSERT INTO eventlog.events (tenant_id, name, data, subject) VALUES ('{TENANT_A}', 'conversation_started', {good}, 'c')"
        );
        assert_refused(&mut writer, &same, "42704", "retired");
        writer.batch_execute("ROLLBACK").unwrap();
        superuser
            .batch_execute(
                "SELECT eventlog.define_event('conversation_started', status => 'active')",
            )
            .unwrap();
    }
    assert_eq!(text(&mut superuser, "SELECT count(*) FROM eventlog.events"), "0");
    // try_log_event catches the error of the trigger, and leaves no way either.
    assert_eq!(
        text(
            &mut writer,
            &format!(
                "SELECT eventlog.try_log_event(NULL, 'conversation_started', {good}, actor => 'fail')"
            )
        ),
        "∅"
    );
    assert_refused(&mut writer, &bogus, "42704", "bogus");
}

#[test]
fn what_a_trigger_on_events_inserts_or_changes_is_guarded() {
    let db = Db::new();
    let mut superuser = db.superuser();
    superuser
        .batch_execute(&format!(
            r#"SELECT eventlog.define_event('ping');
            CREATE FUNCTION public.extra() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN
                    IF NEW.actor = 'bogus' THEN {INSERT} (NEW.tenant_id, 'bogus', '{{}}');
                    ELSIF NEW.actor = 'same' THEN {INSERT} (NEW.tenant_id, NEW.name, NEW.data);
                    ELSIF NEW.actor = 'nested' THEN PERFORM eventlog.log_event(NEW.tenant_id, 'ping', '{{"nested": true}}');
                    ELSIF NEW.actor = 'bad change' THEN NEW.name := 'bogus';
                    ELSIF NEW.actor = 'good change' THEN NEW.data := '{{"changed": true}}';
                    ELSIF NEW.actor = 'skip' THEN RETURN NULL;
                    END IF;
                    RETURN NEW;
                END $$;
            CREATE TRIGGER extra BEFORE INSERT ON eventlog.events FOR EACH ROW EXECUTE FUNCTION public.extra();"#
        ))
        .unwrap();
    for role in ["member", "log_owner"] {
        let mut client = db.connect_as(role, TENANT_A);
        let call = |actor: &str| {
            format!("SELECT eventlog.log_event(NULL, 'ping', '{{\"n\": 1}}', actor => '{actor}')")
        };
        let stored = |id: &str| format!("SELECT actor, data FROM eventlog.events WHERE id = {id}");
        if role == "member" {
            assert_refused(&mut client, &call("bogus"), "42704", "bogus");
            assert_refused(&mut client, &call("bad change"), "42704", "bogus");
        }
        for actor in ["plain", "same", "nested", "good change"] {
            let id = text(&mut client, &call(actor));
            let expected =
                if actor == "good change" { r#"{"changed": true}"# } else { r#"{"n": 1}"# };
            assert_eq!(
                rows(&mut client, &stored(&id)),
                [[actor, expected]],
                "the id is that row's, as {role}"
            );
        }
        assert_eq!(text(&mut client, &call("skip")), "∅");
    }
}

#[test]
fn a_writer_cannot_copy_nor_override_what_is_the_servers() {
    let db = Db::new();
    let mut writer = db.connect_as("writer", TENANT_A);
    let good = r#"'{"sessionId": "s", "conversationId": "c"}'"#;
    let refused = [
        "COPY eventlog.events (tenant_id, name, data) FROM STDIN".to_owned(),
        format!(
            "INSERT INTO eventlog.events (id, tenant_id, name, data) OVERRIDING SYSTEM VALUE VALUES (7, '{TENANT_A}', 'conversation_started', {good})"
        ),
        format!(
            "INSERT INTO eventlog.events (tenant_id, name, data, created_at) VALUES ('{TENANT_A}', 'conversation_started', {good}, now())"
        ),
        "SELECT nextval('eventlog.events_id_seq')".to_owned(),
        "SELECT setval('eventlog.events_id_seq', 1)".to_owned(),
        "SELECT * FROM eventlog.events".to_owned(),
    ];
    for sql in refused {
        let error = eventlog_tests::refused(&mut writer, &sql);
        assert!(["42501", "0A000"].contains(&error.code().code()), "{sql}: {error:?}");
    }
}

#[test]
fn a_plain_insert_is_held_to_the_rules_of_the_clock_of_labels_and_of_its_own_tenant() {
    let db = Db::new();
    db.superuser()
        .batch_execute(&format!("SELECT eventlog.set_tenant('{TENANT_B}', is_opted_out => true)"))
        .unwrap();
    let mut service = db.connect("service");
    let insert = "INSERT INTO eventlog.events (tenant_id, name, data, occurred_at, actor) VALUES";
    let data = r#"'{"toolName": "x"}'"#;
    for (values, sqlstate) in [
        (format!("('{TENANT_A}', 'tool_used', {data}, 'infinity', NULL)"), "22023"),
        (format!("('{TENANT_A}', 'tool_used', {data}, '-infinity', NULL)"), "22023"),
        (format!("('{TENANT_A}', 'tool_used', {data}, now() + interval '1 day', NULL)"), "23514"),
        (format!("('{TENANT_A}', 'tool_used', {data}, NULL, '')"), "23514"),
        (format!("('{TENANT_B}', 'tool_used', {data}, NULL, NULL)"), "23514"),
    ] {
        assert_refused(&mut service, &format!("{insert} {values}"), sqlstate, "");
    }
    service
        .batch_execute(&format!(
            "{insert} ('{TENANT_A}', 'tool_used', {data}, now() - interval '1 day', 'a')"
        ))
        .unwrap();
    assert_eq!(text(&mut db.superuser(), "SELECT count(*) FROM eventlog.events"), "1");
}
