//! Tests of the engine step by step, for rules that random schedules do not show.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use uuid::Uuid;

use super::{Action, Engine, Instant, Submitted};
use crate::engine::batch::{Answer, Batch};
use crate::engine::loss::EVENTS_LOST;
use crate::error::Kind;
use crate::{Error, Event, Options, WhenFull};

struct Steps {
    options: Arc<Options>,
    engine: Engine<()>,
    now: Instant,
}

impl Steps {
    fn new(options: Options) -> Self {
        let options = Arc::new(options.enabled(true));
        let engine = Engine::new(Arc::clone(&options));
        Steps { options, engine, now: Duration::ZERO }
    }

    /// Logs an event; returns whether it wakes the sender, or `None` if it was not taken.
    fn log(&mut self) -> Option<bool> {
        self.log_event(Event::new("ping"))
    }

    fn log_of(&mut self, tenant: u128) {
        assert!(self.log_event(Event::new("ping").tenant(Uuid::from_u128(tenant))).is_some());
    }

    fn log_event(&mut self, mut event: Event) -> Option<bool> {
        let (wall, now) = (SystemTime::UNIX_EPOCH, self.now);
        let admission = event.admit(&self.options, wall);
        match self.engine.submit(event, admission, None, || now, wall) {
            Submitted::Queued { wakes } => Some(wakes),
            Submitted::Refused(..) => None,
            other => panic!("{other:?}"),
        }
    }

    fn log_all(&mut self, events: usize) -> usize {
        (0..events).filter(|_| self.log() == Some(true)).count()
    }

    fn sent(&mut self) -> Option<Arc<Batch>> {
        match self.engine.poll(self.now) {
            Action::Send(batch) => Some(batch),
            _ => None,
        }
    }

    fn answer(&mut self, batch: &Batch) {
        let written = batch.events.len() as u64;
        self.engine.answered(batch.place, Answer { written, ..Answer::default() }, self.now);
    }

    /// Sends a batch and answers it; returns its number of events and of notes.
    fn round(&mut self) -> Option<(usize, usize)> {
        let batch = self.sent()?;
        self.answer(&batch);
        let notes = batch.events.iter().filter(|event| event.name.as_str() == EVENTS_LOST).count();
        Some((batch.events.len() - notes, notes))
    }
}

#[test]
fn two_hundred_events_are_sent_at_once_and_up_to_a_thousand_from_a_backlog() {
    let mut steps = Steps::new(Options::new());
    steps.log_all(199);
    assert!(steps.sent().is_none());
    steps.log();
    let batch = steps.sent().expect("a batch");
    assert_eq!(batch.events.len(), 200);
    // While it is in flight.
    steps.log_all(2_300);
    steps.answer(&batch);
    assert_eq!(steps.round(), Some((1_000, 0)));
    assert_eq!(steps.round(), Some((1_000, 0)));
    assert_eq!(steps.round(), Some((300, 0)));
    // A batch size that is set is not exceeded.
    let mut steps = Steps::new(Options::new().batch_events(50));
    steps.log_all(120);
    assert_eq!(steps.round(), Some((50, 0)));
    assert_eq!(steps.round(), Some((50, 0)));
    assert_eq!(steps.round(), None);
}

#[test]
fn half_a_queue_is_sent_at_once_where_a_batch_would_not_fit() {
    let mut steps = Steps::new(Options::new().queue(100, 1 << 20));
    steps.log_all(49);
    assert!(steps.sent().is_none());
    steps.log();
    assert_eq!(steps.round(), Some((50, 0)));
}

#[test]
fn the_sender_is_woken_when_asleep_and_once_for_a_batch_when_dozing() {
    let mut steps = Steps::new(Options::new());
    let linger = steps.options.linger;
    // The sender looks again for a while, then sleeps.
    assert!(matches!(steps.engine.poll(steps.now), Action::Wait(Some(at)) if at == linger));
    steps.now = linger;
    assert!(matches!(steps.engine.poll(steps.now), Action::Wait(None)));
    assert_eq!(steps.log(), Some(true));
    assert_eq!(steps.log(), Some(false), "it is awake");
    // The sender dozes until the first event is due, or a batch can be expected.
    let Action::Wait(Some(first)) = steps.engine.poll(steps.now) else { panic!() };
    assert!(first < linger * 2);
    steps.now = first;
    let Action::Wait(Some(at)) = steps.engine.poll(steps.now) else { panic!() };
    assert_eq!(at, linger * 2, "at two events in so long there will be no batch before");
    assert_eq!(steps.log_all(400), 1);
    assert_eq!(steps.round(), Some((402, 0)));
}

#[test]
fn at_a_steady_rate_the_sender_looks_by_itself_and_no_caller_wakes_it() {
    let mut steps = Steps::new(Options::new());
    let (mut look, mut looks, mut wakes, mut sent) = (Duration::ZERO, 0, 0, 0);
    let mut in_flight: Option<(Arc<Batch>, Instant)> = None;
    // 20,000 events a second, for ten seconds; a batch takes 5 ms.
    for n in 0..200_000_u32 {
        steps.now = Duration::from_micros(50) * n;
        let is_woken = steps.log() == Some(true);
        wakes += u32::from(is_woken);
        if let Some((batch, _)) = in_flight.take_if(|(_, at)| steps.now >= *at) {
            steps.answer(&batch);
            look = steps.now;
        }
        if in_flight.is_some() || (steps.now < look && !is_woken) {
            continue;
        }
        looks += 1;
        match steps.engine.poll(steps.now) {
            Action::Send(batch) => {
                sent += batch.events.len();
                in_flight = Some((batch, steps.now + Duration::from_millis(5)));
            }
            Action::Wait(until) => look = until.unwrap_or(Duration::MAX),
            Action::End => panic!(),
        }
    }
    assert!(sent > 199_000 && wakes <= 10 && looks < 4_000, "{sent} {wakes} {looks}");
}

#[test]
fn notes_of_losses_that_go_on_come_every_ten_seconds_and_take_no_events_place() {
    let mut steps = Steps::new(Options::new().batch_events(10).queue(20, 1 << 20));
    let (mut events, mut notes, mut taken) = (0, 0, 0);
    // A minute at twice the rate that there is room for.
    for _ in 0..6_000 {
        steps.now += Duration::from_millis(10);
        for _ in 0..20 {
            taken += usize::from(steps.log().is_some());
        }
        let (more, note) = steps.round().expect("a batch");
        assert_eq!(more, 10, "each batch is full of events");
        (events, notes) = (events + more, notes + note);
    }
    assert_eq!(notes, 6);
    assert!(taken - events <= 20);
    // A writer that closes reports the remaining losses.
    steps.engine.close();
    let rounds: Vec<_> = std::iter::from_fn(|| steps.round()).collect();
    assert_eq!(rounds.iter().map(|(_, notes)| notes).sum::<usize>(), 1);
    assert!(steps.engine.is_closed());
    let stats = steps.engine.stats();
    assert_eq!(stats.written, (taken + notes + 1) as u64, "{stats}");
}

/// Returns the tenants of a batch.
fn tenants(batch: &Batch) -> Vec<u128> {
    let tenants = batch.events.iter().map(|event| event.tenant_id.unwrap().as_u128());
    tenants.collect::<std::collections::BTreeSet<_>>().into_iter().collect()
}

#[test]
fn a_tenant_that_stalls_waits_by_itself_and_never_in_all_places() {
    let mut steps = Steps::new(Options::new().in_flight(2).linger(Duration::ZERO));
    let fail = |steps: &mut Steps, batch: Arc<Batch>| {
        let error = Error::rejected(Some("55P03".into()), "locked").with_kind(Kind::Transient);
        let place = batch.place;
        drop(batch);
        steps.engine.failed(place, error, steps.now, SystemTime::UNIX_EPOCH, 1.0);
    };
    (1..=3).for_each(|tenant| steps.log_of(tenant));
    let shared = steps.sent().expect("a batch");
    assert_eq!(tenants(&shared), [1, 2, 3]);
    fail(&mut steps, shared);
    // Each tenant goes alone now, and one place is left for a tenant that was not in the batch.
    let alone = steps.sent().expect("a batch");
    assert_eq!(tenants(&alone), [1]);
    assert!(steps.sent().is_none());
    steps.log_of(4);
    let healthy = steps.sent().expect("a batch");
    assert_eq!(tenants(&healthy), [4]);
    steps.answer(&healthy);
    fail(&mut steps, alone);
    assert_eq!(steps.engine.health(steps.now).stalled_tenants, 1);
    for expected in [2, 3] {
        let batch = steps.sent().expect("a batch");
        assert_eq!(tenants(&batch), [expected]);
        steps.answer(&batch);
    }
    // The tenant is tried again after a while, with its newer events, and shares no batch.
    steps.log_of(1);
    steps.log_of(2);
    let batch = steps.sent().expect("a batch");
    assert_eq!(tenants(&batch), [2]);
    steps.answer(&batch);
    assert!(steps.sent().is_none());
    steps.now += Duration::from_secs(1);
    let batch = steps.sent().expect("a batch");
    assert_eq!((tenants(&batch), batch.events.len()), (vec![1], 2));
    steps.answer(&batch);
    assert_eq!(steps.engine.health(steps.now).stalled_tenants, 0);
    // It goes apart for ten seconds, then it shares batches again.
    steps.now += Duration::from_secs(20);
    steps.log_of(1);
    steps.log_of(2);
    assert_eq!(tenants(&steps.sent().expect("a batch")), [1, 2]);
    assert!(steps.engine.stats().is_balanced());
}

#[test]
fn a_flood_of_one_tenant_delays_the_others_by_no_batch() {
    let mut steps = Steps::new(Options::new());
    (0..5_000).for_each(|_| steps.log_of(1));
    let flood = steps.sent().expect("a batch");
    assert_eq!(tenants(&flood), [1]);
    steps.log_of(2);
    steps.now += steps.options.linger;
    assert_eq!(tenants(&steps.sent().expect("a batch")), [2], "while the flood is under way");
    // In a shared batch each tenant has its turn.
    let mut steps = Steps::new(Options::new().in_flight(1));
    (0..3_000).for_each(|_| steps.log_of(1));
    (2..=5).for_each(|tenant| steps.log_of(tenant));
    let batch = steps.sent().expect("a batch");
    assert_eq!((tenants(&batch), batch.events.len()), (vec![1, 2, 3, 4, 5], 1_000));
}

#[test]
fn an_event_that_does_not_fit_at_all_costs_no_older_one_its_place() {
    let options = Options::new().queue(100, 10_000).when_full(WhenFull::DropOldest);
    let mut steps = Steps::new(options);
    assert_eq!(steps.log_all(10), 0);
    let large = Event::new("ping").data(&serde_json::json!({ "a": "x".repeat(20_000) }));
    assert_eq!(steps.log_event(large), None);
    let stats = steps.engine.stats();
    assert_eq!((stats.pending, stats.dropped), (10, 1), "{stats}");
}
