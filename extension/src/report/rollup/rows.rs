//! The rows of the rollups, in the order of their indexes. Texts are ordered by their bytes, which the
//! collation of a database may do otherwise: that costs a little time, and nothing else.

use std::collections::HashMap;

use crate::pg::rows::RowSink;
use crate::report::quarters::{self, DAY};
use crate::report::rollup::counts::{Active, Counts, Group, HOUR, Measures};

/// The places of tenants and texts in their order.
struct Order {
    tenants: Vec<u32>,
    texts: Vec<u32>,
}

impl Order {
    fn of(counts: &Counts) -> Self {
        Order { tenants: counts.tenants.ranks(), texts: counts.texts.ranks() }
    }

    fn tenant(&self, group: &Group) -> u32 {
        self.tenants[group.tenant as usize]
    }

    fn text(&self, number: u32) -> u32 {
        self.texts[number as usize]
    }
}

fn add_measures(rows: &mut RowSink, measures: &Measures) {
    let pairs: Vec<f64> = measures
        .histogram
        .iter()
        .flat_map(|(bucket, weight)| [f64::from(*bucket), *weight])
        .collect();
    rows.bigint(measures.events)
        .double(measures.weighted_events)
        .double(measures.failures)
        .double(measures.successes)
        .double(measures.duration_count)
        .double(measures.duration_sum)
        .doubles(&pairs);
}

fn add_active(rows: &mut RowSink, quarters: &[u16]) {
    let days = quarters.iter().fold(0, |days, quarter| days | 1 << (quarter / 96));
    rows.int(days).bytes(&quarters::bytes(quarters));
}

impl Counts {
    fn tenant(&self, group: &Group) -> &[u8] {
        self.tenants.value(group.tenant)
    }

    fn text(&self, number: u32) -> &[u8] {
        self.texts.value(number).as_bytes()
    }

    /// Adds up hours to days.
    fn days<'a>(hours: impl Iterator<Item = (&'a Group, &'a Measures)>) -> Vec<(Group, Measures)> {
        let mut days: HashMap<Group, Measures, _> = super::interned::ByNumbers::default();
        for (group, measures) in hours {
            let group = Group { at: group.at.div_euclid(24), ..*group };
            days.entry(group).or_default().merge(measures.clone());
        }
        days.into_iter().collect()
    }

    /// `(tenant_id, hour, name, <measures>)`
    pub(crate) fn hour_rows(&self, rows: &mut RowSink) {
        let order = Order::of(self);
        let mut hours: Vec<_> = self.hours.iter().collect();
        hours.sort_unstable_by_key(|(g, _)| (order.tenant(g), g.at, order.text(g.name)));
        for (group, measures) in hours {
            rows.uuid(self.tenant(group))
                .bigint(i64::from(group.at) * HOUR)
                .bytes(self.text(group.name));
            add_measures(rows, measures);
            rows.end();
        }
    }

    /// `(tenant_id, day, name, <measures>)`
    pub(crate) fn day_rows(&self, rows: &mut RowSink) {
        let order = Order::of(self);
        let mut days = Self::days(self.hours.iter());
        days.sort_unstable_by_key(|(g, _)| (order.tenant(g), g.at, order.text(g.name)));
        for (group, measures) in &days {
            rows.uuid(self.tenant(group)).int(group.at).bytes(self.text(group.name));
            add_measures(rows, measures);
            rows.end();
        }
    }

    /// `(tenant_id, day, name, subject, <measures>, first_at, last_at)`
    pub(crate) fn subject_rows(&self, rows: &mut RowSink) {
        let order = Order::of(self);
        let mut subjects: Vec<_> = self.subjects.iter().collect();
        subjects.sort_unstable_by_key(|(g, _)| {
            (order.tenant(g), g.at, order.text(g.name), order.text(g.value))
        });
        for (group, subject) in subjects {
            rows.uuid(self.tenant(group))
                .int(group.at)
                .bytes(self.text(group.name))
                .bytes(self.text(group.value));
            add_measures(rows, &subject.measures);
            rows.bigint(subject.first_at).bigint(subject.last_at).end();
        }
    }

    /// `(tenant_id, month, name, actor, days, quarters)`, with rows of all names together.
    pub(crate) fn actor_rows(&self, rows: &mut RowSink) {
        let order = Order::of(self);
        // By tenant, actor and month first, so that all names of them are together.
        let mut actors: Vec<_> = self.actors.iter().collect();
        actors.sort_unstable_by_key(|(g, _)| (order.tenant(g), g.at, order.text(g.value)));
        let is_same = |a: &(&Group, &Active), b: &(&Group, &Active)| {
            (a.0.tenant, a.0.at, a.0.value) == (b.0.tenant, b.0.at, b.0.value)
        };
        let mut all_names: Vec<(Group, Vec<u16>)> = Vec::new();
        for names in actors.chunk_by(is_same) {
            let mut quarters = names[0].1.quarters.clone();
            for (_, active) in &names[1..] {
                active.quarters.iter().for_each(|q| {
                    quarters::insert(&mut quarters, *q);
                });
            }
            all_names.push((*names[0].0, quarters));
        }
        // A name is not empty, so the rows of all names come first.
        actors.sort_unstable_by_key(|(g, _)| {
            (order.tenant(g), order.text(g.name), g.at, order.text(g.value))
        });
        let mut of_names = actors.into_iter().peekable();
        for of_tenant in all_names.chunk_by(|a, b| a.0.tenant == b.0.tenant) {
            for (group, quarters) in of_tenant {
                self.actor_row(rows, group, b"", quarters);
            }
            let tenant = of_tenant[0].0.tenant;
            while let Some((group, active)) = of_names.next_if(|(g, _)| g.tenant == tenant) {
                self.actor_row(rows, group, self.text(group.name), &active.quarters);
            }
        }
    }

    fn actor_row(&self, rows: &mut RowSink, group: &Group, name: &[u8], quarters: &[u16]) {
        rows.uuid(self.tenant(group)).int(group.at).bytes(name).bytes(self.text(group.value));
        add_active(rows, quarters);
        rows.end();
    }

    /// `(tenant_id, name, actor, first_at)`, with rows of all names together.
    pub(crate) fn first_rows(&self, rows: &mut RowSink) {
        let order = Order::of(self);
        // A name of 0 stands for all names; the others are one higher.
        let mut firsts: HashMap<Group, i64, _> = super::interned::ByNumbers::default();
        for (group, active) in &self.actors {
            if self.text(group.value).is_empty() {
                continue;
            }
            for name in [0, group.name + 1] {
                let first =
                    firsts.entry(Group { at: 0, name, ..*group }).or_insert(active.first_at);
                *first = active.first_at.min(*first);
            }
        }
        let mut firsts: Vec<(Group, i64)> = firsts.into_iter().collect();
        let name_of = |group: &Group| group.name.checked_sub(1);
        firsts.sort_unstable_by_key(|(g, _)| {
            (order.tenant(g), name_of(g).map(|name| order.text(name)), order.text(g.value))
        });
        for (group, first_at) in &firsts {
            rows.uuid(self.tenant(group))
                .bytes(name_of(group).map_or(b"", |name| self.text(name)))
                .bytes(self.text(group.value))
                .bigint(*first_at)
                .end();
        }
    }

    fn sorted_keys<'a>(&self, keys: &mut [(&'a Group, &'a Measures)]) {
        let order = Order::of(self);
        keys.sort_unstable_by_key(|(g, _)| {
            (order.tenant(g), order.text(g.key), g.at, order.text(g.name), order.text(g.value))
        });
    }

    /// `(tenant_id, hour, name, key, value, <measures>)`
    pub(crate) fn hour_key_rows(&self, rows: &mut RowSink) {
        let mut keys: Vec<_> = self.keys.iter().collect();
        self.sorted_keys(&mut keys);
        for (group, measures) in keys {
            rows.uuid(self.tenant(group)).bigint(i64::from(group.at) * HOUR);
            self.key_row(rows, group, measures);
        }
    }

    /// `(tenant_id, day, name, key, value, <measures>)`
    pub(crate) fn day_key_rows(&self, rows: &mut RowSink) {
        let days = Self::days(self.keys.iter());
        let mut keys: Vec<_> = days.iter().map(|(group, measures)| (group, measures)).collect();
        self.sorted_keys(&mut keys);
        for (group, measures) in keys {
            rows.uuid(self.tenant(group)).int(group.at);
            self.key_row(rows, group, measures);
        }
    }

    fn key_row(&self, rows: &mut RowSink, group: &Group, measures: &Measures) {
        rows.bytes(self.text(group.name)).bytes(self.text(group.key)).bytes(self.text(group.value));
        add_measures(rows, measures);
        rows.end();
    }

    /// `(tenant_id, key, value, name, month, actor, days, quarters)`
    pub(crate) fn key_actor_rows(&self, rows: &mut RowSink) {
        let order = Order::of(self);
        let mut actors: Vec<_> = self.key_actors.iter().collect();
        actors.sort_unstable_by_key(|((g, actor), _)| {
            (
                order.tenant(g),
                order.text(g.key),
                order.text(g.value),
                order.text(g.name),
                g.at,
                order.text(*actor),
            )
        });
        for ((group, actor), active) in actors {
            rows.uuid(self.tenant(group))
                .bytes(self.text(group.key))
                .bytes(self.text(group.value))
                .bytes(self.text(group.name))
                .int(group.at)
                .bytes(self.text(*actor));
            add_active(rows, &active.quarters);
            rows.end();
        }
    }

    /// Returns how many rows there are of hours, days, subjects, actors, firsts, hours of keys, days of
    /// keys and actors of keys, at most.
    pub(crate) fn sizes(&self) -> [usize; 8] {
        let (hours, actors, keys) = (self.hours.len(), self.actors.len(), self.keys.len());
        let subjects = self.subjects.len();
        [hours, hours, subjects, 2 * actors, 2 * actors, keys, keys, self.key_actors.len()]
    }
}

const _: () = assert!(DAY == 24 * HOUR);
