//! What the session prefers changes nothing that is stored.

use eventlog_tests::{Db, TENANT_A, rows};
use postgres::Client;

/// Settings that change how PostgreSQL reads and writes text, plans, or runs transactions.
const HOSTILE: &[&str] = &[
    "SET timezone = 'Asia/Kolkata'; SET datestyle = 'SQL, DMY'",
    "SET timezone = 'America/St_Johns'; SET datestyle = 'German'; SET intervalstyle = 'sql_standard'",
    "SET quote_all_identifiers = on; SET search_path = ''; SET extra_float_digits = -15",
    "SET bytea_output = 'escape'; SET row_security = off; SET jit_above_cost = 0; SET jit = on",
    "SET standard_conforming_strings = off; SET escape_string_warning = off; SET backslash_quote = on",
    "SET session_replication_role = replica",
    "SET default_transaction_isolation = 'serializable'; SET default_transaction_deferrable = on",
];

/// What there is after a log was made, filled by an import, maintained and thinned in such a session.
fn stored(setting: &str) -> Vec<Vec<String>> {
    let db = Db::empty();
    let mut client = db.superuser();
    client.batch_execute(setting).unwrap();
    for sql in [
        "CREATE EXTENSION eventlog",
        "SELECT eventlog.create_log(owner => 'log_owner', partition_interval => '1 day', premake => '3 days')",
        "SELECT eventlog.define_event('ping', duration_key => 'ms')",
        "CREATE TABLE public.old AS SELECT n::bigint AS id, ('aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaa' || n % 2)::uuid AS tenant_id,
            'ping'::text AS name, pg_catalog.jsonb_build_object('ms', n * 1.5) AS data, 'user-' || n % 5 AS actor,
            pg_catalog.date_trunc('day', now(), 'UTC') - n * interval '7 hours' AS created_at FROM pg_catalog.generate_series(1, 60) n",
        "GRANT SELECT ON public.old TO log_owner",
        "SELECT eventlog.import_events('public.old')",
        "CALL eventlog.maintain()",
        "CALL eventlog.forget_actor('aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaa0', 'user-2')",
        "CALL eventlog.forget_tenant('aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaa1')",
        "SELECT eventlog.create_log()",
        "CALL eventlog.maintain()",
    ] {
        client.batch_execute(sql).unwrap_or_else(|error| panic!("{setting}\n{sql}\n{error:?}"));
    }
    drop(client);
    read(&mut db.superuser())
}

fn read(client: &mut Client) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for sql in [
        "SELECT c.relname, pg_get_expr(c.relpartbound, c.oid), obj_description(c.oid) FROM pg_class c WHERE c.relispartition AND c.relkind = 'r' ORDER BY 1",
        "SELECT conrelid::regclass, conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'eventlog'::regnamespace ORDER BY 1, 2",
        "SELECT id, tenant_id, name, data, actor, created_at FROM eventlog.events ORDER BY id",
        "SELECT * FROM eventlog.daily_counts ORDER BY 1, 2, 3",
        "SELECT * FROM eventlog.monthly_actors ORDER BY 1, 2, 3, 4",
        "SELECT kind, tenant_id, erased, to_analyze FROM eventlog.erasures ORDER BY 1",
        "SELECT outcome, failures FROM eventlog.maintenance_runs ORDER BY id",
        "SELECT partition_interval, retention, premake FROM eventlog.log_config",
    ] {
        found.push(vec![sql.to_owned()]);
        found.extend(rows(client, sql));
    }
    found
}

#[test]
fn any_session_is_told_the_same_reports() {
    let db = Db::new();
    let list = |setting: &str| {
        let mut client = db.superuser();
        client.batch_execute(setting).unwrap();
        rows(&mut client, "SELECT * FROM eventlog.reports()")
    };
    let plain = list("");
    assert!(plain.len() >= 19);
    for setting in HOSTILE {
        assert_eq!(list(setting), plain, "{setting}");
    }
}

#[test]
fn a_log_made_and_kept_in_any_session_holds_the_same() {
    let plain = stored("SET timezone = 'UTC'");
    assert!(plain.iter().flatten().any(|value| value.contains(&TENANT_A[..8])));
    for setting in HOSTILE {
        let found = stored(setting);
        for (found, plain) in found.iter().zip(&plain) {
            assert_eq!(found, plain, "{setting}");
        }
        assert_eq!(found.len(), plain.len(), "{setting}");
    }
}
