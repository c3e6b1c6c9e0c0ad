//! Verifies an export with its proofs, without a server.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use eventlog_seal::Hash;
use eventlog_seal::check::{DayCheck, Row, StoredSeal};
use eventlog_seal::form::Form;
use uuid::Uuid;

use super::anchored::compare_anchors;
use super::proofs::{Proofs, TenantDay, difference};
use super::report::Report;
use super::whole::check_whole;
use crate::output::Failure;
use crate::seals::anchors::Anchors;
use crate::seals::event::{self, Event};
use crate::seals::lines::Lines;
use crate::seals::times;

/// An event in memory: 64 bytes.
struct Kept {
    /// Places in [`Names`] of the tenant's day and of the name.
    day: u32,
    name: u32,
    created_at: i64,
    id: i64,
    digest: Hash,
}

/// Values that come often, each kept once.
#[derive(Default)]
struct Names<T>(HashMap<T, u32>, Vec<T>);

impl<T: Clone + Eq + std::hash::Hash> Names<T> {
    fn place(&mut self, value: T) -> u32 {
        let next = self.1.len() as u32;
        *self.0.entry(value).or_insert_with_key(|value| {
            self.1.push(value.clone());
            next
        })
    }
}

/// The events of an export.
#[derive(Default)]
struct Events {
    kept: Vec<Kept>,
    days: Names<TenantDay>,
    names: Names<String>,
}

pub(super) fn verify(
    events: &Path,
    proofs: &Path,
    anchors: Option<&Anchors>,
    report: &mut Report,
) -> Result<(), Failure> {
    let mut proofs = Proofs::read(proofs)?;
    let events = read(events, &proofs, report)?;
    proofs.check_digests(report);
    check_whole(&proofs, report);
    check(events, &mut proofs, report);
    if let Some(anchors) = anchors {
        compare_anchors(anchors, &proofs.digests, report);
    }
    Ok(())
}

/// Reads the events that must be under a seal, and counts the others.
fn read(path: &Path, proofs: &Proofs, report: &mut Report) -> Result<Events, Failure> {
    let last_day = proofs.last_day();
    let mut lines = Lines::open(path)?;
    let mut form = Form::default();
    let mut events = Events::default();
    while let Some(text) = lines.next()? {
        let event = event::read(&mut form, text).map_err(|fault| lines.fault(&fault))?;
        let Event { tenant, name, created_at, id, digest } = event;
        let day = (tenant, times::day_of(created_at));
        if proofs.waits(tenant, id, created_at) {
            report.late += 1;
        } else if (day.1 > last_day && !proofs.days.contains_key(&day)) || created_at == i64::MIN {
            // What is of no day is never sealed.
            report.unsealed += 1;
        } else {
            let (day, name) = (events.days.place(day), events.names.place(name));
            events.kept.push(Kept { day, name, created_at, id, digest });
        }
    }
    Ok(events)
}

/// Checks each day of a tenant, those without events too.
fn check(events: Events, proofs: &mut Proofs, report: &mut Report) {
    let Events { mut kept, days, names } = events;
    let (days, names) = (days.1, names.1);
    let ranks = ranks(&names);
    kept.sort_unstable_by_key(|it| (it.day, ranks[it.name as usize], it.created_at, it.id));
    let mut rows: BTreeMap<TenantDay, &[Kept]> = BTreeMap::new();
    for of_day in kept.chunk_by(|a, b| a.day == b.day) {
        rows.insert(days[of_day[0].day as usize], of_day);
    }
    let all: BTreeSet<TenantDay> = rows.keys().chain(proofs.days.keys()).copied().collect();
    for day in all {
        let seals = proofs.days.remove(&day).unwrap_or_default();
        let rows = rows.get(&day).copied().unwrap_or_default();
        let rows = rows.iter().map(|it| Row {
            name: names[it.name as usize].clone().into_bytes(),
            created_at: it.created_at,
            id: it.id,
            digest: it.digest,
        });
        check_day(day, seals, rows, proofs, report);
    }
}

/// Returns the place of each name in their order by bytes.
fn ranks(names: &[String]) -> Vec<u32> {
    let mut order: Vec<usize> = (0..names.len()).collect();
    order.sort_unstable_by_key(|place| names[*place].as_bytes());
    let mut ranks = vec![0; names.len()];
    for (rank, place) in (0..).zip(order) {
        ranks[place] = rank;
    }
    ranks
}

fn check_day(
    day: TenantDay,
    seals: Vec<StoredSeal>,
    rows: impl Iterator<Item = Row>,
    proofs: &Proofs,
    report: &mut Report,
) {
    let day_text = times::day_text(day.1);
    let mut check = DayCheck::new(seals);
    rows.for_each(|row| check.row(row));
    for verdict in check.finish() {
        let Some(seal) = &verdict.seal else {
            report.differs(difference(day, None, verdict.differs.unwrap_or_default()));
            continue;
        };
        report.seal(Some(Uuid::from_bytes(seal.tenant_id)), &day_text, seal.events, verdict.gone);
        let mut faults: Vec<String> = verdict.differs.clone().into_iter().collect();
        faults.extend(proofs.faults_of(day.0, seal.number));
        if !faults.is_empty() {
            report.differs(difference(day, Some(seal), faults.join("; ")));
        }
    }
}
