//! What an event of an unknown name costs among thousands of declared ones, beside an event of a
//! known name: it is refused with the names that it may have been meant for, and quarantined.

use std::time::Instant;

use eventlog_tests::random::Random;
use eventlog_tests::{Cluster, TENANT_A, db};
use postgres::Client;

use crate::scale::Scale;
use crate::stats::{Quartiles, Target};
use crate::world::SETTINGS;

/// Names that are declared. They are much alike, so that all come near an unknown one.
const DECLARED: usize = 5_000;

/// Events of a turn: a batch of log_events, or so many calls of try_log_event in one transaction.
const EVENTS: usize = 1_000;

const DATA: &str = r#"{"toolName": "search", "hookEvent": "PostToolUse", "durationMs": 120}"#;

const TARGET: Target = Target::AtMost(1.5);

/// One way to log the events of a turn.
#[derive(Clone, Copy, Debug)]
struct Way {
    label: &'static str,
    /// One call for all, or one for each.
    is_batch: bool,
    /// Names in a turn.
    names: usize,
}

const WAYS: &[Way] = &[
    Way { label: "log_events, one name", is_batch: true, names: 1 },
    Way { label: "log_events, a name each", is_batch: true, names: EVENTS },
    Way { label: "try_log_event, one name", is_batch: false, names: 1 },
    Way { label: "try_log_event, a name each", is_batch: false, names: EVENTS },
];

/// Prints medians and ratios. Known and unknown names take turns in each round.
pub(crate) fn run(scale: Scale) {
    let rounds = scale.rounds.min(60);
    let cluster = Cluster::start(SETTINGS);
    db::create_roles(&cluster);
    db::create_log(&cluster, "names");
    let define = format!(
        "SELECT count(eventlog.define_event('checkout_step_' || g)) FROM generate_series(1, {DECLARED}) g"
    );
    eventlog_tests::text(&mut cluster.connect("names", "log_owner"), &define);

    let mut random = Random::seeded(13);
    let mut order: Vec<(usize, bool)> =
        (0..WAYS.len()).flat_map(|way| [(way, true), (way, false)]).collect();
    let mut times = vec![[Vec::new(), Vec::new()]; WAYS.len()];
    let mut client = connect(&cluster);
    // The first round warms up.
    for round in 0..=rounds {
        for last in (1..order.len()).rev() {
            order.swap(last, random.below(last + 1));
        }
        for &(place, is_known) in &order {
            let way = WAYS[place];
            let first = round * EVENTS;
            let names: Vec<String> = (first..first + EVENTS)
                .map(|n| n - n % (EVENTS / way.names))
                .map(|n| match is_known {
                    true => format!("checkout_step_{}", n % DECLARED + 1),
                    false => format!("chekout_step_{}", n % DECLARED + 1),
                })
                .collect();
            let time = turn(&mut client, way, &names, is_known);
            if round > 0 {
                times[place][usize::from(is_known)].push(time);
            }
        }
    }
    let turns = (rounds + 1) * WAYS.len() * EVENTS;
    let mut superuser = cluster.connect("names", "postgres");
    for table in ["events", "rejected_events"] {
        let count = format!("SELECT count(*) FROM eventlog.{table}");
        assert_eq!(eventlog_tests::text(&mut superuser, &count), turns.to_string(), "{table}");
    }
    print(rounds, &times);
}

fn connect(cluster: &Cluster) -> Client {
    let mut client = cluster.connect("names", "member");
    client
        .batch_execute(&format!("SET eventlog.tenant_id = '{TENANT_A}'"))
        .expect("a setting for everybody");
    client
}

/// µs of each event.
fn turn(client: &mut Client, way: Way, names: &[String], is_known: bool) -> f64 {
    let statement = match way.is_batch {
        true => "SELECT written, rejected FROM eventlog.log_events(NULL, $1, $2)",
        false => "SELECT eventlog.try_log_event(NULL, $1, $2::text)",
    };
    let statement = client.prepare(statement).expect("a statement of ours");
    let data = vec![DATA; names.len()];
    let mut transaction = client.transaction().expect("none is open");
    let started = Instant::now();
    if way.is_batch {
        let row = transaction.query_one(&statement, &[&names, &data]).expect("it goes on");
        let counts: (i64, i64) = (row.get(0), row.get(1));
        let all = names.len() as i64;
        assert_eq!(counts, if is_known { (all, 0) } else { (0, all) });
    } else {
        for name in names {
            let row = transaction.query_one(&statement, &[name, &DATA]).expect("it goes on");
            assert_eq!(row.get::<_, Option<i64>>(0).is_some(), is_known);
        }
    }
    transaction.commit().expect("nothing is deferred");
    started.elapsed().as_secs_f64() * 1e6 / names.len() as f64
}

fn print(rounds: usize, times: &[[Vec<f64>; 2]]) {
    println!(
        "\nAn unknown name among {DECLARED} declared ones, which is quarantined, and a known one"
    );
    println!("{rounds} rounds of {EVENTS} events, a transaction each; µs an event, medians\n");
    println!(
        "  {:<30}{:>9}{:>9}{:>9}   {:<16}target",
        "", "known", "unknown", "ratio", "quartiles"
    );
    for (way, [unknown, known]) in WAYS.iter().zip(times) {
        let ratio = Quartiles::of_ratios(unknown, known);
        println!(
            "  {:<30}{:>9.2}{:>9.2}{:>9.3}   {:<16}{}",
            way.label,
            Quartiles::of(known).median,
            Quartiles::of(unknown).median,
            ratio.median,
            format!("{:.3} to {:.3}", ratio.first, ratio.third),
            TARGET.judge(ratio.median)
        );
    }
}
