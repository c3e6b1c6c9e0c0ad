//! Seals stay valid, with the same roots, through a dump and `pg_upgrade`.

use eventlog_tests::cluster::run;
use eventlog_tests::{Cluster, Server, db, rows};
use postgres::Client;

use super::log;
use super::stored::assert_computed;
use super::verdicts::assert_valid;

/// All that seals are, as text.
fn kept(client: &mut Client) -> Vec<Vec<String>> {
    ["seals", "seal_blocks", "seal_receipts", "seal_digests", "unsealed_events", "seal_state"]
        .iter()
        .flat_map(|table| {
            rows(client, &format!("SELECT t::text FROM eventlog.{table} t ORDER BY 1"))
        })
        .collect()
}

/// Asserts that the log is as it was, valid, and sealed on.
fn assert_carried(cluster: &Cluster, before: &[Vec<String>], how: &str) {
    let mut owner = cluster.connect("app", "log_owner");
    assert_eq!(kept(&mut cluster.connect("app", "postgres")), before, "{how}");
    assert_valid(&mut owner, how);
    assert_computed(&mut cluster.connect("app", "postgres"));
    owner
        .batch_execute(&format!(
            "INSERT INTO eventlog.events (tenant_id, name, data, created_at)
             SELECT '{}', 'a', '{{\"late\": 1.50}}', '2020-03-30 12:00+00' FROM generate_series(1, 7)",
            log::TENANT_C
        ))
        .unwrap();
    log::seal(&mut owner);
    assert_valid(&mut owner, how);
    assert_computed(&mut cluster.connect("app", "postgres"));
}

#[test]
fn a_dump_that_is_restored_has_the_same_seals_and_they_are_valid() {
    let source = Cluster::start(&[]);
    log::fill_cluster(&source);
    let mut superuser = source.connect("app", "postgres");
    let before = kept(&mut superuser);
    assert_computed(&mut superuser);
    let target = Cluster::start(&[]);
    db::create_roles(&target);
    target
        .connect("postgres", "postgres")
        .batch_execute("CREATE DATABASE app OWNER log_owner")
        .unwrap();
    let dump = run(source.client("pg_dump").arg("app"));
    target.psql("app", "postgres", &dump).unwrap_or_else(|error| panic!("{error}"));
    assert_carried(&target, &before, "after a dump");
}

#[test]
fn pg_upgrade_keeps_the_seals_and_they_are_valid() {
    // From the same version too, which pg_upgrade takes.
    for server in Server::older().iter().chain([Server::under_test()]) {
        let source = Cluster::start_on(server, &[]);
        log::fill_cluster(&source);
        let before = kept(&mut source.connect("app", "postgres"));
        let upgraded = source.upgrade_to(Server::under_test());
        assert_carried(&upgraded, &before, &format!("from {}", server.major()));
    }
}
