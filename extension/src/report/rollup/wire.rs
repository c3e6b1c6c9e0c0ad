//! Counts as bytes, on their way from a worker to the leader of a parallel query: a table of tenants
//! and one of texts, then each rollup's groups, which refer to the tables by number.

use std::collections::hash_map::Entry;

use crate::report::rollup::counts::{Active, Counts, Group, Measures, OF_QUARTER, Subject};

struct Writer(Vec<u8>);

impl Writer {
    fn u32(&mut self, number: u32) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn i64(&mut self, number: i64) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn f64(&mut self, number: f64) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn length(&mut self, length: usize) {
        self.u32(length as u32);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    fn group(&mut self, group: &Group) {
        let Group { tenant, name, key, value, at } = *group;
        for number in [tenant, name, key, value, at as u32] {
            self.u32(number);
        }
    }

    fn measures(&mut self, measures: &Measures) {
        self.i64(measures.events);
        self.f64(measures.weighted_events);
        self.f64(measures.failures);
        self.f64(measures.successes);
        self.length(measures.histogram.len());
        if !measures.histogram.is_empty() {
            self.f64(measures.duration_count);
            self.f64(measures.duration_sum);
        }
        for (bucket, weight) in &measures.histogram {
            self.u32(*bucket as u32);
            self.f64(*weight);
        }
    }

    fn active(&mut self, active: &Active) {
        self.i64(active.first_at);
        self.length(active.quarters.len());
        for quarter in &active.quarters {
            self.0.extend_from_slice(&quarter.to_le_bytes());
        }
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        taken
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take(4).try_into().expect("four bytes"))
    }

    fn i64(&mut self) -> i64 {
        i64::from_le_bytes(self.take(8).try_into().expect("eight bytes"))
    }

    fn f64(&mut self) -> f64 {
        f64::from_le_bytes(self.take(8).try_into().expect("eight bytes"))
    }

    fn length(&mut self) -> usize {
        self.u32() as usize
    }

    fn bytes(&mut self) -> &'a [u8] {
        let length = self.length();
        self.take(length)
    }

    fn measures(&mut self) -> Measures {
        let mut measures = Measures {
            events: self.i64(),
            weighted_events: self.f64(),
            failures: self.f64(),
            successes: self.f64(),
            ..Measures::default()
        };
        let buckets = self.length();
        if buckets > 0 {
            measures.duration_count = self.f64();
            measures.duration_sum = self.f64();
            measures.histogram = (0..buckets).map(|_| (self.u32() as i32, self.f64())).collect();
        }
        measures
    }

    fn active(&mut self) -> Active {
        let first_at = self.i64();
        let quarters = (0..self.length())
            .map(|_| u16::from_le_bytes(self.take(2).try_into().expect("two bytes")));
        Active { quarters: quarters.collect(), first_at }
    }
}

/// The numbers here of another's tenants and texts.
struct Numbers {
    tenants: Vec<u32>,
    texts: Vec<u32>,
}

impl Numbers {
    /// Returns the number of a text. What a rollup is not by is 0, whatever text that is.
    fn text(&self, theirs: u32) -> u32 {
        self.texts.get(theirs as usize).copied().unwrap_or(0)
    }

    fn group(&self, bytes: &mut Reader<'_>, of: Rollup) -> Group {
        let tenant = self.tenants[bytes.u32() as usize];
        let name = self.text(bytes.u32());
        let (key, value) = (bytes.u32(), bytes.u32());
        let at = bytes.u32() as i32;
        let key = if of == Rollup::Keys { self.text(key) } else { 0 };
        let value = if of == Rollup::Names { 0 } else { self.text(value) };
        Group { tenant, name, key, value, at }
    }
}

/// What a rollup is by, besides tenant, name and time.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rollup {
    Names,
    Values,
    Keys,
}

/// Adds an activity to a map, and returns the bytes of the lists that this takes.
fn merge_active<K>(entry: Entry<'_, K, Active>, active: Active) -> usize {
    match entry {
        Entry::Occupied(mut known) => known.get_mut().merge(&active),
        Entry::Vacant(new) => new.insert(active).quarters.len() * OF_QUARTER,
    }
}

impl Counts {
    /// Returns the counts as bytes.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Writer(Vec::new());
        bytes.length(self.tenants.values().len());
        self.tenants.values().for_each(|tenant| bytes.bytes(tenant));
        bytes.length(self.texts.values().len());
        self.texts.values().for_each(|text| bytes.bytes(text.as_bytes()));
        bytes.length(self.hours.len());
        for (group, measures) in &self.hours {
            bytes.group(group);
            bytes.measures(measures);
        }
        bytes.length(self.subjects.len());
        for (group, subject) in &self.subjects {
            bytes.group(group);
            bytes.i64(subject.first_at);
            bytes.i64(subject.last_at);
            bytes.measures(&subject.measures);
        }
        bytes.length(self.actors.len());
        for (group, active) in &self.actors {
            bytes.group(group);
            bytes.active(active);
        }
        bytes.length(self.keys.len());
        for (group, measures) in &self.keys {
            bytes.group(group);
            bytes.measures(measures);
        }
        bytes.length(self.key_actors.len());
        for ((group, actor), active) in &self.key_actors {
            bytes.group(group);
            bytes.u32(*actor);
            bytes.active(active);
        }
        bytes.i64(self.uncountable.events);
        bytes.length(self.uncountable.listed.len());
        for (id, column) in &self.uncountable.listed {
            bytes.i64(*id);
            bytes.bytes(column.as_bytes());
        }
        bytes.0
    }

    /// Adds counts of another process, which `to_bytes` gave there.
    pub(crate) fn merge_bytes(&mut self, bytes: &[u8]) {
        let bytes = &mut Reader(bytes);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let numbers = Numbers {
            tenants: (0..bytes.length()).map(|_| self.tenants.number(bytes.bytes())).collect(),
            texts: (0..bytes.length()).map(|_| self.texts.number(&*text(bytes.bytes()))).collect(),
        };
        let hours = bytes.length();
        self.hours.reserve(hours);
        for _ in 0..hours {
            let group = numbers.group(bytes, Rollup::Names);
            self.lists += self.hours.entry(group).or_default().merge(bytes.measures());
            self.check_size();
        }
        let subjects = bytes.length();
        self.subjects.reserve(subjects);
        for _ in 0..subjects {
            let group = numbers.group(bytes, Rollup::Values);
            let (first_at, last_at) = (bytes.i64(), bytes.i64());
            let measures = Measures::default();
            let known =
                self.subjects.entry(group).or_insert(Subject { measures, first_at, last_at });
            known.first_at = known.first_at.min(first_at);
            known.last_at = known.last_at.max(last_at);
            self.lists += known.measures.merge(bytes.measures());
            self.check_size();
        }
        let actors = bytes.length();
        self.actors.reserve(actors);
        for _ in 0..actors {
            let group = numbers.group(bytes, Rollup::Values);
            let active = bytes.active();
            self.lists += merge_active(self.actors.entry(group), active);
            self.check_size();
        }
        let keys = bytes.length();
        self.keys.reserve(keys);
        for _ in 0..keys {
            let group = numbers.group(bytes, Rollup::Keys);
            self.lists += self.keys.entry(group).or_default().merge(bytes.measures());
            self.check_size();
        }
        for _ in 0..bytes.length() {
            let group = numbers.group(bytes, Rollup::Keys);
            let actor = numbers.text(bytes.u32());
            let active = bytes.active();
            self.lists += merge_active(self.key_actors.entry((group, actor)), active);
            self.check_size();
        }
        self.uncountable.events += bytes.i64();
        for _ in 0..bytes.length() {
            let id = bytes.i64();
            self.uncountable.list(id, &text(bytes.bytes()));
        }
    }
}
