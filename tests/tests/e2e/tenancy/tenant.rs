//! Whose tenant a connection is: none is an error, never everything.

use eventlog_tests::{Db, TENANT_A, TENANT_B, assert_refused, db, rows, text};

fn filled() -> Db {
    let db = Db::new();
    let mut owner = db.superuser();
    owner
        .batch_execute(&format!(
            "SELECT eventlog.define_event('ping');
             SELECT eventlog.log_event(CASE WHEN g % 20 = 0 THEN '{TENANT_A}'::uuid ELSE gen_random_uuid() END, 'ping')
               FROM generate_series(1, 20000) g;
             ANALYZE eventlog.events"
        ))
        .expect("a superuser may");
    db
}

/// Everything a connection may try reading and writing with.
fn assert_no_tenant(client: &mut postgres::Client, message: &str) {
    for sql in [
        "SELECT eventlog.current_tenant()",
        "SELECT count(*) FROM eventlog.events",
        "SELECT count(*) FROM eventlog.rejected_events",
        "SELECT eventlog.log_event(NULL, 'ping')",
    ] {
        assert_refused(client, sql, "42501", message);
    }
    let explicit = format!("SELECT eventlog.log_event('{TENANT_A}', 'ping')");
    assert_refused(client, &explicit, "42501", message);
    let insert =
        format!("INSERT INTO eventlog.events (tenant_id, name) VALUES ('{TENANT_A}', 'ping')");
    assert_refused(client, &insert, "42501", message);
}

#[test]
fn a_setting_that_is_unset_empty_or_malformed_is_no_tenant() {
    let db = filled();
    let mut member = db.connect("member");
    assert_no_tenant(&mut member, "eventlog.tenant_id is not set");
    member.batch_execute("SET eventlog.tenant_id = ''").unwrap();
    assert_no_tenant(&mut member, "eventlog.tenant_id is not set");
    for malformed in [
        "x",
        "0",
        "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaa",
        "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa0",
        "%",
        "{}",
        "--",
    ] {
        member.batch_execute(&format!("SET eventlog.tenant_id = '{malformed}'")).unwrap();
        assert_no_tenant(&mut member, "eventlog.tenant_id is not a uuid");
    }
    member.batch_execute(&format!("BEGIN; SET LOCAL eventlog.tenant_id = '{TENANT_A}'")).unwrap();
    assert_eq!(text(&mut member, "SELECT count(*) FROM eventlog.events"), "1000");
    member.batch_execute("COMMIT; RESET eventlog.tenant_id").unwrap();
    assert_no_tenant(&mut member, "eventlog.tenant_id is not set");
    // PostgreSQL's own spellings of a uuid are the same tenant.
    for spelling in [
        TENANT_A.to_uppercase(),
        TENANT_A.replace('-', ""),
        format!("{{{TENANT_A}}}"),
        "aaaa-aaaa-aaaa-4aaa-8aaa-aaaa-aaaa-aaaa".to_owned(),
    ] {
        member.batch_execute(&format!("SET eventlog.tenant_id = '{spelling}'")).unwrap();
        assert_eq!(
            text(&mut member, &format!("SELECT eventlog.current_tenant() = '{spelling}'::uuid")),
            "t"
        );
        assert_eq!(text(&mut member, "SELECT eventlog.current_tenant()"), TENANT_A);
    }
}

#[test]
fn a_tenant_set_before_the_library_is_loaded_counts() {
    let db = filled();
    let mut member = db::shared()
        .config(&db.name, "member")
        .options(&format!("-c eventlog.tenant_id={TENANT_A}"))
        .connect(postgres::NoTls)
        .unwrap();
    assert_eq!(text(&mut member, "SELECT count(*) FROM eventlog.events"), "1000");
    let mut member = db.connect("member");
    member.batch_execute("SET eventlog.tenant_id = 'nonsense'").unwrap();
    assert_no_tenant(&mut member, "not a uuid");
}

#[test]
fn a_token_without_the_claim_is_no_tenant() {
    let db = filled();
    let mut superuser = db.superuser();
    superuser
        .batch_execute(&format!("ALTER DATABASE {} SET eventlog.tenant_source = jwt", db.name))
        .unwrap();
    let mut member = db.connect_as("member", TENANT_A);
    assert_no_tenant(&mut member, "request.jwt.claims is not set");
    for claims in [
        "",
        "{",
        "[]",
        "1",
        "null",
        r#"{"sub": "x"}"#,
        r#"{"tenant_id": null}"#,
        r#"{"tenant_id": "x"}"#,
        r#"{"tenant_id": {"a": 1}}"#,
        r#"{"tenant_id": 12}"#,
    ] {
        member.batch_execute(&format!("SET request.jwt.claims = '{claims}'")).unwrap();
        assert_no_tenant(&mut member, "request.jwt.claims");
    }
    member
        .batch_execute(&format!(
            r#"SET request.jwt.claims = '{{"role": "x", "tenant_id": "{TENANT_A}"}}'"#
        ))
        .unwrap();
    assert_eq!(text(&mut member, "SELECT count(*) FROM eventlog.events"), "1000");
    member
        .batch_execute(&format!(r#"SET request.jwt.claims = '{{"tenant_id": "{TENANT_B}"}}'"#))
        .unwrap();
    assert_eq!(text(&mut member, "SELECT count(*) FROM eventlog.events"), "0");
    superuser
        .batch_execute(&format!(
            "ALTER DATABASE {} SET eventlog.tenant_claim = 'app_metadata.tenant'",
            db.name
        ))
        .unwrap();
    let mut member = db.connect("member");
    member
        .batch_execute(&format!(
            r#"SET request.jwt.claims = '{{"app_metadata": {{"tenant": "{TENANT_A}"}}}}'"#
        ))
        .unwrap();
    assert_eq!(text(&mut member, "SELECT count(*) FROM eventlog.events"), "1000");
}

#[test]
fn a_role_without_a_row_or_dropped_is_no_tenant() {
    let db = filled();
    let mut superuser = db.superuser();
    superuser
        .batch_execute(&format!(
            "ALTER DATABASE {} SET eventlog.tenant_source = role;
             CREATE ROLE passing LOGIN; SELECT eventlog.grant_writer('passing'), eventlog.grant_reader('passing')",
            db.name
        ))
        .unwrap();
    let mut passing = db.connect_as("passing", TENANT_A);
    assert_no_tenant(&mut passing, "tenant_roles has no row for role \"passing\"");
    superuser
        .batch_execute(&format!(
            "INSERT INTO eventlog.tenant_roles VALUES ('passing', '{TENANT_A}')"
        ))
        .unwrap();
    assert_eq!(text(&mut passing, "SELECT count(*) FROM eventlog.events"), "1000");
    superuser
        .batch_execute("UPDATE eventlog.tenant_roles SET tenant_id = gen_random_uuid()")
        .unwrap();
    assert_eq!(text(&mut passing, "SELECT count(*) FROM eventlog.events"), "0");
    assert_refused(
        &mut passing,
        "UPDATE eventlog.tenant_roles SET tenant_id = NULL",
        "42501",
        "permission denied",
    );
    superuser.batch_execute("SELECT eventlog.revoke_role('passing'); DROP ROLE passing").unwrap();
    for sql in ["SELECT eventlog.current_tenant()", "SELECT count(*) FROM eventlog.events"] {
        assert_refused(&mut passing, sql, "42501", "");
    }
}

#[test]
fn a_tenants_query_uses_the_tenants_index_and_may_run_in_parallel() {
    let db = filled();
    let mut superuser = db.superuser();
    superuser
        .batch_execute(&format!(
            "INSERT INTO eventlog.tenant_roles VALUES ('member', '{TENANT_A}')"
        ))
        .unwrap();
    for source in ["setting", "jwt", "role"] {
        superuser
            .batch_execute(&format!(
                "ALTER DATABASE {} SET eventlog.tenant_source = {source}",
                db.name
            ))
            .unwrap();
        let mut member = db.connect_as("member", TENANT_A);
        member
            .batch_execute(&format!(r#"SET request.jwt.claims = '{{"tenant_id": "{TENANT_A}"}}'"#))
            .unwrap();
        let mut plan = |sql: &str| rows(&mut member, sql).concat().join("\n");
        let explained = plan(
            "EXPLAIN SELECT * FROM eventlog.events WHERE name = 'ping' AND created_at > now() - interval '1 hour'",
        );
        assert!(explained.contains("tenant_id") && explained.contains("Index"), "{explained}");
        let explained =
            plan("EXPLAIN SELECT * FROM eventlog.events ORDER BY created_at DESC LIMIT 10");
        assert!(
            explained.contains("Index Cond: (tenant_id = eventlog.current_tenant())"),
            "{explained}"
        );
        let forced = "SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
                      SET min_parallel_index_scan_size = 0; SET max_parallel_workers_per_gather = 2;
                      SET enable_indexscan = off; SET enable_indexonlyscan = off; SET enable_bitmapscan = off;";
        let explained = plan(&format!(
            "{forced} EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) SELECT count(*) FROM eventlog.events"
        ));
        assert!(
            explained.contains("Workers Launched") && explained.contains("Parallel Seq Scan"),
            "{explained}"
        );
        assert_eq!(plan("SELECT count(*) FROM eventlog.events"), "1000");
    }
}
