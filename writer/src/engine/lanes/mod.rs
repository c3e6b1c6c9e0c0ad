//! The queue: a lane of waiting events for each tenant, and which lanes may go next.
//!
//! A tenant's events are in one batch at a time, so its lane is closed while a batch has some. Ready
//! lanes share batches in turns. Lanes of which one holds the others up go *apart*: in groups that
//! are halved until one tenant is alone, and that one waits by itself.

mod take;

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use uuid::Uuid;

use crate::Event;
use crate::engine::clock::Instant;
pub(crate) use take::Taken;

/// The tenant of a lane; `None` is the tenant of the connection.
pub(crate) type Tenant = Option<Uuid>;

/// How long a tenant that was held up is sent by itself.
const APART: Duration = Duration::from_secs(10);

/// A queued event, with its sequence number, its size against the bounds, and the caller that waits
/// for its result.
pub(crate) struct Item<W> {
    pub(crate) seq: u64,
    pub(crate) event: Event,
    pub(crate) size: usize,
    pub(crate) waiter: Option<W>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Has no events.
    Empty,
    /// May share the next batch.
    Ready,
    /// In a group that is sent apart.
    Grouped,
    /// Waits by itself until that time.
    Stalled(Instant),
    /// Has events in a batch in flight.
    InFlight,
}

/// Since when, and how often in a row, a tenant's own batch was held up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stall {
    pub(crate) since: Instant,
    pub(crate) tries: u32,
}

/// The waiting events of one tenant.
struct Lane<W> {
    items: VecDeque<Item<W>>,
    bytes: usize,
    /// Events and bytes in the batch in flight.
    in_flight_size: (usize, usize),
    state: State,
    /// Most events of its next batch, while the event to blame is searched for.
    most: usize,
    stall: Option<Stall>,
    apart_until: Instant,
}

impl<W> Lane<W> {
    fn new() -> Self {
        Lane {
            items: VecDeque::new(),
            bytes: 0,
            in_flight_size: (0, 0),
            state: State::Empty,
            most: usize::MAX,
            stall: None,
            apart_until: Instant::ZERO,
        }
    }

    fn is_apart(&self, now: Instant) -> bool {
        self.most != usize::MAX || self.apart_until > now
    }
}

/// The lanes of all tenants; see the module.
pub(crate) struct Lanes<W> {
    lanes: HashMap<Tenant, Lane<W>>,
    ready: VecDeque<Tenant>,
    groups: VecDeque<Vec<Tenant>>,
    stalled: BTreeSet<(Instant, Tenant)>,
    /// When tenants that go apart share batches again.
    apart: VecDeque<(Instant, Tenant)>,
    events: usize,
    bytes: usize,
    ready_events: usize,
    ready_bytes: usize,
    last: u64,
    first_tenant: Option<Tenant>,
    /// True once events of two tenants were seen.
    has_many: bool,
}

impl<W> Lanes<W> {
    pub(crate) fn new() -> Self {
        Lanes {
            lanes: HashMap::new(),
            ready: VecDeque::new(),
            groups: VecDeque::new(),
            stalled: BTreeSet::new(),
            apart: VecDeque::new(),
            events: 0,
            bytes: 0,
            ready_events: 0,
            ready_bytes: 0,
            last: 0,
            first_tenant: None,
            has_many: false,
        }
    }

    /// Counts the waiting events of all tenants.
    pub(crate) fn len(&self) -> usize {
        self.events
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.events == 0
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns events and bytes that may share the next batch.
    pub(crate) fn ready(&self) -> (usize, usize) {
        (self.ready_events, self.ready_bytes)
    }

    /// Returns the sequence number of the last event that was pushed, even if it is gone.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    pub(crate) fn has_many(&self) -> bool {
        self.has_many
    }

    /// Returns true if an event up to this sequence number waits.
    pub(crate) fn has_up_to(&self, mark: u64) -> bool {
        self.lanes.values().any(|lane| lane.items.front().is_some_and(|item| item.seq <= mark))
    }

    /// Returns true if an event up to this sequence number may share the next batch.
    pub(crate) fn has_ready_up_to(&self, mark: u64) -> bool {
        let head = |tenant| self.lanes.get(tenant).and_then(|lane| lane.items.front());
        self.ready.iter().any(|tenant| head(tenant).is_some_and(|item| item.seq <= mark))
    }

    /// Returns events and bytes of a tenant, waiting and in flight.
    pub(crate) fn held_by(&self, tenant: Tenant) -> (usize, usize) {
        let Some(lane) = self.lanes.get(&tenant) else { return (0, 0) };
        (lane.items.len() + lane.in_flight_size.0, lane.bytes + lane.in_flight_size.1)
    }

    /// Appends an event to its tenant's lane. Returns true if it may go in the next batch. `now` is
    /// called only if the lane was apart.
    pub(crate) fn push(
        &mut self,
        event: Event,
        size: usize,
        waiter: Option<W>,
        now: impl FnOnce() -> Instant,
    ) -> bool {
        self.last += 1;
        let tenant = event.tenant_id;
        self.has_many |= *self.first_tenant.get_or_insert(tenant) != tenant;
        self.events += 1;
        self.bytes += size;
        let lane = self.lanes.entry(tenant).or_insert_with(Lane::new);
        lane.items.push_back(Item { seq: self.last, event, size, waiter });
        lane.bytes += size;
        match lane.state {
            State::Ready => {
                self.ready_events += 1;
                self.ready_bytes += size;
                true
            }
            State::Empty if lane.apart_until > Instant::ZERO && lane.is_apart(now()) => {
                lane.state = State::Grouped;
                self.groups.push_back(vec![tenant]);
                true
            }
            State::Empty => {
                self.make_ready(tenant);
                true
            }
            State::Grouped | State::Stalled(_) | State::InFlight => false,
        }
    }

    fn make_ready(&mut self, tenant: Tenant) {
        let Some(lane) = self.lanes.get_mut(&tenant) else { return };
        lane.state = State::Ready;
        self.ready_events += lane.items.len();
        self.ready_bytes += lane.bytes;
        self.ready.push_back(tenant);
    }

    /// Removes the oldest event of a tenant, or of all tenants.
    pub(crate) fn pop_oldest(&mut self, of: Option<Tenant>) -> Option<Item<W>> {
        let tenant = match of {
            Some(tenant) => tenant,
            None => {
                let heads = self.lanes.iter();
                let heads =
                    heads.filter_map(|(tenant, lane)| Some((lane.items.front()?.seq, *tenant)));
                heads.min()?.1
            }
        };
        let lane = self.lanes.get_mut(&tenant)?;
        let item = lane.items.pop_front()?;
        lane.bytes -= item.size;
        self.events -= 1;
        self.bytes -= item.size;
        if lane.state == State::Ready {
            self.ready_events -= 1;
            self.ready_bytes -= item.size;
        }
        if lane.items.is_empty() && lane.state == State::Ready {
            self.ready.retain(|other| *other != tenant);
            lane.state = State::Empty;
            self.forget_if_idle(tenant, None);
        }
        Some(item)
    }

    /// Returns when a batch may go apart: at once, or when the first held-up tenant has waited enough.
    pub(crate) fn apart_at(&self) -> Option<Instant> {
        match self.groups.is_empty() {
            true => self.stalled.first().map(|(at, _)| *at),
            false => Some(Instant::ZERO),
        }
    }

    /// Puts events of a batch that was not written back at the head of their lanes.
    pub(crate) fn put_back(&mut self, items: impl DoubleEndedIterator<Item = Item<W>>) {
        for item in items.rev() {
            let lane = self.lanes.entry(item.event.tenant_id).or_insert_with(Lane::new);
            self.events += 1;
            self.bytes += item.size;
            lane.bytes += item.size;
            lane.items.push_front(item);
        }
    }

    /// Opens the lane of a tenant whose batch is finished. Returns true if its other events may share
    /// the next batch.
    pub(crate) fn reopen(&mut self, tenant: Tenant, now: Instant) -> bool {
        let Some(lane) = self.lanes.get_mut(&tenant) else { return false };
        lane.in_flight_size = (0, 0);
        if lane.items.is_empty() {
            lane.state = State::Empty;
            self.forget_if_idle(tenant, Some(now));
            return false;
        }
        if lane.is_apart(now) {
            lane.state = State::Grouped;
            self.groups.push_back(vec![tenant]);
            return false;
        }
        self.make_ready(tenant);
        true
    }

    /// Notes that a tenant's batch was answered: it is not held up any more, and its batches may grow.
    pub(crate) fn went_well(&mut self, tenant: Tenant) {
        let Some(lane) = self.lanes.get_mut(&tenant) else { return };
        lane.stall = None;
        if lane.most != usize::MAX {
            lane.most = match lane.most.saturating_mul(4) {
                0..1_000 => lane.most * 4,
                _ => usize::MAX,
            };
        }
    }

    /// Sends these tenants apart, as one group.
    pub(crate) fn group(&mut self, tenants: Vec<Tenant>) {
        for tenant in &tenants {
            if let Some(lane) = self.lanes.get_mut(tenant) {
                lane.in_flight_size = (0, 0);
                lane.state = State::Grouped;
            }
        }
        if !tenants.is_empty() {
            self.groups.push_back(tenants);
        }
    }

    /// Bounds the tenant's batches to so many events, to search for the one to blame.
    pub(crate) fn narrow(&mut self, tenant: Tenant, most: usize) {
        if let Some(lane) = self.lanes.get_mut(&tenant) {
            lane.most = most.max(1);
        }
    }

    /// Notes that a tenant alone in its batch was held up; returns since when and how often.
    pub(crate) fn held_up(&mut self, tenant: Tenant, begun: Instant, now: Instant) -> Stall {
        let stall = Stall { since: begun, tries: 0 };
        let Some(lane) = self.lanes.get_mut(&tenant) else { return Stall { tries: 1, ..stall } };
        let stall = lane.stall.get_or_insert(stall);
        stall.tries = stall.tries.saturating_add(1);
        let stall = *stall;
        self.send_apart(tenant, now);
        stall
    }

    /// Lets a tenant share no batch for ten seconds.
    pub(crate) fn send_apart(&mut self, tenant: Tenant, now: Instant) {
        if let Some(lane) = self.lanes.get_mut(&tenant) {
            lane.apart_until = now + APART;
            self.apart.push_back((lane.apart_until, tenant));
        }
    }

    /// Ends the search: the event to blame is found.
    pub(crate) fn is_found(&mut self, tenants: &[Tenant]) {
        for tenant in tenants {
            if let Some(lane) = self.lanes.get_mut(tenant) {
                lane.stall = None;
            }
        }
    }

    /// Lets a tenant wait by itself until that time.
    pub(crate) fn stall(&mut self, tenant: Tenant, until: Instant) {
        if let Some(lane) = self.lanes.get_mut(&tenant) {
            lane.in_flight_size = (0, 0);
            lane.state = State::Stalled(until);
            self.stalled.insert((until, tenant));
        }
    }

    /// Forgets tenants without events that need not go apart any more.
    pub(crate) fn tidy(&mut self, now: Instant) {
        while let Some(&(until, tenant)) = self.apart.front()
            && until <= now
        {
            self.apart.pop_front();
            self.forget_if_idle(tenant, Some(now));
        }
    }

    fn forget_if_idle(&mut self, tenant: Tenant, now: Option<Instant>) {
        if let Entry::Occupied(lane) = self.lanes.entry(tenant) {
            let is_past = |lane: &Lane<W>| match now {
                Some(now) => lane.apart_until <= now,
                None => lane.apart_until == Instant::ZERO,
            };
            let is_idle = lane.get().state == State::Empty && lane.get().items.is_empty();
            if is_idle && is_past(lane.get()) {
                lane.remove();
            }
        }
    }

    /// Returns the tenants that are held up.
    pub(crate) fn stalled(&self) -> impl Iterator<Item = Tenant> {
        let lanes = self.lanes.iter();
        lanes.filter(|(_, lane)| lane.stall.is_some()).map(|(tenant, _)| *tenant)
    }

    /// Removes and returns all waiting events, in order.
    pub(crate) fn drain(&mut self) -> Vec<Item<W>> {
        let lanes = std::mem::take(&mut self.lanes);
        let mut items: Vec<_> = lanes.into_values().flat_map(|lane| lane.items).collect();
        items.sort_unstable_by_key(|item| item.seq);
        *self = Lanes { last: self.last, ..Lanes::new() };
        items
    }
}
