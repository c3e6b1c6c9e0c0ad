//! One event at a time: `log_event` beside what it replaces.

use std::time::Instant;

use eventlog_tests::random::Random;
use postgres::types::ToSql;
use postgres::{Client, Statement};

use crate::contender::{CONTENDERS, Contender, Who, index_of};
use crate::scale::Scale;
use crate::stats::{Quartiles, Target};
use crate::world::{Input, World};

/// Rounds after which all connections are made anew: where a backend's memory happens to lie
/// favours one contender or another by a percent or two.
const ROUNDS_A_CONNECTION: usize = 12;

/// Pairs of contenders, and what their ratio should be.
const RATIOS: &[(&str, &str, Option<Target>)] = &[
    ("owner_log_event", "owner_twin", Some(Target::AtMost(1.10))),
    ("member_log_event", "member_twin", Some(Target::AtMost(1.10))),
    ("owner_log_event", "owner_classic", Some(Target::Below(1.0))),
    ("member_log_event", "owner_classic", Some(Target::Below(1.0))),
    ("member_log_event", "member_plpgsql", None),
    ("member_plpgsql", "member_twin", None),
];

/// µs for each event in each round, by contender.
type Times = Vec<Vec<f64>>;

/// Calls inside the server, in a PL/pgSQL loop.
pub(crate) fn in_server(scale: Scale) {
    let world = World::new(scale.rows_before);
    let times = take_turns(&world, scale, |client, contender, round, n| {
        let first = World::first_input(round, n) as i32;
        let sql = format!("SELECT bench.{}($1, $2)", contender.name);
        client.query_one(&sql, &[&first, &(n as i32)]).expect("the events are valid").get(0)
    });
    world.assert_equal_work();
    print("a PL/pgSQL loop in the server", &world, scale, &times);
}

/// Prepared statements from a client, awaited one by one, a turn in one transaction.
pub(crate) fn from_client(scale: Scale) {
    let world = World::new(scale.rows_before);
    let inputs = [world.inputs(Who::Owner), world.inputs(Who::Member)];
    let times = take_turns(&world, scale, |client, contender, round, n| {
        let first = World::first_input(round, n);
        let own = (contender.who == Who::Member).then(|| {
            let row = client.query_one("SELECT eventlog.current_tenant()::text", &[]);
            row.expect("set for the round").get::<_, String>(0)
        });
        let inputs = &inputs[contender.who as usize][first..first + n];
        send(client, contender, inputs, own.as_deref())
    });
    world.assert_equal_work();
    print("prepared statements from a client, one round trip each", &world, scale, &times);
}

fn send(client: &mut Client, contender: &Contender, inputs: &[Input], own: Option<&str>) -> f64 {
    let statement: Statement = client.prepare(contender.statement).expect("a statement of ours");
    let parameters = statement.params().len();
    let mut transaction = client.transaction().expect("none is open");
    let started = Instant::now();
    for input in inputs {
        let tenant = own.unwrap_or(&input.tenant);
        let values: [&(dyn ToSql + Sync); 4] = [&tenant, &input.name, &input.data, &input.subject];
        transaction.query(&statement, &values[..parameters]).expect("the events are valid");
    }
    let elapsed = started.elapsed();
    transaction.commit().expect("nothing is deferred");
    elapsed.as_secs_f64() * 1e6 / inputs.len() as f64
}

/// Gives each contender a turn in each round, in a new order each time.
fn take_turns(
    world: &World,
    scale: Scale,
    turn: impl Fn(&mut Client, &Contender, usize, usize) -> f64,
) -> Times {
    let mut random = Random::seeded(7);
    let mut order: Vec<usize> = (0..CONTENDERS.len()).collect();
    let mut times = vec![Vec::with_capacity(scale.rounds); CONTENDERS.len()];
    let mut clients = [world.connect(Who::Owner), world.connect(Who::Member)];
    for round in 0..scale.rounds {
        let warm_up = round % ROUNDS_A_CONNECTION == 0;
        if warm_up {
            clients = [world.connect(Who::Owner), world.connect(Who::Member)];
        }
        world.set_tenant(&mut clients[Who::Member as usize], round);
        if warm_up {
            for contender in CONTENDERS {
                let client = &mut clients[contender.who as usize];
                turn(client, contender, round, scale.events / 10);
            }
        }
        for last in (1..order.len()).rev() {
            order.swap(last, random.below(last + 1));
        }
        for &place in &order {
            let contender = &CONTENDERS[place];
            let client = &mut clients[contender.who as usize];
            times[place].push(turn(client, contender, round, scale.events));
        }
    }
    times
}

fn print(how: &str, world: &World, scale: Scale, times: &Times) {
    println!("\nSingle events, {how}");
    println!("{}; {} rounds of {} events", world.describe(), scale.rounds, scale.events);
    println!("\n  {:<8}{:<34}{:>12}   {:<20}", "as", "", "µs an event", "quartiles");
    for (contender, times) in CONTENDERS.iter().zip(times) {
        let time = Quartiles::of(times);
        println!(
            "  {:<8}{:<34}{:>12.2}   {:.2} to {:.2}",
            contender.who.name(),
            contender.label,
            time.median,
            time.first,
            time.third
        );
    }
    println!("\n  {:<47}{:>7}   {:<16}target", "ratio within a round", "median", "quartiles");
    for (of, to, target) in RATIOS {
        let (of, to) = (index_of(of), index_of(to));
        let ratio = Quartiles::of_ratios(&times[of], &times[to]);
        println!(
            "  {:<47}{:>7.3}   {:<16}{}",
            format!("{} / {}", CONTENDERS[of].short(), CONTENDERS[to].short()),
            ratio.median,
            format!("{:.3} to {:.3}", ratio.first, ratio.third),
            target.map_or(String::new(), |target| target.judge(ratio.median))
        );
    }
}
