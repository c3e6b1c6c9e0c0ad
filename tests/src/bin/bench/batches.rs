//! Whole batches: `log_events` beside COPY and what else writes many rows at once.

use std::io::Write;
use std::time::Instant;

use eventlog_tests::random::Random;
use postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use postgres::{Client, Statement};

use crate::Scale;
use crate::contender::Who;
use crate::stats::{Quartiles, Target};
use crate::world::{Input, World};

/// Rows of a turn, which is one transaction, however many batches it takes.
const ROWS: usize = 10_000;

/// How a turn writes its rows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum How {
    LogEvents,
    /// With a producer and a number for each batch.
    Numbered,
    /// With an idempotency key for each event.
    Keyed,
    CopyBinary,
    Unnest,
    /// `log_event`, one awaited call for each event.
    OneByOne,
}

/// One way to write, and how many rows at once.
#[derive(Clone, Copy, Debug)]
struct Way {
    who: Who,
    how: How,
    size: usize,
}

const fn way(who: Who, how: How, size: usize) -> Way {
    Way { who, how, size }
}

const WAYS: &[Way] = &[
    way(Who::Member, How::LogEvents, 100),
    way(Who::Member, How::LogEvents, 1_000),
    way(Who::Member, How::LogEvents, 10_000),
    way(Who::Owner, How::LogEvents, 1_000),
    way(Who::Member, How::Numbered, 1_000),
    way(Who::Member, How::Keyed, 1_000),
    way(Who::Owner, How::CopyBinary, 100),
    way(Who::Owner, How::CopyBinary, 1_000),
    way(Who::Owner, How::CopyBinary, 10_000),
    way(Who::Owner, How::Unnest, 1_000),
    way(Who::Member, How::OneByOne, 1),
];

/// Places in [`WAYS`] whose speeds are compared, and the target.
const RATIOS: &[(usize, usize, Option<Target>)] = &[
    (0, 6, None),
    (1, 7, Some(Target::AtLeast(1.0))),
    (2, 8, None),
    (3, 7, None),
    (1, 9, None),
    (4, 1, None),
    (5, 1, None),
    (1, 10, None),
];

impl Way {
    fn label(&self) -> String {
        let what = match self.how {
            How::LogEvents => "log_events",
            How::Numbered => "log_events, numbered",
            How::Keyed => "log_events, a key each",
            How::CopyBinary => "COPY BINARY, twin",
            How::Unnest => "INSERT … FROM unnest, twin",
            How::OneByOne => "log_event, one by one",
        };
        if self.size == 1 { what.to_owned() } else { format!("{what}, {}", self.size) }
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
                "INSERT INTO bench.twin_plpgsql (tenant_id, name, data, subject)
                 SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[]::jsonb[], $4::text[])"
            }
            How::OneByOne => "SELECT eventlog.log_event($1::text::uuid, $2, $3::text::jsonb)",
        }
    }
}

/// A parameter that was encoded before the clock started.
#[derive(Debug)]
struct Encoded(Vec<u8>);

impl ToSql for Encoded {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut bytes::BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        out.extend_from_slice(&self.0);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

const EMPTY: &str =
    "TRUNCATE eventlog.events, bench.twin, bench.twin_plpgsql, eventlog.idempotency_keys";

/// Prints rows a second and ratios.
pub(crate) fn run(scale: Scale) {
    let world = World::new(scale.rows_before);
    let inputs = world.inputs(Who::Member);
    let rounds = (scale.rounds / 8).max(3);
    let mut random = Random::seeded(11);
    let mut order: Vec<usize> = (0..WAYS.len()).collect();
    let mut speeds = vec![Vec::with_capacity(rounds); WAYS.len()];
    let mut sent = 0;
    for round in 0..rounds {
        // In one database, and all for the round's tenant: rows of one tenant are cheaper to index.
        let mut clients = [Who::Owner, Who::Member].map(|who| world.connect_member_database(who));
        for client in &mut clients {
            world.set_tenant(client, round);
        }
        // More ways write into events than into a twin: none may grow ahead of the other.
        world.superuser(Who::Member).batch_execute(EMPTY).expect("tables of ours");
        for last in (1..order.len()).rev() {
            order.swap(last, random.below(last + 1));
        }
        for &place in &order {
            let way = &WAYS[place];
            let client = &mut clients[way.who as usize];
            // A small turn first, so that plans and caches are made.
            turn(client, way, &inputs[..way.size.min(100)], &mut sent);
            let first = World::first_input(round, ROWS);
            speeds[place].push(turn(client, way, &inputs[first..first + ROWS], &mut sent));
        }
    }
    print(&world, rounds, &speeds);
}

/// Writes the rows in one transaction; rows a second.
fn turn(client: &mut Client, way: &Way, rows: &[Input], sent: &mut i64) -> f64 {
    let tenant: String = client
        .query_one("SELECT eventlog.current_tenant()::text", &[])
        .expect("set for the round")
        .get(0);
    let batches: Vec<Vec<Encoded>> =
        rows.chunks(way.size).map(|rows| encode(way, rows, &tenant, sent)).collect();
    let statement = (way.how != How::CopyBinary)
        .then(|| client.prepare(way.statement()).expect("a statement of ours"));
    let mut transaction = client.transaction().expect("none is open");
    let started = Instant::now();
    match &statement {
        None => {
            for batch in &batches {
                let mut copy = transaction.copy_in(way.statement()).expect("a table of ours");
                copy.write_all(&batch[0].0).expect("the server reads");
                copy.finish().expect("the rows are valid");
            }
        }
        Some(statement) if way.how == How::OneByOne => {
            for row in rows {
                one(&mut transaction, statement, &tenant, row);
            }
        }
        Some(statement) => {
            for batch in &batches {
                let values: Vec<&(dyn ToSql + Sync)> =
                    batch.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
                transaction.query(statement, &values).expect("the events are valid");
            }
        }
    }
    transaction.commit().expect("nothing is deferred");
    rows.len() as f64 / started.elapsed().as_secs_f64()
}

fn one(transaction: &mut postgres::Transaction<'_>, log: &Statement, tenant: &str, row: &Input) {
    transaction.query(log, &[&tenant, &row.name, &row.data]).expect("the events are valid");
}

/// The parameters of one batch, or the bytes of its COPY, in PostgreSQL's binary formats.
fn encode(way: &Way, rows: &[Input], tenant: &str, sent: &mut i64) -> Vec<Encoded> {
    const UUID: u32 = 2950;
    const TEXT: u32 = 25;
    let digits: String = tenant.chars().filter(|c| *c != '-').collect();
    let uuid = u128::from_str_radix(&digits, 16).expect("a uuid").to_be_bytes();
    let column =
        |value: &dyn Fn(&Input) -> Option<Vec<u8>>| rows.iter().map(value).collect::<Vec<_>>();
    let tenants = column(&|_| Some(uuid.to_vec()));
    let names = column(&|row| Some(row.name.clone().into_bytes()));
    let data = column(&|row| Some(row.data.clone().into_bytes()));
    let subjects = column(&|row| row.subject.clone().map(String::into_bytes));
    match way.how {
        How::OneByOne => Vec::new(),
        How::CopyBinary => {
            let mut bytes = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0".to_vec();
            for i in 0..rows.len() {
                bytes.extend_from_slice(&4_i16.to_be_bytes());
                let jsonb = data[i].as_ref().map(|data| [&[1_u8][..], data.as_slice()].concat());
                for field in [&tenants[i], &names[i], &jsonb, &subjects[i]] {
                    append(&mut bytes, field.as_deref());
                }
            }
            bytes.extend_from_slice(&(-1_i16).to_be_bytes());
            vec![Encoded(bytes)]
        }
        how => {
            let mut parameters =
                vec![array(UUID, &tenants), array(TEXT, &names), array(TEXT, &data)];
            *sent += 1;
            match how {
                How::Numbered => parameters.push(Encoded(sent.to_be_bytes().to_vec())),
                How::Keyed => {
                    let keys: Vec<_> = (0..rows.len())
                        .map(|i| Some(format!("{sent}-{i}-0123456789abcdef").into_bytes()))
                        .collect();
                    parameters.push(array(TEXT, &keys));
                }
                How::Unnest => parameters.push(array(TEXT, &subjects)),
                _ => {}
            }
            parameters
        }
    }
}

fn array(element: u32, values: &[Option<Vec<u8>>]) -> Encoded {
    let has_null = i32::from(values.iter().any(Option::is_none));
    let mut bytes = Vec::new();
    for word in [1, has_null, element as i32, values.len() as i32, 1] {
        bytes.extend_from_slice(&word.to_be_bytes());
    }
    for value in values {
        append(&mut bytes, value.as_deref());
    }
    Encoded(bytes)
}

fn append(bytes: &mut Vec<u8>, value: Option<&[u8]>) {
    match value {
        None => bytes.extend_from_slice(&(-1_i32).to_be_bytes()),
        Some(value) => {
            bytes.extend_from_slice(&(value.len() as i32).to_be_bytes());
            bytes.extend_from_slice(value);
        }
    }
}

fn print(world: &World, rounds: usize, speeds: &[Vec<f64>]) {
    println!("\nBatches, from a client; parameters are encoded before the clock starts");
    println!("{}; {rounds} rounds of {ROWS} rows in a transaction", world.describe());
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
    println!(
        "\n  {:<58}{:>7}   {:<16}target",
        "ratio of speeds within a round", "median", "quartiles"
    );
    for (of, to, target) in RATIOS {
        let ratio = Quartiles::of_ratios(&speeds[*of], &speeds[*to]);
        println!(
            "  {:<58}{:>7.3}   {:<16}{}",
            format!("{} {} / {}", WAYS[*of].who.name(), WAYS[*of].label(), WAYS[*to].label()),
            ratio.median,
            format!("{:.3} to {:.3}", ratio.first, ratio.third),
            target.map_or(String::new(), |target| target.judge(ratio.median))
        );
    }
}
