//! Names that are similar to an unknown one, as the hint of its error.
//!
//! An error costs some microseconds, and so does this among thousands of names: names are first
//! compared by the letters that they share, and a distance is computed only for the few closest.

use std::cell::RefCell;

use crate::error::shown;
use crate::limits::NAME_BYTES;
use crate::registry;
use crate::registry::log::{Log, is_well_formed};

/// Distances computed for one hint.
const MOST_COMPARED: usize = 8;

/// Names compared together.
const BLOCK: usize = 64;

/// How often each letter is in a name. Letters outside ASCII share places, which only makes more
/// names look close.
type Letters = [u8; 32];

/// The names in a generation of the log, and the last question.
#[derive(Default)]
struct Known {
    generation: u64,
    names: Vec<Box<str>>,
    /// How many characters each name has.
    lengths: Vec<u8>,
    /// For each letter, how often each name has it: letters that the unknown name does not have are
    /// not read.
    counts: [Vec<u8>; 32],
    last: Option<(Box<str>, String)>,
}

thread_local! {
    static KNOWN: RefCell<Known> = RefCell::default();
}

/// Returns the hint for an unknown name.
pub(crate) fn hint(name: &str) -> String {
    const NONE: &str =
        "SELECT name FROM eventlog.event_types; a new one: SELECT eventlog.define_event('<name>');";
    const NEW_ALIAS: &str = "SELECT name, aliases FROM eventlog.event_types; a new alias: \
        SELECT eventlog.define_event('<name>', aliases => ARRAY['<alias>', …]);";
    if name.len() > NAME_BYTES {
        return NONE.into();
    }
    let Ok(log) = registry::current() else { return NONE.into() };
    // Another product's name, such as "Order Completed", which can only be an alias.
    let none = if name.is_empty() || is_well_formed(name) { NONE } else { NEW_ALIAS };
    KNOWN.with_borrow_mut(|known| {
        known.refresh(&log);
        if let Some((_, hint)) = known.last.as_ref().filter(|(asked, _)| **asked == *name) {
            return hint.clone();
        }
        let near = known.nearest(name);
        let hint = match near.is_empty() {
            true => none.into(),
            false => format!("did you mean {}?", near.join(" or ")),
        };
        known.last = Some((name.into(), hint.clone()));
        hint
    })
}

impl Known {
    fn refresh(&mut self, log: &Log) {
        if self.generation == log.generation() {
            return;
        }
        let mut known = Known { generation: log.generation(), ..Known::default() };
        known.names = log.names().map(Box::from).collect();
        known.names.sort();
        for name in &known.names {
            let letters = letters(name);
            known.lengths.push(letters.iter().sum());
            for (counts, count) in known.counts.iter_mut().zip(letters) {
                counts.push(count);
            }
        }
        *self = known;
    }

    /// Returns at most three names that differ little: by a third of the length, and no more than
    /// six.
    fn nearest(&self, name: &str) -> Vec<String> {
        let most = (name.chars().count() / 3).clamp(1, 6);
        let mut near: Vec<(usize, &str)> = self
            .candidates(&letters(name), 2 * most as i16)
            .into_iter()
            .map(|(_, place)| &*self.names[place])
            .map(|known| (strsim::osa_distance(name, known), known))
            .filter(|(distance, _)| *distance <= most)
            .collect();
        near.sort_unstable();
        near.iter().take(3).map(|(_, known)| shown(known)).collect()
    }

    /// Returns the places of the names that may be nearest: an edit changes at most two of the
    /// counts by one. Among equally close names the alphabetical place decides, which is faster to
    /// compare than the names.
    fn candidates(&self, wanted: &Letters, most: i16) -> Vec<(i16, usize)> {
        // One pass over bytes for each letter, of which the machine adds many at once. No name has
        // so many letters that a sum overflows.
        let mut shared = vec![0_u8; self.names.len()];
        for (counts, &wanted) in self.counts.iter().zip(wanted).filter(|(_, wanted)| **wanted > 0) {
            for (shared, &count) in shared.iter_mut().zip(counts) {
                *shared += count.min(wanted);
            }
        }
        let length: i16 = wanted.iter().map(|&count| i16::from(count)).sum();
        let difference = |shared: u8, its: u8| length + i16::from(its) - 2 * i16::from(shared);
        let mut nearest = Vec::with_capacity(MOST_COMPARED + 1);
        let mut limit = most + 1;
        let blocks = shared.chunks(BLOCK).zip(self.lengths.chunks(BLOCK));
        for (block, (shared, lengths)) in blocks.enumerate() {
            let pairs = || shared.iter().zip(lengths).map(|(&shared, &its)| (shared, its));
            // A whole block without a branch: few have a closer name.
            if !pairs()
                .fold(false, |found, (shared, its)| found | (difference(shared, its) < limit))
            {
                continue;
            }
            for (place, (shared, its)) in (block * BLOCK..).zip(pairs()) {
                let difference = difference(shared, its);
                if difference < limit {
                    let at = nearest.partition_point(|(other, _)| *other <= difference);
                    nearest.insert(at, (difference, place));
                    nearest.truncate(MOST_COMPARED);
                    if nearest.len() == MOST_COMPARED {
                        limit = nearest[MOST_COMPARED - 1].0;
                    }
                }
            }
        }
        nearest
    }
}

fn letters(name: &str) -> Letters {
    let mut letters = [0; 32];
    for letter in name.chars() {
        let count: &mut u8 = &mut letters[letter as usize & 31];
        *count = count.saturating_add(1);
    }
    letters
}
