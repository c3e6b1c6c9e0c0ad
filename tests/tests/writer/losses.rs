//! Events that a full queue loses, and the events that tell of them.

use eventlog_tests::{Cluster, TENANT_A, TENANT_B, rows};
use eventlog_writer::WhenFull;
use eventlog_writer::sync::Writer;

use crate::common::{LONG, numbered, numbers, options, own_cluster, tenant};

const DEFINE: &str =
    "SELECT eventlog.define_event('writer_events_lost', required_keys => '{count,from,until}')";

/// Whom the log tells of how many.
fn told(cluster: &Cluster) -> Vec<Vec<String>> {
    let sql = "SELECT tenant_id, sum((data ->> 'count')::bigint),
                      bool_and((data ->> 'from')::numeric <= (data ->> 'until')::numeric)
                 FROM eventlog.events WHERE name = 'writer_events_lost' GROUP BY tenant_id ORDER BY tenant_id";
    rows(&mut cluster.connect("app", "postgres"), sql)
}

#[test]
fn each_tenant_is_told_of_what_it_lost_and_of_nothing_else() {
    let cluster = own_cluster();
    cluster.connect("app", "log_owner").batch_execute(DEFINE).unwrap();
    cluster.stop();
    let options = options().queue(100, 1 << 20).batch_events(10);
    let writer = Writer::connect(cluster.config("app", "service"), options);
    let [a, b] = [TENANT_A, TENANT_B].map(|tenant| tenant.parse().unwrap());
    for n in 1..=100 {
        assert!(writer.log(numbered(n)));
    }
    // The last one that is lost is no measure for the others.
    for n in 1..=70 {
        assert!(!writer.log(numbered(n).tenant(if n % 10 == 0 { b } else { a })));
    }
    cluster.start_again();
    let stats = writer.close(LONG).stats;
    assert_eq!((stats.submitted, stats.written, stats.dropped), (172, 102, 70), "{stats}");
    let expected =
        [[a.to_string(), "63".into(), "t".into()], [b.to_string(), "7".into(), "t".into()]];
    assert_eq!(told(&cluster), expected);
    assert_eq!(numbers(&mut cluster.connect("app", "postgres")).len(), 100);
}

#[test]
fn losses_that_go_on_are_told_of_in_full_and_in_few_events() {
    let cluster = own_cluster();
    cluster.connect("app", "log_owner").batch_execute(DEFINE).unwrap();
    let options = options().queue(20, 1 << 20).batch_events(5);
    let writer = Writer::connect(cluster.config("app", "service"), options);
    let mut taken = 0;
    let mut n = 0;
    // Until there were a hundred batches, none of which found the queue empty.
    while taken < 500 {
        n += 1;
        taken += u64::from(writer.log(numbered(n)));
    }
    let stats = writer.close(LONG).stats;
    let notes = stats.submitted - n;
    assert_eq!(stats.written, taken + notes, "{stats}");
    assert!(notes >= 1 && notes < taken / 10, "{notes} notes beside {taken} events");
    assert_eq!(told(&cluster), [[tenant().to_string(), stats.dropped.to_string(), "t".into()]]);
}

#[test]
fn a_full_queue_drops_as_it_is_told_and_says_how_many_once_the_path_is_open_again() {
    for when_full in [WhenFull::DropNewest, WhenFull::DropOldest] {
        let cluster = own_cluster();
        cluster
            .connect("app", "log_owner")
            .batch_execute("SELECT eventlog.define_event('writer_events_lost', required_keys => '{count,from,until}')")
            .unwrap();
        cluster.stop();
        let options = options().queue(100, 1 << 20).batch_events(10).when_full(when_full);
        let writer = Writer::connect(cluster.config("app", "service"), options);
        let mut taken = 0;
        for n in 1..=1_000 {
            taken += u64::from(writer.log(numbered(n)));
        }
        let stats = writer.stats();
        assert_eq!((stats.submitted, stats.dropped, stats.pending), (1_000, 900, 100), "{stats}");
        cluster.start_again();
        assert!(writer.flush(LONG));
        let stats = writer.close(LONG).stats;
        assert_eq!((stats.written, stats.dropped), (101, 900), "{stats}");
        let mut client = cluster.connect("app", "postgres");
        let stored = numbers(&mut client);
        match when_full {
            WhenFull::DropNewest => {
                assert_eq!((taken, stored), (100, (1..=100).collect()));
            }
            _ => {
                // The batch under way, if one was begun, is older than what followed.
                assert_eq!(taken, 1_000);
                assert_eq!(stored.len(), 100);
                assert!(stored.ends_with(&(911..=1_000).collect::<Vec<u64>>()), "{stored:?}");
            }
        }
        let lost = "SELECT tenant_id, data ->> 'count', (data ->> 'from')::numeric <= (data ->> 'until')::numeric
                      FROM eventlog.events WHERE name = 'writer_events_lost'";
        assert_eq!(rows(&mut client, lost), [[tenant().to_string(), "900".into(), "t".into()]]);
    }
}
