//! A batch on its way in: checked element by element, written set by set.
//!
//! Memory is bounded by the chunk, not by the batch: what a chunk of elements needs is given back
//! before the next one.

use std::collections::HashSet;
use std::rc::Rc;

use crate::error::Fault;
use crate::event::quarantine;
use crate::event::quota;
use crate::event::{Event, Ready, Verdict};
use crate::payload::enrichment::Answers;
use crate::pg::datum::Text;
use crate::pg::memory::in_own_memory;
use crate::pg::transaction::require_read_write;
use crate::registry;
use crate::registry::log::Log;
use crate::write::idempotency::{self, Key};
use crate::write::insert;
use crate::write::producer::{self, Counts, Number, Turn};
use crate::write::verdicts::End;

/// Elements that are written by one INSERT. 1,000 typical events take about 1 MB on the way.
const CHUNK: usize = 1_000;

/// One element as the caller gave it; `fault` where it could not even be read.
pub(crate) struct Element<'a> {
    pub(crate) event: Event<'a>,
    /// The payload as text, where it came so.
    pub(crate) text: Option<Text<'a>>,
    pub(crate) fault: Option<Fault>,
    /// Whether it was read to its end.
    pub(crate) is_whole: bool,
}

/// Where elements come from.
pub(crate) trait Source {
    fn len(&self) -> usize;
    fn element<'a>(&'a self, position: usize) -> Element<'a>;
}

/// The end of a batch.
pub(crate) struct Outcome {
    pub(crate) counts: Counts,
    pub(crate) is_repeat: bool,
    /// By position, where they were asked for; none for a repeat.
    pub(crate) verdicts: Option<Vec<Option<End>>>,
}

/// Logs the elements of `source`.
pub(crate) fn run(
    source: &impl Source,
    number: Option<Number>,
    with_verdicts: bool,
) -> Result<Outcome, Fault> {
    require_read_write(c"log_events()");
    let log = registry::current()?;
    log.require_writer()?;
    if let Some(number) = &number
        && let Turn::Repeat(counts) = producer::begin(&log, number)?
    {
        return Ok(Outcome { counts, is_repeat: true, verdicts: None });
    }
    let mut batch = Batch {
        log: Rc::clone(&log),
        limited: HashSet::new(),
        counts: Counts::default(),
        verdicts: with_verdicts.then(|| (0..source.len()).map(|_| None).collect()),
        has_skipped: false,
    };
    let _answers = Answers::keep();
    let mut from = 0;
    while from < source.len() {
        let until = source.len().min(from + CHUNK);
        from = in_own_memory(|| batch.chunk(source, from, until))?;
    }
    for tenant_id in &batch.limited {
        quota::settle(&log, tenant_id, true);
    }
    if let Some(number) = &number {
        producer::end(&log, number, &batch.counts);
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

struct Batch {
    log: Rc<Log>,
    counts: Counts,
    /// Tenants whose quota left an event out, or may have.
    limited: HashSet<[u8; 16]>,
    verdicts: Option<Vec<Option<End>>>,
    /// Whether a trigger of the user skipped a row: from then on rows go in one by one, which tells
    /// the ones that are skipped.
    has_skipped: bool,
}

fn written(ids: Vec<Option<i64>>) -> Vec<End> {
    ids.into_iter().map(End::Written).collect()
}

fn singly(items: &[Item<'_>]) -> Vec<End> {
    let end = |id: Option<i64>| id.map_or(End::LeftOut, |id| End::Written(Some(id)));
    items.iter().map(|item| end(insert::one(&item.ready))).collect()
}

impl Batch {
    /// Checks and writes elements from `from` on, up to `until` at most; where the next chunk
    /// begins. An element whose key is in the chunk already begins the next one: by then the first
    /// one's end is known.
    fn chunk<'a>(
        &mut self,
        source: &'a impl Source,
        from: usize,
        until: usize,
    ) -> Result<usize, Fault> {
        let mut items: Vec<Item<'a>> = Vec::with_capacity(until - from);
        let mut keys = HashSet::new();
        let mut next = until;
        for position in from..until {
            let mut element = source.element(position);
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
                Ok(Verdict::Quarantine(fault)) => {
                    self.reject(position, &element, fault);
                    self.limited(&element.event);
                }
                Ok(Verdict::LeftOut) => {
                    self.counts.sampled += 1;
                    self.end(position, End::LeftOut);
                    self.limited(&element.event);
                }
                Ok(Verdict::OverQuota(fault)) => {
                    self.counts.rejected += 1;
                    self.end(position, End::Rejected(fault));
                    self.limited(&element.event);
                }
                Err(fault) if fault.is_of_the_event() => {
                    self.reject(position, &element, fault);
                    self.limited(&element.event);
                }
                Err(fault) => return Err(fault),
            }
        }
        self.write(items)?;
        Ok(next)
    }

    /// Writes the items whose key was not seen yet.
    fn write(&mut self, mut items: Vec<Item<'_>>) -> Result<(), Fault> {
        for _ in 0..idempotency::TRIES {
            items = self.without_duplicates(items);
            let Some(first) = items.first() else { return Ok(()) };
            let log = Rc::clone(&first.ready.log);
            let mut has_skipped = false;
            let attempt = idempotency::in_subtransaction(|| {
                let ends = match self.has_skipped {
                    false => insert::many(items.iter().map(|item| &item.ready)).map(written),
                    true => Some(singly(&items)),
                };
                has_skipped = ends.is_none();
                let ends = ends?;
                let claims = items.iter().zip(&ends);
                let claims = claims.filter_map(|(item, end)| Some((item.key()?, end.id())));
                idempotency::claim(&log, claims.collect()).then_some(ends)
            });
            if has_skipped {
                self.has_skipped = true;
                return self.write(items);
            }
            match attempt {
                Ok(Some(ends)) => {
                    for (item, end) in items.iter().zip(ends) {
                        match end {
                            End::LeftOut => self.counts.sampled += 1,
                            _ => self.counts.written += 1,
                        }
                        self.end(item.position, end);
                    }
                    return Ok(());
                }
                // Another transaction committed one of the keys meanwhile: look again.
                Ok(None) => {}
                Err(fault) if items.len() == 1 => {
                    self.reject(items[0].position, &items[0].element, fault);
                    return Ok(());
                }
                // One of them is bad in a way that only the INSERT finds: a foreign key, a trigger
                // of the user. Halves find it in few steps.
                Err(_) => {
                    let rest = items.split_off(items.len() / 2);
                    self.write(items)?;
                    return self.write(rest);
                }
            }
        }
        Err(idempotency::contended())
    }

    fn without_duplicates<'a>(&mut self, items: Vec<Item<'a>>) -> Vec<Item<'a>> {
        let keys: Vec<Key<'_>> = items.iter().filter_map(Item::key).collect();
        let Some(first) = items.first().filter(|_| !keys.is_empty()) else { return items };
        let mut seen = idempotency::find(&first.ready.log, &keys).into_iter();
        let ends: Vec<Option<Option<i64>>> =
            items.iter().map(|item| item.key().and_then(|_| seen.next().flatten())).collect();
        let mut left = Vec::with_capacity(items.len());
        for (item, end) in items.into_iter().zip(ends) {
            match end {
                Some(id) => {
                    self.counts.duplicate += 1;
                    self.end(item.position, End::Duplicate(id));
                }
                None => left.push(item),
            }
        }
        left
    }

    fn limited(&mut self, event: &Event<'_>) {
        self.limited.extend(event.payer(&self.log));
    }

    fn reject(&mut self, position: usize, element: &Element<'_>, fault: Fault) {
        quarantine::store(&element.event, element.text, element.is_whole, &fault);
        self.counts.rejected += 1;
        self.end(position, End::Rejected(fault));
    }

    fn end(&mut self, position: usize, end: End) {
        if let Some(verdicts) = &mut self.verdicts {
            verdicts[position] = Some(end);
        }
    }
}
