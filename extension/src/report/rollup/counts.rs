//! The counts of all rollups.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use pgrx::PgSqlErrorCode;

use crate::error::Fault;
use crate::pg::datum::Jsonb;
use crate::pg::server;
use crate::report::histogram::bucket_of;
use crate::report::quarters::{self, DAY};
use crate::report::rollup::interned::{ByNumbers, Interned};
use crate::report::rollup::measure::{self, Event, Measure, NO_RULES, Rules};

/// An hour in microseconds.
pub(crate) const HOUR: i64 = DAY / 24;
/// Uncountable events that a message lists.
const LISTED: usize = 5;
/// Bytes that a bucket and a quarter take in lists that double when they are full.
const OF_BUCKET: usize = 2 * size_of::<(i32, f64)>();
pub(crate) const OF_QUARTER: usize = 2 * size_of::<u16>();
/// The counts of a process take at most this many times `maintenance_work_mem`, of which PostgreSQL's
/// default is 64 MB: room for two million events of the benchmark. The counts of a second process that are
/// merged and the rows made from them take up to twice as much again.
const TIMES_WORK_MEM: usize = 4;

/// A group of a rollup: the numbers of the tenant and of texts, and a time, in hours, days, or days of
/// which a month is the first. What a rollup is not by is 0.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Group {
    pub(crate) tenant: u32,
    pub(crate) name: u32,
    pub(crate) key: u32,
    pub(crate) value: u32,
    pub(crate) at: i32,
}

/// The measures of a group of events; the columns that the rollups of counts share.
#[derive(Clone, Default)]
pub(crate) struct Measures {
    pub(crate) events: i64,
    pub(crate) weighted_events: f64,
    pub(crate) failures: f64,
    pub(crate) successes: f64,
    pub(crate) duration_count: f64,
    pub(crate) duration_sum: f64,
    /// Buckets and their weights, in the order of the buckets.
    pub(crate) histogram: Vec<(i32, f64)>,
}

impl Measures {
    /// Adds an event, and returns the bytes that this takes besides.
    fn add(&mut self, event: Measure) -> usize {
        self.events += 1;
        self.weighted_events += event.weight;
        match event.has_failed {
            Some(true) => self.failures += event.weight,
            Some(false) => self.successes += event.weight,
            None => {}
        }
        if let Some(duration) = event.duration {
            self.duration_count += event.weight;
            self.duration_sum += event.weight * duration;
            return self.add_bucket(bucket_of(duration), event.weight);
        }
        0
    }

    fn add_bucket(&mut self, bucket: i32, weight: f64) -> usize {
        match self.histogram.binary_search_by_key(&bucket, |(bucket, _)| *bucket) {
            Ok(at) => self.histogram[at].1 += weight,
            Err(at) => {
                self.histogram.insert(at, (bucket, weight));
                return OF_BUCKET;
            }
        }
        0
    }

    /// Adds other measures, and returns the bytes that this takes besides.
    pub(crate) fn merge(&mut self, other: Measures) -> usize {
        self.events += other.events;
        self.weighted_events += other.weighted_events;
        self.failures += other.failures;
        self.successes += other.successes;
        self.duration_count += other.duration_count;
        self.duration_sum += other.duration_sum;
        if self.histogram.is_empty() {
            self.histogram = other.histogram;
            self.histogram.len() * OF_BUCKET
        } else {
            let buckets = other.histogram.into_iter();
            buckets.map(|(bucket, weight)| self.add_bucket(bucket, weight)).sum()
        }
    }
}

/// The measures of a subject on a day.
pub(crate) struct Subject {
    pub(crate) measures: Measures,
    pub(crate) first_at: i64,
    pub(crate) last_at: i64,
}

/// The activity of an actor in a month.
pub(crate) struct Active {
    pub(crate) quarters: Vec<u16>,
    pub(crate) first_at: i64,
}

impl Active {
    /// Adds a quarter, and returns the bytes that this takes besides.
    fn add(&mut self, quarter: u16, at: i64) -> usize {
        self.first_at = self.first_at.min(at);
        if quarters::insert(&mut self.quarters, quarter) { OF_QUARTER } else { 0 }
    }

    /// Adds the quarters of another, and returns the bytes that this takes besides.
    pub(crate) fn merge(&mut self, other: &Active) -> usize {
        other.quarters.iter().map(|quarter| self.add(*quarter, other.first_at)).sum()
    }
}

/// Events that cannot be counted.
#[derive(Default)]
pub(crate) struct Uncountable {
    pub(crate) events: i64,
    /// The lowest ids, with the column that is at fault.
    pub(crate) listed: Vec<(i64, Box<str>)>,
}

impl Uncountable {
    pub(crate) fn list(&mut self, id: i64, column: &str) {
        let at = self.listed.partition_point(|(listed, _)| *listed < id);
        if at < LISTED {
            self.listed.insert(at, (id, column.into()));
            self.listed.truncate(LISTED);
        }
    }

    /// Returns what a message says of them.
    pub(crate) fn told(&self) -> Option<String> {
        if self.events == 0 {
            return None;
        }
        let listed: Vec<String> =
            self.listed.iter().map(|(id, column)| format!("id {id} ({column})")).collect();
        let more = self.events - listed.len() as i64;
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        Some(listed.join(", ") + &more)
    }
}

/// The counts of all rollups, of as many events as were added.
#[derive(Default)]
pub(crate) struct Counts {
    /// The rules of event types, once they are read.
    rules: Option<HashMap<Box<str>, Rules>>,
    /// Another process's counts as bytes, of which nothing is read yet.
    unread: Vec<u8>,
    pub(crate) tenants: Interned<[u8]>,
    /// Names, keys, values, subjects and actors.
    pub(crate) texts: Interned<str>,
    /// By tenant, name and hour.
    pub(crate) hours: ByNumbers<Group, Measures>,
    /// By tenant, name, subject (as value) and day.
    pub(crate) subjects: ByNumbers<Group, Subject>,
    /// By tenant, name, actor (as value) and month.
    pub(crate) actors: ByNumbers<Group, Active>,
    /// By tenant, name, key, value and hour.
    pub(crate) keys: ByNumbers<Group, Measures>,
    /// By tenant, name, key, value and month, and the actor.
    pub(crate) key_actors: ByNumbers<(Group, u32), Active>,
    pub(crate) uncountable: Uncountable,
    /// Bytes of the lists in all measures and activities.
    pub(crate) lists: usize,
}

/// Returns the bytes of a map, about: a third to half of its places are free.
fn bytes_of<K, V>(map: &ByNumbers<K, V>) -> usize {
    map.len() * 2 * size_of::<(K, V)>()
}

impl Counts {
    /// Raises 53200 if the counts take more memory than they may. It lies outside of what PostgreSQL
    /// manages, and the server ends as a whole if it cannot be had.
    pub(crate) fn check_size(&self) {
        let most = TIMES_WORK_MEM * server::maintenance_work_mem();
        let bytes = self.tenants.bytes()
            + self.texts.bytes()
            + bytes_of(&self.hours)
            + bytes_of(&self.subjects)
            + bytes_of(&self.actors)
            + bytes_of(&self.keys)
            + bytes_of(&self.key_actors)
            + self.lists;
        if bytes > most {
            Fault::new(
                PgSqlErrorCode::ERRCODE_OUT_OF_MEMORY,
                format!("the counts of the rollups take more than {} MB of memory", most >> 20),
            )
            .detail(format!("The limit is {TIMES_WORK_MEM} times maintenance_work_mem."))
            .hint("SET maintenance_work_mem = '256MB';")
            .raise();
        }
    }

    /// Takes another process's counts, without reading them yet.
    pub(crate) fn unread(bytes: &[u8]) -> Self {
        Counts { unread: bytes.to_vec(), ..Counts::default() }
    }

    /// Adds the counts of another process.
    pub(crate) fn merge(&mut self, other: &Counts) {
        match other.unread.as_slice() {
            [] => self.merge_bytes(&other.to_bytes()),
            unread => self.merge_bytes(unread),
        }
    }

    /// Returns true if the rules of event types are still to be given.
    pub(crate) fn lacks_rules(&self) -> bool {
        self.rules.is_none()
    }

    /// Sets the rules of event types: an object of rows by name.
    pub(crate) fn set_rules(&mut self, rules: Jsonb<'_>) {
        self.rules = Some(measure::read(rules));
    }

    /// Counts an event.
    pub(crate) fn add(&mut self, event: &Event<'_>) {
        if let Some(column) = event.uncountable_column() {
            self.uncountable.events += 1;
            self.uncountable.list(event.id, column);
            return;
        }
        let rules =
            self.rules.as_ref().and_then(|rules| rules.get(event.name)).unwrap_or(&NO_RULES);
        let measure = rules.measure(event);
        let tenant = self.tenants.number(event.tenant_id.as_slice());
        let name = self.texts.number(event.name);
        let hour = event.created_at.div_euclid(HOUR) as i32;
        let day = hour.div_euclid(24);
        let group = Group { tenant, name, key: 0, value: 0, at: hour };
        self.lists += self.hours.entry(group).or_default().add(measure);

        if let Some(subject) = event.subject
            && rules.count_subjects
        {
            let value = self.texts.number(subject);
            match self.subjects.entry(Group { value, at: day, ..group }) {
                Entry::Occupied(mut known) => {
                    let known = known.get_mut();
                    self.lists += known.measures.add(measure);
                    known.first_at = known.first_at.min(event.created_at);
                    known.last_at = known.last_at.max(event.created_at);
                }
                Entry::Vacant(new) => {
                    let mut measures = Measures::default();
                    self.lists += measures.add(measure);
                    let at = event.created_at;
                    new.insert(Subject { measures, first_at: at, last_at: at });
                }
            }
        }

        let (month, quarter) = quarters::quarter_of(event.created_at);
        let actor = event.actor.map(|actor| self.texts.number(actor));
        let new = || Active { quarters: Vec::new(), first_at: event.created_at };
        if let Some(value) = actor {
            self.lists += self
                .actors
                .entry(Group { value, at: month, ..group })
                .or_insert_with(new)
                .add(quarter, event.created_at);
        }

        for key in &rules.count_keys {
            let Some(value) = measure::counted_value(event.data, key) else { continue };
            let (key, value) = (self.texts.number(&**key), self.texts.number(&*value));
            let group = Group { key, value, ..group };
            self.lists += self.keys.entry(group).or_default().add(measure);
            if let Some(actor) = actor.filter(|_| event.actor != Some("")) {
                self.lists += self
                    .key_actors
                    .entry((Group { at: month, ..group }, actor))
                    .or_insert_with(new)
                    .add(quarter, event.created_at);
            }
        }
        self.check_size();
    }
}
