//! Checking a tenant's day: its events, in order, against its seals and their blocks.

use std::collections::HashMap;
use std::fmt::Write;

use crate::block::Block;
use crate::keys::Key;
use crate::record::Seal;
use crate::{BLOCK, Hash, tree};

/// An event; the times here are in the unit that keys have too.
#[derive(Clone, Debug)]
pub struct Row {
    /// Name of the event.
    pub name: Vec<u8>,
    /// When it was logged.
    pub created_at: i64,
    /// Number of the event.
    pub id: i64,
    /// Its digest.
    pub digest: Hash,
}

/// What is stored of a block.
#[derive(Clone, Debug)]
pub struct StoredBlock {
    /// The block; nothing if its parts do not fit each other.
    pub block: Option<Block>,
    /// Name, `created_at` and id of its first event that is there; nothing if none is.
    pub first: Option<(Vec<u8>, i64, i64)>,
    /// Lowest and highest id of its events that are there.
    pub ids: Option<(i64, i64)>,
    /// Its events, if it is of a supplement; nothing if it is of the part that has the rest of the day.
    pub keys: Option<Vec<Key>>,
}

/// What is stored of a seal.
#[derive(Clone, Debug)]
pub struct StoredSeal {
    /// The seal.
    pub seal: Seal,
    /// Number of its events that are gone.
    pub gone: i64,
    /// Its blocks, in order; none if all events are gone.
    pub blocks: Vec<StoredBlock>,
}

/// What was found about a seal, or about events of the day that no seal has.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The seal; nothing for events that no seal has.
    pub seal: Option<Seal>,
    /// Number of its events that are declared gone.
    pub gone: i64,
    /// What differs; nothing if the seal is valid.
    pub differs: Option<String>,
}

/// Most differences that are told of a seal.
const MOST_TOLD: usize = 10;

/// The check of one tenant's day. Give it all events in the order of name (by bytes), `created_at` and id.
#[derive(Debug)]
pub struct DayCheck {
    seals: Vec<SealCheck>,
    /// The part of each event of a supplement.
    parts: HashMap<Key, usize>,
    /// The part that has all other events.
    rest: Option<usize>,
    unsealed: Unsealed,
}

#[derive(Debug)]
struct SealCheck {
    stored: StoredSeal,
    /// The block to which the rows belong that come now, and what came of it.
    block: Option<usize>,
    live: Vec<Hash>,
    /// Its events, if it is of a supplement.
    keys: Vec<Key>,
    /// Whether its first event is the one that is kept as such.
    begins_well: bool,
    names: Option<(Vec<u8>, Vec<u8>)>,
    ids: Option<(i64, i64)>,
    /// Events of the block, if there are more than can be.
    surplus: usize,
    told: Vec<String>,
    untold: usize,
}

/// Events that no seal has.
#[derive(Debug, Default)]
struct Unsealed {
    events: usize,
    name: Vec<u8>,
    ids: Option<(i64, i64)>,
}

fn widen(ids: &mut Option<(i64, i64)>, low: i64, high: i64) {
    let (known_low, known_high) = ids.unwrap_or((low, high));
    *ids = Some((known_low.min(low), known_high.max(high)));
}

fn ids_text(ids: Option<(i64, i64)>) -> String {
    match ids {
        Some((low, high)) if low == high => format!("id {low}"),
        Some((low, high)) => format!("ids {low} to {high}"),
        None => "no events".into(),
    }
}

fn counted(events: usize) -> String {
    format!("{events} event{}", if events == 1 { "" } else { "s" })
}

impl DayCheck {
    /// Begins the check of a day with these seals, in the order of their parts.
    pub fn new(seals: Vec<StoredSeal>) -> Self {
        let mut parts = HashMap::new();
        let mut rest = None;
        for (index, stored) in seals.iter().enumerate() {
            for block in &stored.blocks {
                match &block.keys {
                    Some(keys) => parts.extend(keys.iter().map(|key| (*key, index))),
                    None => rest = Some(index),
                }
            }
        }
        let seals = seals.into_iter().map(SealCheck::new).collect();
        DayCheck { seals, parts, rest, unsealed: Unsealed::default() }
    }

    /// Takes the next event.
    pub fn row(&mut self, row: Row) {
        match self.parts.get(&(row.created_at, row.id)).copied().or(self.rest) {
            Some(part) => self.seals[part].row(&row),
            None => {
                self.unsealed.events += 1;
                widen(&mut self.unsealed.ids, row.id, row.id);
                self.unsealed.name = row.name;
            }
        }
    }

    /// Returns a verdict on each seal, and one on events that no seal has, if there are any.
    pub fn finish(self) -> Vec<Verdict> {
        let mut verdicts: Vec<Verdict> = self.seals.into_iter().map(SealCheck::finish).collect();
        if self.unsealed.events > 0 {
            let Unsealed { events, name, ids } = self.unsealed;
            let name = String::from_utf8_lossy(&name);
            let differs =
                Some(format!("{} without a seal ({name}, {})", counted(events), ids_text(ids)));
            verdicts.push(Verdict { seal: None, gone: 0, differs });
        }
        verdicts
    }
}

impl SealCheck {
    fn new(stored: StoredSeal) -> Self {
        SealCheck {
            stored,
            block: None,
            live: Vec::new(),
            keys: Vec::new(),
            begins_well: true,
            names: None,
            ids: None,
            surplus: 0,
            told: Vec::new(),
            untold: 0,
        }
    }

    fn tell(&mut self, difference: String) {
        if self.told.len() < MOST_TOLD {
            self.told.push(difference);
        } else {
            self.untold += 1;
        }
    }

    /// Returns the next block after this one that has an event.
    fn next(&self, after: Option<usize>) -> Option<usize> {
        let from = after.map_or(0, |block| block + 1);
        (from..self.stored.blocks.len()).find(|block| self.stored.blocks[*block].first.is_some())
    }

    fn begins_by(&self, block: usize, row: &Row) -> bool {
        let first = self.stored.blocks[block].first.as_ref();
        first.is_some_and(|(name, at, id)| {
            (&name[..], *at, *id) <= (&row.name[..], row.created_at, row.id)
        })
    }

    fn row(&mut self, row: &Row) {
        if self.block.is_none() {
            self.block = self.next(None);
        }
        while let Some(next) = self.next(self.block)
            && self.begins_by(next, row)
        {
            self.end_block();
            self.block = Some(next);
        }
        let stored = self.block.map(|block| &self.stored.blocks[block]);
        if self.live.is_empty() {
            let first = stored.and_then(|stored| stored.first.as_ref());
            self.begins_well = first.is_none_or(|(name, at, id)| {
                (&name[..], *at, *id) == (&row.name[..], row.created_at, row.id)
            });
        }
        // One more than a block can have tells enough.
        if self.live.len() <= BLOCK {
            self.live.push(row.digest);
            if stored.is_some_and(|stored| stored.keys.is_some()) {
                self.keys.push((row.created_at, row.id));
            }
        } else {
            self.surplus += 1
        }
        widen(&mut self.ids, row.id, row.id);
        match &mut self.names {
            Some((_, last)) if *last != row.name => *last = row.name.clone(),
            Some(_) => {}
            None => self.names = Some((row.name.clone(), row.name.clone())),
        }
    }

    fn place(&self, number: usize) -> String {
        let stored = &self.stored.blocks[number];
        let mut ids = self.ids;
        if let Some((low, high)) = stored.ids {
            widen(&mut ids, low, high);
        }
        let mut text = format!("block {number} (");
        let first = stored.first.as_ref().map(|(name, ..)| name);
        let names = match (&self.names, first) {
            (Some((a, b)), Some(first)) => Some((a.min(first), b.max(first))),
            (Some((a, b)), None) => Some((a, b)),
            (None, Some(first)) => Some((first, first)),
            (None, None) => None,
        };
        if let Some((a, b)) = names {
            text.push_str(&String::from_utf8_lossy(a));
            if a != b {
                let _ = write!(text, " to {}", String::from_utf8_lossy(b));
            }
            text.push_str(", ");
        }
        text + &ids_text(ids) + ")"
    }

    /// Checks the events that came for the current block, and begins the next.
    fn end_block(&mut self) {
        let Some(number) = self.block else { return };
        let difference = match &self.stored.blocks[number].block {
            None => Some("what is kept of it cannot be read".to_owned()),
            Some(block) if block.live() != self.live.len() => {
                let found = self.live.len() + self.surplus;
                let gone = block.events() - block.live();
                let gone = if gone > 0 { format!(", {gone} of them gone") } else { String::new() };
                Some(format!("{}, sealed {}{gone}", counted(found), block.events()))
            }
            Some(block) if block.root_over(&self.live).as_ref() != Some(block.hash()) => {
                Some("its events differ".to_owned())
            }
            Some(_) if !self.is_kept_well(number) => {
                Some("what is kept of it is not of its events".to_owned())
            }
            Some(_) => None,
        };
        if let Some(difference) = difference {
            let told = format!("{}: {difference}", self.place(number));
            self.tell(told);
        }
        self.live.clear();
        self.keys.clear();
        self.begins_well = true;
        (self.names, self.ids, self.surplus) = (None, None, 0);
    }

    /// Returns true if first event, ids and list of a block are those of the events that came.
    fn is_kept_well(&self, number: usize) -> bool {
        let stored = &self.stored.blocks[number];
        self.begins_well
            && stored.ids.is_none_or(|ids| Some(ids) == self.ids)
            && stored.keys.as_ref().is_none_or(|keys| *keys == self.keys)
    }

    fn finish(mut self) -> Verdict {
        // Blocks whose events did not come are checked as well.
        if self.block.is_none() {
            self.block = self.next(None);
        }
        while self.block.is_some() {
            self.end_block();
            self.block = self.next(self.block);
        }
        self.check_whole();
        let mut differs = self.told.join("; ");
        if self.untold > 0 {
            let _ = write!(differs, "; and {} more blocks", self.untold);
        }
        let StoredSeal { seal, gone, .. } = self.stored;
        Verdict { seal: Some(seal), gone, differs: (!differs.is_empty()).then_some(differs) }
    }

    /// Checks what is kept of the blocks against the seal.
    fn check_whole(&mut self) {
        let StoredSeal { seal, gone, blocks } = &self.stored;
        if blocks.is_empty() {
            if *gone != seal.events {
                let told =
                    format!("its blocks are missing, {gone} of {} events are gone", seal.events);
                self.tell(told);
            }
            return;
        }
        // A block without a first event is gone as a whole, or it is damaged.
        let damaged: Vec<usize> = (0..blocks.len())
            .filter(|number| {
                let stored = &blocks[*number];
                let live = stored.block.as_ref().map(|block| block.live());
                stored.first.is_none() && live != Some(0)
            })
            .collect();
        let readable: Option<Vec<&Block>> =
            blocks.iter().map(|stored| stored.block.as_ref()).collect();
        let mut told = Vec::new();
        for number in damaged {
            told.push(format!("block {number}: what is kept of it cannot be read"));
        }
        if let Some(blocks) = readable {
            let hashes: Vec<Hash> = blocks.iter().map(|block| *block.hash()).collect();
            let events: usize = blocks.iter().map(|block| block.events()).sum();
            let live: usize = blocks.iter().map(|block| block.live()).sum();
            let are_full = blocks
                .split_last()
                .is_some_and(|(_, full)| full.iter().all(|block| block.events() == BLOCK));
            if tree::root(&hashes) != seal.root {
                told.push("its root is not that of its blocks".into());
            }
            if events as i64 != seal.events || !are_full {
                told.push(format!("its blocks have {events} events, sealed {}", seal.events));
            }
            if (events - live) as i64 != *gone {
                told.push(format!(
                    "its blocks lack {} events, {gone} are declared gone",
                    events - live
                ));
            }
        }
        told.into_iter().for_each(|difference| self.tell(difference));
    }
}

#[cfg(test)]
mod tests;
