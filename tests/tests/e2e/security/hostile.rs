//! What a writer may try: settings, search paths, planted objects, other identities.

use eventlog_tests::{Db, TENANT_A, TENANT_B, assert_refused, db, rows, text};
use postgres::Client;

/// The rules hold and nothing but the rules: a good event goes in, bad ones and other tenants'
/// do not, nor are they seen.
fn assert_the_log_holds(client: &mut Client) {
    client.batch_execute("SAVEPOINT holds").ok();
    text(client, &format!("SELECT eventlog.log_event('{TENANT_A}', 'ping', '{{\"a\": null}}')"));
    for (sql, sqlstate) in [
        (format!("SELECT eventlog.log_event('{TENANT_A}', 'bogus')"), "42704"),
        (format!("SELECT eventlog.log_event('{TENANT_B}', 'ping')"), "42501"),
        (
            format!("INSERT INTO eventlog.events (tenant_id, name) VALUES ('{TENANT_A}', 'bogus')"),
            "42704",
        ),
        (
            format!("INSERT INTO eventlog.events (tenant_id, name) VALUES ('{TENANT_B}', 'ping')"),
            "42501",
        ),
    ] {
        assert_refused(client, &sql, sqlstate, "");
    }
    assert_eq!(
        text(
            client,
            &format!(
                "SELECT count(*) FROM eventlog.events WHERE tenant_id OPERATOR(pg_catalog.<>) '{TENANT_A}'"
            )
        ),
        "0"
    );
    assert_eq!(
        text(
            client,
            "SELECT pg_catalog.count(*) FROM eventlog.events WHERE data OPERATOR(pg_catalog.<>) '{}'"
        ),
        "0"
    );
}

fn filled() -> Db {
    let db = Db::new();
    let mut superuser = db.superuser();
    superuser
        .batch_execute(&format!(
            "SELECT eventlog.define_event('ping'); SELECT eventlog.log_event('{TENANT_B}', 'ping');
             GRANT ALL ON SCHEMA public TO PUBLIC; GRANT TEMPORARY ON DATABASE {} TO PUBLIC",
            db.name
        ))
        .unwrap();
    db
}

#[test]
fn planted_objects_and_a_hostile_search_path_change_nothing() {
    let db = filled();
    let mut member = db.connect_as("member", TENANT_A);
    let everywhere = |schema: &str| {
        format!(
            "CREATE FUNCTION {schema}.always(uuid, uuid) RETURNS boolean LANGUAGE sql AS 'SELECT true';
             CREATE FUNCTION {schema}.always(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT true';
             CREATE OPERATOR {schema}.= (LEFTARG = uuid, RIGHTARG = uuid, FUNCTION = {schema}.always);
             CREATE OPERATOR {schema}.= (LEFTARG = text, RIGHTARG = text, FUNCTION = {schema}.always);
             CREATE OPERATOR {schema}.<> (LEFTARG = uuid, RIGHTARG = uuid, FUNCTION = {schema}.always);
             CREATE FUNCTION {schema}.now() RETURNS timestamptz LANGUAGE sql AS $$ SELECT '2000-01-01'::timestamptz $$;
             CREATE FUNCTION {schema}.current_tenant() RETURNS uuid LANGUAGE sql AS $$ SELECT '{TENANT_B}'::uuid $$;
             CREATE FUNCTION {schema}.guard(bigint, text, jsonb, text, text, real) RETURNS boolean LANGUAGE sql AS 'SELECT true';
             CREATE FUNCTION {schema}.guard(bigint, text, jsonb, text, text, real, timestamptz, uuid) RETURNS boolean LANGUAGE sql AS 'SELECT true';
             CREATE FUNCTION {schema}.octet_length(text) RETURNS integer LANGUAGE sql AS 'SELECT 1/0';
             CREATE FUNCTION {schema}.to_regclass(text) RETURNS regclass LANGUAGE sql AS 'SELECT NULL::regclass';"
        )
    };
    member.batch_execute(&everywhere("public")).unwrap();
    member.batch_execute(&everywhere("pg_temp")).unwrap();
    for table in [
        "events",
        "event_types",
        "tenant_roles",
        "rejected_events",
        "log_config",
        "pg_class",
        "_partitions",
    ] {
        member
            .batch_execute(&format!("CREATE TEMP TABLE {table} (name text, status text, oid oid)"))
            .unwrap();
    }
    for path in [
        "''",
        "public, pg_catalog",
        "pg_temp, public, pg_catalog, eventlog",
        "eventlog, pg_catalog",
        "nowhere",
    ] {
        member.batch_execute(&format!("SET search_path = {path}")).unwrap();
        assert_the_log_holds(&mut member);
        text(&mut member, "SELECT eventlog.try_log_event(NULL, 'bogus', '{\"a\": 1}')");
    }
    // So it does where the registry is loaded, and a partition is made, under that path.
    let mut superuser = db.superuser();
    superuser
        .batch_execute(
            "DO $$ DECLARE p record; BEGIN FOR p IN SELECT partition_name FROM eventlog._partitions LOOP
                EXECUTE format('DROP TABLE eventlog.%I', p.partition_name); END LOOP; END $$",
        )
        .unwrap();
    let mut fresh = db.connect("member");
    fresh.batch_execute(&everywhere("pg_temp")).unwrap();
    fresh.batch_execute("CREATE TEMP TABLE log_config (partition_interval interval); SET search_path = pg_temp, public, pg_catalog").unwrap();
    fresh.batch_execute(&format!("SET eventlog.tenant_id = '{TENANT_A}'")).unwrap();
    assert_the_log_holds(&mut fresh);
    let named =
        text(&mut superuser, "SELECT string_agg(partition_name, ',') FROM eventlog._partitions");
    assert!(named.starts_with("events_p20") && !named.contains("2000"), "{named}");
}

#[test]
fn no_setting_but_the_tenant_can_be_changed_by_a_connection() {
    let db = filled();
    let mut superuser = db.superuser();
    superuser.batch_execute("LOAD 'eventlog'").unwrap();
    let settings = rows(
        &mut superuser,
        "SELECT name, vartype, boot_val, context FROM pg_settings WHERE name LIKE 'eventlog.%' ORDER BY 1",
    );
    assert!(settings.len() >= 6, "{settings:?}");
    for setting in &settings {
        let (name, vartype, default) = (&setting[0], setting[1].as_str(), &setting[2]);
        if name == "eventlog.tenant_id" {
            continue;
        }
        assert_ne!(setting[3], "user", "{name} is for everybody");
        let other = match (vartype, name.as_str()) {
            ("bool", _) => {
                if default == "on" {
                    "off"
                } else {
                    "on"
                }
            }
            ("integer", _) => "7",
            (_, "eventlog.tenant_source") => "jwt",
            (_, "eventlog.on_unknown_name") => "register",
            _ => "other",
        };
        let show = format!("SHOW {name}");
        // What only a reload changes is refused for that reason, once the library is loaded.
        let (sqlstate, message) = if setting[3] == "sighup" {
            ("55P02", "cannot be changed now")
        } else {
            ("42501", "permission denied")
        };
        // By SET, before the library is loaded and after.
        let mut member = db.connect("member");
        member.batch_execute(&format!("SET {name} = '{other}'")).ok();
        member.batch_execute(&format!("SET eventlog.tenant_id = '{TENANT_A}'")).unwrap();
        assert_the_log_holds(&mut member);
        assert_ne!(text(&mut member, &show), other);
        assert_refused(&mut member, &format!("SET {name} = '{other}'"), sqlstate, message);
        assert_refused(
            &mut member,
            &format!("SELECT set_config('{name}', '{other}', true)"),
            sqlstate,
            message,
        );
        // By the options of the connection.
        let mut member = db::shared()
            .config(&db.name, "member")
            .options(&format!("-c {name}={other} -c eventlog.tenant_id={TENANT_A}"))
            .connect(postgres::NoTls)
            .unwrap();
        assert_the_log_holds(&mut member);
        assert_ne!(text(&mut member, &show), other);
        // By ALTER ROLE, with the library loaded and without.
        let alter = format!("ALTER ROLE member SET {name} = '{other}'");
        for (load, sqlstate, message) in [
            ("SELECT 1", "42501", "permission denied"),
            ("SELECT eventlog.current_tenant()", sqlstate, message),
        ] {
            let mut member = db.connect_as("member", TENANT_A);
            member.batch_execute(load).unwrap();
            assert_refused(&mut member, &alter, sqlstate, message);
        }
        let mut member = db.connect_as("member", TENANT_A);
        assert_the_log_holds(&mut member);
        assert_ne!(text(&mut member, &show), other);
    }
}

#[test]
fn no_identity_within_reach_gets_around() {
    let db = filled();
    let mut member = db.connect_as("member", TENANT_A);
    assert_refused(&mut member, "SET ROLE log_owner", "42501", "");
    assert_refused(&mut member, "SET SESSION AUTHORIZATION log_owner", "42501", "");
    member.batch_execute("SET row_security = off").unwrap();
    assert_refused(&mut member, "SELECT * FROM eventlog.events", "42501", "row-level security");
    assert_refused(
        &mut member,
        &format!("SELECT eventlog.log_event('{TENANT_A}', 'ping')"),
        "42501",
        "row-level security",
    );
    member.batch_execute("SET row_security = on").unwrap();

    // A superuser's connection that has become another role is that role, each time anew.
    let mut superuser = db.superuser();
    superuser.batch_execute(&format!("SET eventlog.tenant_id = '{TENANT_A}'; PREPARE log(uuid, text) AS SELECT eventlog.log_event($1, $2)")).unwrap();
    for _ in 0..10 {
        for (role, sees) in [
            ("member", true),
            ("writer", false),
            ("log_owner", true),
            ("service", true),
            ("outsider", false),
        ] {
            superuser.batch_execute(&format!("SET ROLE {role}")).unwrap();
            match role {
                "outsider" => assert_refused(
                    &mut superuser,
                    &format!("EXECUTE log('{TENANT_A}', 'ping')"),
                    "42501",
                    "",
                ),
                _ => drop(text(&mut superuser, &format!("EXECUTE log('{TENANT_A}', 'ping')"))),
            }
            if role == "member" || role == "writer" {
                assert_refused(
                    &mut superuser,
                    &format!("EXECUTE log('{TENANT_B}', 'ping')"),
                    "42501",
                    "this connection",
                );
            }
            match superuser.simple_query("SELECT count(DISTINCT tenant_id) FROM eventlog.events") {
                Ok(_) => assert!(sees, "{role}"),
                Err(_) => assert!(!sees, "{role}"),
            }
            superuser.batch_execute("RESET ROLE").unwrap();
        }
    }
    superuser.batch_execute("SET SESSION AUTHORIZATION member").unwrap();
    assert_the_log_holds(&mut superuser);
}

#[test]
fn a_role_without_rights_has_nothing_done_on_its_behalf() {
    let db = filled();
    let mut superuser = db.superuser();
    superuser.batch_execute("GRANT USAGE ON SCHEMA eventlog TO outsider").unwrap();
    let mut outsider = db.connect_as("outsider", TENANT_A);
    assert_refused(
        &mut outsider,
        "SELECT eventlog.log_event(NULL, 'ping')",
        "42501",
        "permission denied",
    );
    assert_eq!(text(&mut outsider, "SELECT eventlog.try_log_event(NULL, 'bogus')"), "∅");
    assert_eq!(text(&mut outsider, "SELECT eventlog.try_log_event(NULL, 'ping')"), "∅");
    assert_eq!(text(&mut superuser, "SELECT count(*) FROM eventlog.rejected_events"), "0");
    let mut reader = db.connect_as("reader", TENANT_A);
    assert_refused(
        &mut reader,
        "SELECT eventlog.log_event(NULL, 'ping')",
        "42501",
        "permission denied to log events",
    );
}

#[test]
fn a_database_that_is_not_utf8_is_refused_at_create_extension() {
    let cluster = db::shared();
    let mut superuser = cluster.connect("postgres", "postgres");
    superuser
        .batch_execute("CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'")
        .unwrap();
    let mut latin = cluster.connect("latin", "postgres");
    let error = eventlog_tests::refused(&mut latin, "CREATE EXTENSION eventlog");
    assert_eq!(error.code().code(), "0A000");
    assert!(
        error.message().contains("LATIN1") && error.hint().unwrap().contains("ENCODING 'UTF8'"),
        "{error:?}"
    );
    drop(latin);
    superuser.batch_execute("DROP DATABASE latin WITH (FORCE)").unwrap();
}
