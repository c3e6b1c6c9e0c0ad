//! The salts of a block's leaves. They come from one seed by a tree of hashes: a seed is hashed to two,
//! and so on, eight times, which gives 256 salts. To destroy some salts and keep the others, the seeds of
//! the largest subtrees that hold none of those replace the seed: nobody can go up from them.

use crate::{BLOCK, kind, sha256};

/// A seed, or a salt.
pub type Seed = [u8; 16];

/// The slots of a block whose events are gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slots([u8; BLOCK / 8]);

impl Slots {
    /// Reads what [`Slots::bytes`] gave; nothing if it has another length.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Slots)
    }

    /// Returns a bit for each slot, the lowest of each byte first.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Adds a slot.
    pub fn insert(&mut self, slot: usize) {
        self.0[slot / 8] |= 1 << (slot % 8);
    }

    /// Returns true if a slot is in it.
    pub fn contains(&self, slot: usize) -> bool {
        self.0[slot / 8] & 1 << (slot % 8) != 0
    }

    /// Returns the number of slots.
    pub fn len(&self) -> usize {
        self.0.iter().map(|byte| byte.count_ones() as usize).sum()
    }

    /// Returns true if it has no slot.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn any_within(&self, start: usize, size: usize) -> bool {
        (start..start + size).any(|slot| self.contains(slot))
    }
}

fn children(seed: &Seed) -> (Seed, Seed) {
    let hash = sha256(&[&[kind::SEED], seed]);
    let half = |bytes: &[u8]| bytes.try_into().expect("16 of 32 bytes");
    (half(&hash[..16]), half(&hash[16..]))
}

/// The seeds from which the salts of all slots come, except of those that are gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seeds {
    gone: Slots,
    /// One for each range of [`ranges`].
    seeds: Vec<Seed>,
}

/// Returns start and size of the largest subtrees without a gone slot, in order.
fn ranges(gone: &Slots, start: usize, size: usize, found: &mut Vec<(usize, usize)>) {
    if !gone.any_within(start, size) {
        found.push((start, size));
    } else if size > 1 {
        ranges(gone, start, size / 2, found);
        ranges(gone, start + size / 2, size / 2, found);
    }
}

impl Seeds {
    /// Returns the seeds of a block of which nothing is gone.
    pub fn of(seed: Seed) -> Self {
        Seeds { gone: Slots::default(), seeds: vec![seed] }
    }

    /// Reads what [`Seeds::bytes`] gave; nothing if the number does not fit the slots.
    pub fn from_bytes(bytes: &[u8], gone: Slots) -> Option<Self> {
        let seeds: Vec<Seed> =
            bytes.chunks(16).map(|seed| seed.try_into().ok()).collect::<Option<_>>()?;
        let mut expected = Vec::new();
        ranges(&gone, 0, BLOCK, &mut expected);
        (seeds.len() == expected.len()).then_some(Seeds { gone, seeds })
    }

    /// Returns all seeds, one after the other.
    pub fn bytes(&self) -> Vec<u8> {
        self.seeds.concat()
    }

    /// Returns the salts of all slots; nothing for those that are gone.
    pub fn salts(&self) -> Vec<Option<Seed>> {
        fn fill(seed: Seed, salts: &mut [Option<Seed>]) {
            if let [salt] = salts {
                *salt = Some(seed);
                return;
            }
            let (left, right) = children(&seed);
            let middle = salts.len() / 2;
            fill(left, &mut salts[..middle]);
            fill(right, &mut salts[middle..]);
        }
        let mut salts = vec![None; BLOCK];
        let mut found = Vec::new();
        ranges(&self.gone, 0, BLOCK, &mut found);
        for ((start, size), seed) in found.into_iter().zip(&self.seeds) {
            fill(*seed, &mut salts[start..start + size]);
        }
        salts
    }

    /// Destroys the salts of more slots.
    pub fn without(&self, gone: Slots) -> Self {
        fn keep(seed: Seed, start: usize, size: usize, gone: &Slots, kept: &mut Vec<Seed>) {
            if !gone.any_within(start, size) {
                kept.push(seed);
            } else if size > 1 {
                let (left, right) = children(&seed);
                keep(left, start, size / 2, gone, kept);
                keep(right, start + size / 2, size / 2, gone, kept);
            }
        }
        let mut found = Vec::new();
        ranges(&self.gone, 0, BLOCK, &mut found);
        let mut seeds = Vec::new();
        for ((start, size), seed) in found.into_iter().zip(&self.seeds) {
            keep(*seed, start, size, &gone, &mut seeds);
        }
        Seeds { gone, seeds }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_salts_that_stay_are_the_same_and_the_others_cannot_be_made_again() {
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..300 {
            let whole = Seeds::of([7; 16]);
            let all = whole.salts();
            let (mut gone, mut kept) = (Slots::default(), whole.clone());
            for _ in 0..random.usize(1..5) {
                for _ in 0..random.usize(1..60) {
                    gone.insert(random.usize(0..BLOCK));
                }
                kept = kept.without(gone);
            }
            let kept =
                Seeds::from_bytes(&kept.bytes(), gone).expect("as many as the slots ask for");
            for (slot, salt) in kept.salts().into_iter().enumerate() {
                assert_eq!(salt, all[slot].filter(|_| !gone.contains(slot)));
            }
            // No seed that is left is one above a gone slot.
            assert_eq!(kept, whole.without(gone));
        }
    }

    #[test]
    fn salts_differ() {
        let mut salts = Seeds::of([1; 16]).salts();
        salts.sort_unstable();
        salts.dedup();
        assert_eq!(salts.len(), BLOCK);
    }
}
