//! Whole batches: `log_events` beside COPY and what else writes many rows at once.

use std::io::Write;
use std::time::Instant;

use eventlog_tests::random::Random;
use postgres::types::ToSql;
use postgres::{Client, Statement, Transaction};

use crate::contender::Who;
use crate::scale::Scale;
use crate::stats::{Quartiles, Target};
use crate::wire::{self, Column, Encoded};
use crate::world::{Input, World};

/// Rows of a turn, which is one transaction, however many batches it takes.
const ROWS: usize = 10_000;

/// Rows that a new connection writes before its turn, so that plans and caches are made.
const WARM_UP: usize = 100;

/// Rounds in one cluster: past that the tables would outgrow its buffers.
const ROUNDS_A_CLUSTER: usize = 6;

/// How a turn writes its rows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum How {
    LogEvents,
    /// With a producer and a number for each batch.
    Numbered,
    /// With an idempotency key for each event.
    Keyed,
    /// `log_event`, one awaited call for each event.
    OneByOne,
    CopyBinary,
    Unnest,
}

/// One way to write, and how many rows at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Way {
    who: Who,
    how: How,
    size: usize,
}

const fn way(who: Who, how: How, size: usize) -> Way {
    Way { who, how, size }
}

const BATCH: Way = way(Who::Member, How::LogEvents, 1_000);
const OWNER_BATCH: Way = way(Who::Owner, How::LogEvents, 1_000);
const COPY: Way = way(Who::Owner, How::CopyBinary, 1_000);
const UNNEST: Way = way(Who::Owner, How::Unnest, 1_000);
const BOUND_UNNEST: Way = way(Who::Member, How::Unnest, 1_000);
const NUMBERED: Way = way(Who::Member, How::Numbered, 1_000);
const KEYED: Way = way(Who::Member, How::Keyed, 1_000);
const ONE_BY_ONE: Way = way(Who::Member, How::OneByOne, 1);

const WAYS: &[Way] = &[
    BATCH.of(100),
    BATCH,
    BATCH.of(10_000),
    OWNER_BATCH.of(100),
    OWNER_BATCH,
    OWNER_BATCH.of(10_000),
    NUMBERED,
    KEYED,
    ONE_BY_ONE,
    COPY.of(100),
    COPY,
    COPY.of(10_000),
    UNNEST.of(100),
    UNNEST,
    UNNEST.of(10_000),
    BOUND_UNNEST,
];

/// Whose speeds are compared, and what the ratio should be.
const RATIOS: &[(Way, Way, Option<Target>)] = &[
    (BATCH.of(100), COPY.of(100), None),
    (BATCH, COPY, Some(Target::AtLeast(1.0))),
    (BATCH.of(10_000), COPY.of(10_000), None),
    (OWNER_BATCH.of(100), COPY.of(100), None),
    (OWNER_BATCH, COPY, None),
    (OWNER_BATCH.of(10_000), COPY.of(10_000), None),
    (UNNEST, COPY, None),
    (BOUND_UNNEST, COPY, None),
    (BATCH, UNNEST, None),
    (BATCH, BOUND_UNNEST, None),
    (NUMBERED, BATCH, None),
    (KEYED, BATCH, None),
    (BATCH, ONE_BY_ONE, None),
];

impl Way {
    const fn of(self, size: usize) -> Self {
        Way { size, ..self }
    }

    fn label(&self) -> String {
        let what = match self.how {
            How::LogEvents => "log_events",
            How::Numbered => "log_events, numbered",
            How::Keyed => "log_events, a key each",
            How::CopyBinary => "COPY BINARY, twin",
            How::Unnest => "INSERT … FROM unnest, twin",
            How::OneByOne => return "log_event, one by one".to_owned(),
        };
        format!("{what}, {}", self.size)
    }

    fn statement(&self) -> &'static str {
        match self.how {
            How::LogEvents => "SELECT written FROM eventlog.log_events($1, $2, $3)",
            How::Numbered => {
                "SELECT written FROM eventlog.log_events($1, $2, $3,
                     producer => '00000000-0000-4000-8000-000000000001', batch_number => $4)"
            }
            How::Keyed => {
                "SELECT written FROM eventlog.log_events($1, $2, $3, idempotency_keys => $4)"
            }
            How::CopyBinary => "COPY bench.twin (tenant_id, name, data, subject) FROM STDIN BINARY",
            How::Unnest => {
                "INSERT INTO bench.twin (tenant_id, name, data, subject)
                 SELECT * FROM unnest($1::uuid[], $2::text[], $3::jsonb[], $4::text[])"
            }
            How::OneByOne => "SELECT eventlog.log_event($1::text::uuid, $2, $3::text::jsonb)",
        }
    }

    fn fills_the_log(&self) -> bool {
        !matches!(self.how, How::CopyBinary | How::Unnest)
    }
}

/// Prints rows a second and ratios.
pub(crate) fn run(scale: Scale) {
    let rounds = (scale.rounds / 10).max(3);
    let mut random = Random::seeded(11);
    let mut order: Vec<usize> = (0..WAYS.len()).collect();
    let mut speeds = vec![Vec::with_capacity(rounds); WAYS.len()];
    let mut head = String::new();
    for first in (0..rounds).step_by(ROUNDS_A_CLUSTER) {
        let world = World::new(scale.rows_before);
        let inputs = world.inputs(Who::Member);
        let mut batches = Batches { tenant: String::new(), sent: 0 };
        for round in first..rounds.min(first + ROUNDS_A_CLUSTER) {
            for last in (1..order.len()).rev() {
                order.swap(last, random.below(last + 1));
            }
            // In one database, and all for the round's tenant: rows of one tenant are cheaper to
            // index.
            let mut clients =
                [Who::Owner, Who::Member].map(|who| world.connect_member_database(who));
            for client in &mut clients {
                world.set_tenant(client, round);
            }
            batches.tenant =
                eventlog_tests::text(&mut clients[0], "SELECT eventlog.current_tenant()");
            let first = World::first_input(round, ROWS);
            let mut turn = |way: &Way| {
                let client = &mut clients[way.who as usize];
                batches.write(client, way, &inputs[..WARM_UP]);
                batches.write(client, way, &inputs[first..first + ROWS])
            };
            for &place in &order {
                speeds[place].push(turn(&WAYS[place]));
            }
            // The twin keeps up with the log, so that neither has the shorter indexes.
            let ways_of_the_log = WAYS.iter().filter(|way| way.fills_the_log()).count();
            for _ in WAYS.len() - ways_of_the_log..ways_of_the_log {
                turn(&COPY);
            }
        }
        assert_equal_work(&world);
        head = world.describe();
    }
    print(&head, rounds, &speeds);
}

/// That the log and the twin hold the same rows.
fn assert_equal_work(world: &World) {
    let mut client = world.superuser(Who::Member);
    let [log, twin] = ["eventlog.events", "bench.twin"].map(|table| {
        let row = "concat(tenant_id, name, data, subject)";
        let sql = format!("SELECT count(*), sum(hashtext({row})) FROM {table}");
        eventlog_tests::rows(&mut client, &sql)
    });
    assert_eq!(log, twin);
}

/// Batches of one tenant.
struct Batches {
    tenant: String,
    /// Batches made so far, for numbers and keys.
    sent: i64,
}

impl Batches {
    /// Writes the rows in one transaction; rows a second.
    fn write(&mut self, client: &mut Client, way: &Way, rows: &[Input]) -> f64 {
        let rows: Vec<&Input> = rows.iter().collect();
        let batches: Vec<Vec<Encoded>> =
            rows.chunks(way.size).map(|rows| self.encode(way, rows)).collect();
        let statement = client.prepare(way.statement()).expect("a statement of ours");
        let started = Instant::now();
        let mut transaction = client.transaction().expect("none is open");
        let written: u64 = match way.how {
            How::OneByOne => {
                rows.iter().map(|row| self.one(&mut transaction, &statement, row)).sum()
            }
            _ => batches.iter().map(|batch| one_batch(&mut transaction, &statement, batch)).sum(),
        };
        transaction.commit().expect("nothing is deferred");
        let elapsed = started.elapsed();
        assert_eq!(written, rows.len() as u64, "{}", way.label());
        rows.len() as f64 / elapsed.as_secs_f64()
    }

    fn one(&self, transaction: &mut Transaction<'_>, statement: &Statement, row: &Input) -> u64 {
        let values: [&(dyn ToSql + Sync); 3] = [&self.tenant, &row.name, &row.data];
        transaction.query(statement, &values).expect("the event is valid").len() as u64
    }

    /// The parameters of one batch, or the bytes of its COPY.
    fn encode(&mut self, way: &Way, rows: &[&Input]) -> Vec<Encoded> {
        self.sent += 1;
        let log = || wire::arrays(&self.tenant, rows);
        let twin = || wire::twin_columns(&self.tenant, rows);
        match way.how {
            How::OneByOne => Vec::new(),
            How::LogEvents => log(),
            How::Numbered => {
                log().into_iter().chain([Encoded(self.sent.to_be_bytes().to_vec())]).collect()
            }
            How::Keyed => {
                let keys: Vec<String> = (0..rows.len())
                    .map(|i| format!("{}-{i}-0123456789abcdef", self.sent))
                    .collect();
                let keys = Column::text(keys.iter().map(|key| Some(key.as_str())));
                log().into_iter().chain([keys.array()]).collect()
            }
            How::CopyBinary => vec![wire::copy_data(&twin())],
            How::Unnest => twin().iter().map(Column::array).collect(),
        }
    }
}

/// Sends one batch and waits for the answer; the rows written.
fn one_batch(transaction: &mut Transaction<'_>, statement: &Statement, batch: &[Encoded]) -> u64 {
    if statement.params().is_empty() {
        let mut copy = transaction.copy_in(statement).expect("a table of ours");
        copy.write_all(&batch[0].0).expect("the server reads");
        return copy.finish().expect("the rows are valid");
    }
    let values: Vec<&(dyn ToSql + Sync)> =
        batch.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
    if statement.columns().is_empty() {
        return transaction.execute(statement, &values).expect("the rows are valid");
    }
    let row = transaction.query_one(statement, &values).expect("the events are valid");
    row.get::<_, i64>(0) as u64
}

fn print(head: &str, rounds: usize, speeds: &[Vec<f64>]) {
    println!("\nBatches, from a client that encoded all before the clock started");
    println!("{head}; {rounds} rounds of {ROWS} rows, a transaction each");
    println!("\n  {:<8}{:<38}{:>12}   {:<20}", "as", "", "rows a second", "quartiles");
    for (way, speeds) in WAYS.iter().zip(speeds) {
        let speed = Quartiles::of(speeds);
        println!(
            "  {:<8}{:<38}{:>13.0}   {:.0} to {:.0}",
            way.who.name(),
            way.label(),
            speed.median,
            speed.first,
            speed.third
        );
    }
    let title = "ratio of speeds within a round";
    println!("\n  {title:<68}{:>7}   {:<16}target", "median", "quartiles");
    for (of, to, target) in RATIOS {
        let [of_speeds, to_speeds] = [of, to].map(|way| {
            let place = WAYS.iter().position(|one| one == way).expect("one of the list");
            &speeds[place]
        });
        let ratio = Quartiles::of_ratios(of_speeds, to_speeds);
        let [of, to] = [of, to].map(|way| format!("{} {}", way.who.name(), way.label()));
        println!(
            "  {:<68}{:>7.3}   {:<16}{}",
            format!("{of} / {to}"),
            ratio.median,
            format!("{:.3} to {:.3}", ratio.first, ratio.third),
            target.map_or(String::new(), |target| target.judge(ratio.median))
        );
    }
}
