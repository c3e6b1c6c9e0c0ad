//! A tenant sees and verifies its own seals, and nothing of others.

use eventlog_tests::{Db, TENANT_A, TENANT_B, assert_refused, rows, text};

use super::log::sealed;
use super::verdicts::{ALL, wrong};

const TABLES: &[&str] = &["seals", "seal_blocks", "seal_receipts", "unsealed_events"];

/// Puts a note of a late event of each tenant that waits for its supplement.
fn with_unsealed(db: &Db) {
    db.superuser()
        .batch_execute(
            "INSERT INTO eventlog.unsealed_events SELECT DISTINCT ON (tenant_id) tenant_id, id, created_at FROM eventlog.events",
        )
        .unwrap();
}

#[test]
fn a_tenant_sees_its_own_seals_and_nothing_of_others() {
    let db = sealed();
    with_unsealed(&db);
    let mut superuser = db.superuser();
    for tenant in [TENANT_A, TENANT_B] {
        let mut member = db.connect_as("member", tenant);
        for table in TABLES {
            let all = format!("SELECT count(*) FROM eventlog.{table} WHERE tenant_id = '{tenant}'");
            let own = text(&mut superuser, &all);
            assert_ne!(own, "0", "{table}");
            let sql = format!("SELECT count(*) FROM eventlog.{table}");
            assert_eq!(text(&mut member, &sql), own, "{table}");
            assert_refused(&mut member, &format!("DELETE FROM eventlog.{table}"), "42501", "");
        }
        let digests = "SELECT count(*), min(number), max(number) FROM eventlog.seal_digests";
        assert_eq!(rows(&mut member, digests), rows(&mut superuser, digests));
        assert_refused(&mut member, "DELETE FROM eventlog.seal_digests", "42501", "");
    }
    // Without a tenant nothing is seen.
    let mut member = db.connect("member");
    for table in TABLES {
        let sql = format!("SELECT count(*) FROM eventlog.{table}");
        match member.simple_query(&sql) {
            Ok(_) => assert_eq!(text(&mut member, &sql), "0", "{table}"),
            Err(error) => {
                assert_eq!(error.code().map(|code| code.code()), Some("42501"), "{table}");
            }
        }
    }
    let mut outsider = db.connect("outsider");
    for table in TABLES.iter().chain(&["seal_digests"]) {
        assert_refused(&mut outsider, &format!("TABLE eventlog.{table}"), "42501", "");
    }
}

#[test]
fn a_tenant_verifies_its_own_seals_and_is_refused_those_of_others() {
    let db = sealed();
    let mut superuser = db.superuser();
    for (tenant, other) in [(TENANT_A, TENANT_B), (TENANT_B, TENANT_A)] {
        let mut member = db.connect_as("member", tenant);
        assert!(wrong(&mut member, tenant).is_empty());
        let own = format!("SELECT * FROM eventlog.verify_seals('{tenant}') ORDER BY number");
        let seen = rows(&mut member, &own);
        assert_eq!(seen, rows(&mut superuser, &own));
        assert!(!seen.is_empty());
        for call in ["verify_seals", "seal_proofs"] {
            let is_other = "is not the tenant of this connection";
            let of_other = format!("SELECT * FROM eventlog.{call}('{other}')");
            assert_refused(&mut member, &of_other, "42501", is_other);
            let of_all = format!("SELECT * FROM eventlog.{call}(eventlog.all_tenants())");
            assert_refused(&mut member, &of_all, "42501", "all tenants");
        }
        let proofs = text(
            &mut member,
            &format!("SELECT string_agg(p::text, '') FROM eventlog.seal_proofs('{tenant}') p"),
        );
        assert!(proofs.contains(tenant) && !proofs.contains(other));
    }
    assert!(wrong(&mut superuser, ALL).is_empty());
}

#[test]
fn a_proof_is_given_of_an_own_event_and_that_of_another_tenant_is_as_if_there_were_none() {
    let db = sealed();
    let mut superuser = db.superuser();
    let id = |superuser: &mut postgres::Client, tenant: &str| {
        let sql = format!(
            "SELECT id FROM eventlog.events WHERE tenant_id = '{tenant}' ORDER BY id LIMIT 1"
        );
        text(superuser, &sql)
    };
    let (own, other) = (id(&mut superuser, TENANT_A), id(&mut superuser, TENANT_B));
    let mut member = db.connect_as("member", TENANT_A);
    let proof = |id: &str| format!("SELECT eventlog.event_proof({id})");
    let given = text(&mut member, &proof(&own));
    assert!(given.contains(TENANT_A) && !given.contains(TENANT_B), "{given}");
    assert_eq!(given, text(&mut superuser, &proof(&own)));
    // The same answer as for an id that no event has.
    let answer = |member: &mut postgres::Client, id: &str| match member.simple_query(&proof(id)) {
        Ok(_) => text(member, &proof(id)),
        Err(error) => {
            let error = eventlog_tests::ask::db_error(error, id);
            format!("{} {}", error.code().code(), error.message().replace(id, "ID"))
        }
    };
    assert_eq!(answer(&mut member, &other), answer(&mut member, "999999999"));
}
