//! The engine under random schedules: submits, faults, lost acknowledgements, clock jumps, closes.
//! The account must balance after each step, memory stay bounded, and every event have one end.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fastrand::Rng;

use crate::batch::{Answer, Batch, Verdict};
use crate::engine::{Action, Engine, Submitted};
use crate::error::Kind;
use crate::loss::EVENTS_LOST;
use crate::{Error, Event, Options, WhenFull};

/// A server that remembers the last batch of a producer, as the log does.
#[derive(Default)]
struct Server {
    last: i64,
    answer: Answer,
    /// How often each event was stored, by its number.
    stored: HashMap<u64, u32>,
    lost_reported: u64,
}

impl Server {
    fn receive(&mut self, batch: &Batch, rng: &mut Rng) -> Answer {
        assert!(batch.number >= self.last, "batch {} after {}", batch.number, self.last);
        if batch.number == self.last {
            return Answer { verdicts: Vec::new(), ..self.answer.clone() };
        }
        self.last = batch.number;
        let mut answer = Answer::default();
        for (name, data) in batch.names.iter().zip(&batch.data) {
            let verdict = match rng.u8(..20) {
                _ if name == EVENTS_LOST => {
                    let payload: serde_json::Value = serde_json::from_str(data).unwrap();
                    self.lost_reported += payload["count"].as_u64().unwrap();
                    answer.written += 1;
                    Verdict::Stored(None)
                }
                0 => {
                    answer.rejected += 1;
                    Verdict::Rejected(Error::rejected(Some("23514".into()), "a rule"))
                }
                1 => {
                    answer.sampled += 1;
                    Verdict::LeftOut
                }
                2 => {
                    answer.duplicate += 1;
                    Verdict::Stored(Some(7))
                }
                _ => {
                    answer.written += 1;
                    *self.stored.entry(data[5..data.len() - 1].parse().unwrap()).or_default() += 1;
                    Verdict::Stored(Some(1))
                }
            };
            answer.verdicts.push(verdict);
        }
        self.answer = answer.clone();
        answer
    }
}

fn options(rng: &mut Rng) -> Options {
    Options::new()
        .enabled(true)
        .batch_events(rng.usize(1..8))
        .batch_bytes(rng.usize(300..3_000))
        .queue(rng.usize(1..30), rng.usize(300..10_000))
        .linger(Duration::from_millis(rng.u64(0..20)))
        .when_full(
            *rng.choice(&[
                WhenFull::DropNewest,
                WhenFull::DropOldest,
                WhenFull::Block(Duration::ZERO),
            ])
            .unwrap(),
        )
        .retry(Duration::from_millis(rng.u64(1..50)), Duration::from_millis(rng.u64(50..500)))
        .give_up_after(rng.bool().then(|| Duration::from_millis(rng.u64(1..2_000))))
}

/// One schedule.
fn run(seed: u64) {
    let mut rng = Rng::with_seed(seed);
    let options = options(&mut rng);
    let (most_events, most_bytes) = (options.queue_events, options.queue_bytes);
    let mut engine: Engine<u64> = Engine::new(options);
    let mut server = Server::default();
    let mut now = Duration::ZERO;
    let mut on_the_way: Option<Arc<Batch>> = None;
    let (mut submitted, mut waiting, mut told) = (0, 0, 0);
    let has_permanent_faults = rng.bool();
    let steps = rng.usize(5..120);
    for step in 0..steps {
        let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(rng.u64(..2_000_000_000));
        match rng.u8(..10) {
            0..=4 => {
                submitted += 1;
                let waiter = rng.bool().then_some(submitted);
                let event = Event::new("ping").data(&serde_json::json!({ "n": submitted }));
                waiting += u64::from(waiter.is_some());
                match engine.submit(event, waiter, now, wall) {
                    Submitted::Queued { .. } => {}
                    Submitted::LeftOut(_) => panic!("there is no sample"),
                    Submitted::Refused(_, waiter) => told += u64::from(waiter.is_some()),
                    Submitted::Full(event, waiter) => {
                        match engine.drop_newest(event, waiter, wall) {
                            Submitted::Refused(_, waiter) => told += u64::from(waiter.is_some()),
                            other => panic!("{other:?}"),
                        }
                    }
                }
            }
            // Time goes on, by nothing or by hours.
            5 => now += Duration::from_millis(rng.u64(..100)),
            6 if rng.u8(..20) == 0 => now += Duration::from_secs(rng.u64(..10_000)),
            7 if rng.u8(..4) == 0 => {
                let mark = engine.hurry();
                assert!(engine.is_done(mark) || engine.stats().pending > 0);
            }
            8 if step > steps * 3 / 4 && rng.u8(..10) == 0 => engine.close(),
            _ => {}
        }
        match engine.poll(now) {
            Action::Send(batch) => {
                assert!(on_the_way.is_none(), "two batches at once");
                on_the_way = Some(batch);
            }
            Action::Wait(until) => assert!(until.is_none_or(|until| until > now)),
            Action::End => assert_eq!(engine.stats().pending, 0),
        }
        if let Some(batch) = on_the_way.take_if(|_| rng.bool()) {
            // It arrives or not, and its answer does or not.
            let arrives = rng.u8(..4) > 0;
            let answer = arrives.then(|| server.receive(&batch, &mut rng));
            let transient = Error::connection("connection reset");
            let error = match rng.u8(..8) {
                0 if has_permanent_faults && !arrives => {
                    Error::rejected(Some("42501".into()), "no").with_kind(Kind::Permanent)
                }
                _ => transient,
            };
            match answer {
                Some(answer) if rng.u8(..4) > 0 => drop(engine.answered(answer, now)),
                _ => drop(engine.failed(&error, now, wall, rng.f64())),
            }
        }
        told += engine.take_told().len() as u64;
        check(&engine, most_events, most_bytes, seed);
    }
    // The end: a close that has the time it needs, or one that has not.
    engine.close();
    let mut left = 1_000;
    while rng.u8(..50) > 0 && left > 0 {
        left -= 1;
        match engine.poll(now) {
            Action::Send(batch) => on_the_way = Some(batch),
            Action::Wait(Some(until)) => now = until,
            Action::Wait(None) => {}
            Action::End => break,
        }
        if let Some(batch) = on_the_way.take() {
            let answer = server.receive(&batch, &mut rng);
            engine.answered(answer, now);
        }
        told += engine.take_told().len() as u64;
    }
    let report = engine.abandon();
    told += engine.take_told().len() as u64;
    let stats = report.stats;
    check(&engine, most_events, most_bytes, seed);
    assert_eq!(stats.pending, 0, "seed {seed}");
    assert_eq!(told, waiting, "seed {seed}: everybody who waits is told once");
    assert!(server.stored.values().all(|times| *times == 1), "seed {seed}: stored twice");
    // What the account says was written is there; what it says was lost while on its way may be.
    let stored = server.stored.len() as u64;
    let own = stats.submitted - submitted;
    let uncertain = stats.dropped + stats.rejected;
    assert!(stats.written <= stored + own, "seed {seed}: {stats}, {stored} stored");
    assert!(stored <= stats.written + uncertain, "seed {seed}: {stats}, {stored} stored");
    assert!(server.lost_reported <= stats.dropped, "seed {seed}: {stats}");
}

fn check(engine: &Engine<u64>, most_events: usize, most_bytes: usize, seed: u64) {
    let stats = engine.stats();
    assert!(stats.is_balanced(), "seed {seed}: {stats}");
    let (events, bytes) = engine.held();
    assert!(events <= most_events, "seed {seed}: {events} events held");
    assert!(events <= 1 || bytes <= most_bytes, "seed {seed}: {bytes} bytes held");
}

/// `EVENTLOG_PROOF=1` runs a million; `EVENTLOG_SEED` one.
#[test]
fn in_every_schedule_the_account_balances_and_nothing_is_stored_twice() {
    if let Ok(seed) = std::env::var("EVENTLOG_SEED") {
        return run(seed.parse().expect("a number"));
    }
    let is_proof = std::env::var_os("EVENTLOG_PROOF").is_some_and(|value| value == "1");
    for seed in 0..if is_proof { 1_000_000 } else { 20_000 } {
        run(seed);
    }
}

/// Without faults that lose events, every one is stored, in order.
#[test]
fn after_an_outage_everything_is_sent_in_order() {
    let mut engine: Engine<u64> = Engine::new(Options::new().enabled(true).queue(100_000, 1 << 30));
    let (mut now, mut sent) = (Duration::ZERO, Vec::new());
    let outage = Error::connection("connection refused");
    let ended = Duration::from_secs(60);
    let mut n = 0;
    while now < ended + Duration::from_secs(30) {
        if now < ended {
            n += 1;
            let event = Event::new("ping").data(&serde_json::json!({ "n": n }));
            let taken = engine.submit(event, None, now, SystemTime::UNIX_EPOCH);
            assert!(matches!(taken, Submitted::Queued { .. }));
        }
        if let Action::Send(batch) = engine.poll(now) {
            if now < ended {
                engine.failed(&outage, now, SystemTime::UNIX_EPOCH, 0.5);
            } else {
                let written = batch.len() as u64;
                sent.extend(batch.data.iter().cloned());
                engine.answered(Answer { written, ..Answer::default() }, now);
            }
        }
        now += Duration::from_millis(1);
    }
    let stats = engine.stats();
    assert_eq!((stats.written, stats.submitted, stats.dropped), (60_000, 60_000, 0), "{stats}");
    let expected: Vec<String> = (1..=60_000).map(|n| format!("{{\"n\":{n}}}")).collect();
    assert_eq!(sent, expected);
}
