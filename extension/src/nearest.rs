//! The names that an unknown one may have been meant for, as the hint of its error.
//!
//! An error costs some microseconds, and so does this, however many names there are: names are first
//! compared by the letters that they are made of, which is a sum over 32 bytes, and a distance is
//! computed of the few that come near.

use std::cell::RefCell;

use crate::error::shown;
use crate::registry::{self, LONGEST_NAME, Log};

/// Distances that are computed for one hint.
const MOST_COMPARED: usize = 8;

/// How often each letter is in a name. Those of the rest of Unicode share places, which only brings
/// more names near.
type Letters = [u8; 32];

/// The names as of a generation of the log, each with its letters, and what was asked last.
#[derive(Default)]
struct Known {
    generation: u64,
    names: Vec<(Letters, Box<str>)>,
    last: Option<(Box<str>, String)>,
}

thread_local! {
    static KNOWN: RefCell<Known> = RefCell::default();
}

/// The hint for an unknown name.
pub(crate) fn hint(name: &str) -> String {
    const NONE: &str =
        "SELECT name FROM eventlog.event_types; a new one: SELECT eventlog.define_event('<name>');";
    if name.len() > LONGEST_NAME {
        return NONE.into();
    }
    let Ok(log) = registry::current() else { return NONE.into() };
    KNOWN.with_borrow_mut(|known| {
        known.refresh(&log);
        if let Some((_, hint)) = known.last.as_ref().filter(|(asked, _)| **asked == *name) {
            return hint.clone();
        }
        let near = known.nearest(name);
        let hint = match near.is_empty() {
            true => NONE.into(),
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
        let mut names: Vec<_> = log.names().map(|name| (letters(name), name.into())).collect();
        names.sort_by(|(_, a): &(_, Box<str>), (_, b)| a.cmp(b));
        *self = Known { generation: log.generation(), names, last: None };
    }

    /// At most three names that differ little: by a third of the length, and no more than six.
    fn nearest(&self, name: &str) -> Vec<String> {
        let most = (name.chars().count() / 3).clamp(1, 6);
        let wanted = letters(name);
        // An edit changes at most two of the counts by one. A place in the order of letters tells names
        // that come equally near apart, and that is compared faster than they are.
        let mut candidates: Vec<(u32, u32)> = (0..)
            .zip(&self.names)
            .map(|(place, (letters, _))| (difference(letters, &wanted), place))
            .filter(|(difference, _)| *difference as usize <= 2 * most)
            .collect();
        if candidates.len() > MOST_COMPARED {
            candidates.select_nth_unstable(MOST_COMPARED);
            candidates.truncate(MOST_COMPARED);
        }
        let mut near: Vec<(usize, &str)> = candidates
            .into_iter()
            .map(|(_, place)| &*self.names[place as usize].1)
            .map(|known| (strsim::osa_distance(name, known), known))
            .filter(|(distance, _)| *distance <= most)
            .collect();
        near.sort_unstable();
        near.iter().take(3).map(|(_, known)| shown(known)).collect()
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

fn difference(a: &Letters, b: &Letters) -> u32 {
    a.iter().zip(b).map(|(a, b)| u32::from(a.abs_diff(*b))).sum()
}
