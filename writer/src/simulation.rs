//! The engine under random schedules: submits, faults, lost acknowledgements, clock jumps, closes.
//! The account must balance after each step and say what is true of the server, memory stay bounded,
//! and every event have one end.

mod server;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fastrand::Rng;
use uuid::Uuid;

use crate::admission::Admission;
use crate::batch::{Answer, Batch};
use crate::engine::{Action, Engine, Submitted};
use crate::error::Kind;
use crate::loss::{MOST_NOTES, MOST_TENANTS};
use crate::{Error, Event, Options, Stats, WhenFull};
use server::{Server, is_note};

fn options(rng: &mut Rng) -> Options {
    let batch_events = rng.usize(1..8);
    let mut options = Options::new()
        .enabled(true)
        .batch_events(batch_events)
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
        .give_up_after(rng.bool().then(|| Duration::from_millis(rng.u64(1..2_000))));
    options.most_events += rng.usize(..8);
    options
}

struct World {
    rng: Rng,
    options: Arc<Options>,
    engine: Engine<u64>,
    server: Server,
    now: Duration,
    on_the_way: Option<Arc<Batch>>,
    /// How many of eight faults no other try mends.
    permanent: u8,
    tenants: u64,
    /// Events that were given to the engine, and how many of them after it was closed.
    submitted: u64,
    too_late: u64,
    waiting: HashSet<u64>,
    told: HashSet<u64>,
    /// Notes that were dropped, to be told again; and whether some were refused, or may not have
    /// arrived, and what they told may be told to nobody.
    notes_dropped: u64,
    has_lost_notes: bool,
    is_closing: bool,
    is_path_open: bool,
    /// The last batch that was begun, its notes as long as it is under way, and whether a try of it
    /// may have been written.
    begun: i64,
    notes_under_way: u64,
    may_be_written: bool,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let options = Arc::new(options(&mut rng));
        World {
            engine: Engine::new(Arc::clone(&options)),
            options,
            server: Server::default(),
            now: Duration::ZERO,
            on_the_way: None,
            permanent: *rng.choice(&[0, 0, 1, 3]).unwrap(),
            tenants: *rng.choice(&[1, 2, 3, 300]).unwrap(),
            submitted: 0,
            too_late: 0,
            waiting: HashSet::new(),
            told: HashSet::new(),
            notes_dropped: 0,
            has_lost_notes: false,
            is_closing: false,
            is_path_open: false,
            begun: 0,
            notes_under_way: 0,
            may_be_written: false,
            rng,
        }
    }

    fn submit(&mut self) {
        self.submitted += 1;
        self.too_late += u64::from(self.is_closing);
        let waiter = self.rng.bool().then_some(self.submitted);
        self.waiting.extend(waiter);
        let tenant = Uuid::from_u128(u128::from(self.rng.u64(..self.tenants)));
        let mut event = Event::new("ping").data(&serde_json::json!({ "n": self.submitted }));
        event = if self.tenants == 1 { event } else { event.tenant(tenant) };
        let wall = self.wall();
        let admission = event.admit(&self.options, wall);
        assert!(matches!(admission, Admission::Taken(_)), "there is no sample and no fault");
        let now = self.now;
        let (held, stats) = (self.engine.held(), self.engine.stats());
        let mut submitted = self.engine.submit(event, admission, waiter, || now, wall);
        if let Submitted::Full(event, waiter) = submitted {
            assert_eq!((held, stats), (self.engine.held(), self.engine.stats()));
            assert!(!self.engine.may_take(event.size()));
            submitted = self.engine.drop_newest(event, waiter, wall);
        }
        match submitted {
            Submitted::Queued { .. } => {}
            Submitted::Refused(error, waiter) => {
                assert!(!error.is_unconfirmed());
                self.tell(waiter);
            }
            other => panic!("{other:?}"),
        }
    }

    fn wall(&mut self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.rng.u64(..2_000_000_000))
    }

    fn tell(&mut self, waiter: Option<u64>) {
        if let Some(waiter) = waiter {
            assert!(self.told.insert(waiter), "{waiter} is told twice");
        }
    }

    /// Whoever sends asks what to do.
    fn poll(&mut self) -> bool {
        match self.engine.poll(self.now) {
            Action::Send(batch) => {
                assert!(self.on_the_way.is_none(), "two batches at once");
                let notes = batch.events.iter().filter(|event| is_note(event)).count();
                let events = batch.events.len() - notes;
                assert!(events + notes > 0 && notes <= MOST_NOTES);
                assert!(events <= self.options.most_events, "{events} events in a batch");
                if self.begun < batch.number {
                    assert!(notes == 0 || self.is_path_open, "a loss is no reason to try");
                    (self.begun, self.notes_under_way) = (batch.number, notes as u64);
                    self.may_be_written = false;
                }
                let is_last = batch.events[..events].iter().all(|event| !is_note(event));
                assert!(is_last, "events come before notes");
                self.on_the_way = Some(batch);
            }
            Action::Wait(until) => {
                let until = until.filter(|_| self.on_the_way.is_none());
                assert!(until.is_none_or(|until| until > self.now));
            }
            Action::End => {
                assert_eq!(self.engine.stats().pending, 0);
                return true;
            }
        }
        false
    }

    /// The batch arrives or not, and its answer does or not.
    fn send(&mut self, is_reliable: bool) {
        let Some(batch) = self.on_the_way.take() else { return };
        let before = self.engine.stats();
        // Faults of the connector come before anything is on the wire.
        let is_sent = is_reliable || self.rng.u8(..5) > 0;
        if !is_sent || self.rng.bool() {
            self.engine.connecting();
        }
        if is_sent {
            assert!(self.engine.connected());
        }
        let arrives = is_sent && (is_reliable || self.rng.u8(..4) > 0);
        let answer = arrives.then(|| self.server.receive(&batch, &mut self.rng));
        match answer {
            Some(answer) if is_reliable || self.rng.u8(..4) > 0 => {
                assert_eq!(answer.events(), batch.events.len() as u64);
                drop(self.engine.answered(answer));
                (self.is_path_open, self.notes_under_way) = (true, 0);
            }
            _ => {
                let is_refused = !arrives && self.rng.u8(..8) < self.permanent;
                let error = match is_refused {
                    true => Error::rejected(Some("42501".into()), "no").with_kind(Kind::Permanent),
                    false => Error::connection("connection reset"),
                };
                self.may_be_written |= is_sent && !is_refused;
                let (now, wall, chance) = (self.now, self.wall(), self.rng.f64());
                drop(self.engine.failed(error, now, wall, chance));
                self.is_path_open = false;
                self.after_failure(&batch, is_refused, before);
            }
        }
    }

    /// A batch that failed is tried again, or ends as what is true of it.
    fn after_failure(&mut self, batch: &Batch, is_refused: bool, before: Stats) {
        let after = self.engine.stats();
        if after.pending == before.pending {
            assert!(!is_refused, "no other try mends it");
            return;
        }
        let all = batch.events.len() as u64;
        let ends = [
            after.unconfirmed - before.unconfirmed,
            after.rejected - before.rejected,
            after.dropped - before.dropped,
        ];
        let expected = match (self.may_be_written, is_refused) {
            (true, _) => [all, 0, 0],
            (false, true) => [0, all, 0],
            (false, false) => [0, 0, all],
        };
        assert_eq!(ends, expected);
        // What dropped notes told is told again; what others told may be told to nobody.
        let notes = std::mem::take(&mut self.notes_under_way);
        self.notes_dropped += if expected[2] > 0 { notes } else { 0 };
        self.has_lost_notes |= notes > 0 && expected[2] == 0;
    }

    fn check(&mut self) {
        let stats = self.engine.stats();
        assert!(stats.is_balanced(), "{stats}");
        let (events, bytes) = self.engine.held();
        assert!(events <= self.options.queue_events, "{events} events held");
        assert!(events <= 1 || bytes <= self.options.queue_bytes, "{bytes} bytes held");
        assert_eq!(stats.pending, events as u64 + self.notes_under_way);
        assert!(self.engine.untold() <= 2 * MOST_TENANTS);
        for (waiter, end) in self.engine.take_told() {
            if let Err(error) = end {
                assert!(!error.to_string().is_empty());
            }
            self.tell(Some(waiter));
        }
        // What is acknowledged is there; what is there is acknowledged, on its way, or unconfirmed.
        let there = self.server.stored.len() as u64 + self.server.notes;
        assert!(stats.written <= there, "{stats}, {there} stored");
        let most = stats.written + stats.unconfirmed + stats.pending;
        assert!(there <= most, "{stats}, {there} stored");
    }

    fn step(&mut self, is_late: bool) {
        match self.rng.u8(..10) {
            0..=4 => self.submit(),
            // Time goes on, by nothing or by hours.
            5 => self.now += Duration::from_millis(self.rng.u64(..100)),
            6 if self.rng.u8(..20) == 0 => {
                self.now += Duration::from_secs(self.rng.u64(..10_000));
            }
            7 if self.rng.u8(..4) == 0 => {
                let mark = self.engine.hurry();
                assert!(self.engine.is_done(mark) || self.engine.stats().pending > 0);
            }
            8 if is_late && self.rng.u8(..10) == 0 => {
                self.engine.close();
                self.is_closing = true;
            }
            _ => {}
        }
        self.poll();
        if self.rng.bool() {
            self.send(false);
        }
        self.check();
    }

    fn run(mut self) {
        let steps = self.rng.usize(5..120);
        for step in 0..steps {
            self.step(step > steps * 3 / 4);
        }
        // The end: a close that has the time it needs, or one that has not.
        self.engine.close();
        let mut is_over = false;
        for _ in 0..1_000 {
            if self.rng.u8(..50) == 0 {
                break;
            }
            is_over = self.poll();
            if is_over {
                break;
            }
            if self.on_the_way.is_none()
                && let Action::Wait(Some(until)) = self.engine.poll(self.now)
            {
                self.now = until;
            }
            self.send(true);
            self.check();
        }
        // What is on the wire when the time is over may arrive or not.
        let is_sent = self.on_the_way.is_some() && self.rng.bool();
        if !is_sent {
            self.engine.connecting();
        }
        let report = self.engine.abandon();
        self.notes_under_way = 0;
        if let Some(batch) = self.on_the_way.take() {
            assert!(!self.engine.connected(), "it was given up");
            if is_sent && self.rng.bool() {
                self.server.receive(&batch, &mut self.rng);
            }
        }
        self.check();
        let stats = report.stats;
        assert_eq!((stats.pending, stats.unconfirmed), (0, report.unconfirmed));
        assert_eq!(self.told, self.waiting, "everybody who waits is told once");
        let in_order = self.server.stored.windows(2).all(|pair| pair[0] < pair[1]);
        assert!(in_order, "{:?}", self.server.stored);
        self.check_losses(stats.dropped, is_over);
    }

    /// What was told of losses: never more than was lost, and all of it where the last batch was
    /// answered and no note went astray.
    fn check_losses(&self, dropped: u64, is_over: bool) {
        let told: u64 = self.server.told_lost.values().sum();
        let lost = dropped - self.too_late - self.notes_dropped;
        assert!(told <= lost, "told of {told}, {lost} lost");
        if is_over && self.is_path_open {
            assert_eq!(self.engine.untold(), 0);
            assert!(self.has_lost_notes || told == lost, "told of {told}, {lost} lost");
        }
    }
}

/// `EVENTLOG_PROOF=1` runs a million; `EVENTLOG_SEED` one.
#[test]
fn in_every_schedule_the_account_is_true_and_nothing_is_stored_twice() {
    if let Ok(seed) = std::env::var("EVENTLOG_SEED") {
        return World::new(seed.parse().expect("a number")).run();
    }
    let is_proof = std::env::var_os("EVENTLOG_PROOF").is_some_and(|value| value == "1");
    for seed in 0..if is_proof { 1_000_000 } else { 20_000 } {
        let run = std::panic::catch_unwind(|| World::new(seed).run());
        assert!(run.is_ok(), "EVENTLOG_SEED={seed} repeats it");
    }
}

/// Without faults that lose events, every one is stored, in order.
#[test]
fn after_an_outage_everything_is_sent_in_order() {
    let options = Arc::new(Options::new().enabled(true).queue(100_000, 1 << 30));
    let mut engine: Engine<u64> = Engine::new(Arc::clone(&options));
    let (mut now, mut sent) = (Duration::ZERO, Vec::new());
    let ended = Duration::from_secs(60);
    let wall = SystemTime::UNIX_EPOCH;
    let mut n = 0;
    while now < ended + Duration::from_secs(30) {
        if now < ended {
            n += 1;
            let mut event = Event::new("ping").data(&serde_json::json!({ "n": n }));
            let admission = event.admit(&options, wall);
            let taken = engine.submit(event, admission, None, || now, wall);
            assert!(matches!(taken, Submitted::Queued { .. }));
        }
        if let Action::Send(batch) = engine.poll(now) {
            if now < ended {
                engine.failed(Error::connection("connection refused"), now, wall, 0.5);
            } else {
                let written = batch.events.len() as u64;
                sent.extend(batch.events.iter().map(|event| event.payload().to_owned()));
                engine.answered(Answer { written, ..Answer::default() });
            }
        }
        now += Duration::from_millis(1);
    }
    let stats = engine.stats();
    assert_eq!((stats.written, stats.submitted, stats.dropped), (60_000, 60_000, 0), "{stats}");
    let expected: Vec<String> = (1..=60_000).map(|n| format!("{{\"n\":{n}}}")).collect();
    assert_eq!(sent, expected);
}
