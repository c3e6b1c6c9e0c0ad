//! A batch: checked element by element, written set by set.
//!
//! Memory is bounded by the chunk, not by the batch: each chunk's memory is freed before the next
//! one.

use std::collections::HashSet;
use std::rc::Rc;

use crate::error::Fault;
use crate::event::quarantine;
use crate::event::verdict::{Reason, Unsettled, Verdict};
use crate::event::{Event, Ready};
use crate::payload::enrichment::LookupCache;
use crate::pg::datum::Text;
use crate::pg::memory::in_own_memory;
use crate::pg::transaction::require_read_write;
use crate::registry;
use crate::registry::log::Log;
use crate::write::idempotency::{self, Key, KeyTaken, Seen};
use crate::write::insert;
use crate::write::producer::{self, BatchNumber, Counts, Submission};
use crate::write::verdicts::End;

/// Elements per INSERT. A thousand typical events need about 1 MB.
const CHUNK: usize = 1_000;

/// One element as the caller gave it; `fault` if it could not be read.
pub(crate) struct Element<'a> {
    pub(crate) event: Event<'a>,
    /// The payload, if it came as text.
    pub(crate) text: Option<Text<'a>>,
    pub(crate) fault: Option<Fault>,
    /// False if it could not be read to its end.
    pub(crate) is_whole: bool,
}

/// Where the elements come from.
pub(crate) trait Source {
    fn len(&self) -> usize;
    fn element<'a>(&'a self, position: usize) -> Element<'a>;

    /// Returns the protocol of another product by which an element came. Asked only for one that is
    /// refused.
    fn protocol(&self, _position: usize) -> Option<Text<'_>> {
        None
    }
}

/// The result of a batch.
pub(crate) struct Outcome {
    pub(crate) counts: Counts,
    pub(crate) is_repeat: bool,
    /// By position, if they were asked for; nothing for a repeat.
    pub(crate) verdicts: Option<Vec<Option<End>>>,
}

/// Logs the elements of `source`.
pub(crate) fn run(
    source: &impl Source,
    number: Option<BatchNumber>,
    with_verdicts: bool,
) -> Result<Outcome, Fault> {
    require_read_write(c"log_events()");
    let log = registry::current()?;
    log.require_writer()?;
    let producer = match &number {
        None => None,
        Some(number) => match producer::begin(&log, number)? {
            Submission::New(known_by) => Some((number, known_by)),
            Submission::Repeat(counts) => {
                return Ok(Outcome { counts, is_repeat: true, verdicts: None });
            }
        },
    };
    let mut batch = Batch {
        source,
        log: Rc::clone(&log),
        unsettled: Unsettled::default(),
        counts: Counts::default(),
        verdicts: with_verdicts.then(|| (0..source.len()).map(|_| None).collect()),
        has_skipped: false,
    };
    let _answers = LookupCache::keep();
    let mut from = 0;
    while from < source.len() {
        let until = source.len().min(from + CHUNK);
        from = in_own_memory(|| batch.chunk(from, until))?;
    }
    batch.unsettled.settle(&log);
    if let Some((number, known_by)) = producer {
        producer::end(&log, number, known_by, &batch.counts);
    }
    Ok(Outcome { counts: batch.counts, is_repeat: false, verdicts: batch.verdicts })
}

/// An element that passed the checks.
struct Item<'a> {
    position: usize,
    element: Element<'a>,
    ready: Ready<'a>,
}

impl Item<'_> {
    fn key(&self) -> Option<Key<'_>> {
        let key = self.element.event.idempotency_key?;
        Some(Key { tenant_id: self.ready.tenant_id, key })
    }
}

struct Batch<'s, S> {
    source: &'s S,
    log: Rc<Log>,
    counts: Counts,
    /// Tenants whose quota left an event out, or may have.
    unsettled: Unsettled,
    verdicts: Option<Vec<Option<End>>>,
    /// Set once a trigger of the user skipped a row: from then on rows go in one by one, which
    /// shows the skipped ones.
    has_skipped: bool,
}

/// Why an INSERT of several items is rolled back and tried in another way.
enum Undone {
    /// A trigger of the user skipped some rows.
    Skipped,
    /// Another transaction committed one of the keys in the meantime.
    KeyTaken,
}

impl<'s, S: Source> Batch<'s, S> {
    /// Checks and writes elements from `from` on, up to `until` at most, and returns the start of
    /// the next chunk. An element whose key is in this chunk already starts the next one, because
    /// by then the end of the first is known.
    fn chunk(&mut self, from: usize, until: usize) -> Result<usize, Fault> {
        let mut items: Vec<Item<'s>> = Vec::with_capacity(until - from);
        let mut keys = HashSet::new();
        let mut next = until;
        for position in from..until {
            let mut element = self.source.element(position);
            let checked = match element.fault.take() {
                Some(fault) => element.event.refuse(fault),
                None => {
                    element.is_whole = true;
                    element.event.check()
                }
            };
            match checked {
                Ok(Verdict::Ready(ready)) => {
                    if let Some(key) = element.event.idempotency_key
                        && !keys.insert((ready.tenant_id, key.as_str()))
                    {
                        next = position;
                        break;
                    }
                    items.push(Item { position, element, ready });
                }
                Ok(Verdict::Stopped(stopped)) => {
                    match stopped.settle_later(&self.log, &mut self.unsettled) {
                        Reason::LeftOut => {
                            self.counts.sampled += 1;
                            self.end(position, End::LeftOut);
                        }
                        Reason::OverQuota(fault) => {
                            self.counts.rejected += 1;
                            self.end(position, End::Rejected(fault));
                        }
                        Reason::Quarantine(fault) | Reason::Refused(fault) => {
                            self.reject(position, &element, fault);
                        }
                    }
                }
                Err(fault) => return Err(fault),
            }
        }
        self.write(items)?;
        Ok(next)
    }

    /// Writes the items whose key was not seen before.
    fn write(&mut self, mut items: Vec<Item<'_>>) -> Result<(), Fault> {
        for _ in 0..idempotency::TRIES {
            items = self.without_duplicates(items);
            let Some(first) = items.first() else { return Ok(()) };
            let log = Rc::clone(&first.ready.log);
            let attempt = idempotency::in_subtransaction(|| {
                let ends = self.insert(&items)?;
                let claims = items.iter().zip(&ends);
                let claims = claims.filter_map(|(item, end)| Some((item.key()?, end.id())));
                match idempotency::claim(&log, claims.collect()) {
                    Ok(()) => Ok(ends),
                    Err(KeyTaken) => Err(Undone::KeyTaken),
                }
            });
            match attempt {
                Ok(Ok(ends)) => {
                    for (item, end) in items.iter().zip(ends) {
                        match end {
                            End::LeftOut => self.counts.sampled += 1,
                            _ => self.counts.written += 1,
                        }
                        self.end(item.position, end);
                    }
                    return Ok(());
                }
                Ok(Err(Undone::Skipped)) => {
                    self.has_skipped = true;
                    return self.write(items);
                }
                Ok(Err(Undone::KeyTaken)) => {}
                Err(fault) if items.len() == 1 => {
                    self.reject(items[0].position, &items[0].element, fault);
                    return Ok(());
                }
                // One of them has a fault that only the INSERT finds: a foreign key, a trigger of
                // the user. Halving finds it in few steps.
                Err(_) => {
                    let rest = items.split_off(items.len() / 2);
                    self.write(items)?;
                    return self.write(rest);
                }
            }
        }
        Err(idempotency::contended())
    }

    /// Inserts the items with one statement, or one by one if a trigger of the user skips rows.
    fn insert(&self, items: &[Item<'_>]) -> Result<Vec<End>, Undone> {
        if self.has_skipped {
            let end = |id: Option<i64>| id.map_or(End::LeftOut, |id| End::Written(Some(id)));
            return Ok(items.iter().map(|item| end(insert::one(&item.ready))).collect());
        }
        let ids = insert::many(items.iter().map(|item| &item.ready)).ok_or(Undone::Skipped)?;
        Ok(ids.into_iter().map(End::Written).collect())
    }

    /// Ends the items whose key was seen before, and returns the others.
    fn without_duplicates<'a>(&mut self, items: Vec<Item<'a>>) -> Vec<Item<'a>> {
        let keys: Vec<Key<'_>> = items.iter().filter_map(Item::key).collect();
        let Some(first) = items.first().filter(|_| !keys.is_empty()) else { return items };
        let mut answers = idempotency::find(&first.ready.log, &keys).into_iter();
        let seen: Vec<Seen> = items
            .iter()
            .map(|item| item.key().and_then(|_| answers.next()).unwrap_or(Seen::Never))
            .collect();
        let mut left = Vec::with_capacity(items.len());
        for (item, seen) in items.into_iter().zip(seen) {
            match seen {
                Seen::Before { id } => {
                    self.counts.duplicate += 1;
                    self.end(item.position, End::Duplicate(id));
                }
                Seen::Never => left.push(item),
            }
        }
        left
    }

    fn reject(&mut self, position: usize, element: &Element<'_>, fault: Fault) {
        let protocol = self.source.protocol(position);
        quarantine::store(&element.event, element.text, element.is_whole, protocol, &fault);
        self.counts.rejected += 1;
        self.end(position, End::Rejected(fault));
    }

    fn end(&mut self, position: usize, end: End) {
        if let Some(verdicts) = &mut self.verdicts {
            verdicts[position] = Some(end);
        }
    }
}
