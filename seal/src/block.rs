//! Blocks of up to 256 leaves: sealing, checking, letting events go.

use std::collections::HashMap;

use crate::salts::{Seed, Seeds, Slots};
use crate::tree::{self, Step};
use crate::{BLOCK, Hash};

/// What is kept of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    events: usize,
    hash: Hash,
    seeds: Seeds,
    gone: Slots,
    /// The hashes of the largest subtrees whose events are all gone, in order.
    gone_hashes: Vec<Hash>,
}

/// The largest subtrees of a block whose leaves are all gone, with their hashes, by start and end.
type Known = HashMap<(usize, usize), Hash>;

fn is_gone(gone: &Slots, start: usize, end: usize) -> bool {
    (start..end).all(|slot| gone.contains(slot))
}

/// Lists the largest subtrees whose leaves are all gone.
fn gone_ranges(gone: &Slots, start: usize, end: usize, found: &mut Vec<(usize, usize)>) {
    if is_gone(gone, start, end) {
        found.push((start, end));
    } else if end - start > 1 {
        let middle = start + tree::split(end - start);
        gone_ranges(gone, start, middle, found);
        gone_ranges(gone, middle, end, found);
    }
}

/// Returns the hash of a subtree: from what is known of it, or from its leaves.
fn subtree(start: usize, end: usize, known: &Known, leaf: &impl Fn(usize) -> Hash) -> Hash {
    if let Some(hash) = known.get(&(start, end)) {
        return *hash;
    }
    if end - start == 1 {
        return leaf(start);
    }
    let middle = start + tree::split(end - start);
    tree::node(&subtree(start, middle, known, leaf), &subtree(middle, end, known, leaf))
}

impl Block {
    /// Seals up to [`BLOCK`] digests of events, in their order; at least one.
    pub fn seal(digests: &[Hash], seed: Seed) -> Self {
        assert!((1..=BLOCK).contains(&digests.len()), "{} events in a block", digests.len());
        let seeds = Seeds::of(seed);
        let leaves: Vec<Hash> = digests
            .iter()
            .zip(seeds.salts().into_iter().flatten())
            .map(|(digest, salt)| tree::leaf(&salt, digest))
            .collect();
        Block {
            events: digests.len(),
            hash: tree::root(&leaves),
            seeds,
            gone: Slots::default(),
            gone_hashes: Vec::new(),
        }
    }

    /// Reads a block from what is stored of it: `gone` is empty if nothing is gone. Nothing if the parts
    /// do not fit each other.
    pub fn read(
        events: usize,
        hash: &[u8],
        seeds: &[u8],
        gone: &[u8],
        gone_hashes: &[u8],
    ) -> Option<Self> {
        let gone = if gone.is_empty() { Slots::default() } else { Slots::from_bytes(gone)? };
        let fits =
            (1..=BLOCK).contains(&events) && (events..BLOCK).all(|slot| !gone.contains(slot));
        let mut ranges = Vec::new();
        if !gone.is_empty() && fits {
            gone_ranges(&gone, 0, events, &mut ranges);
        }
        let gone_hashes: Vec<Hash> =
            gone_hashes.chunks(32).map(|hash| hash.try_into().ok()).collect::<Option<_>>()?;
        (fits && gone_hashes.len() == ranges.len()).then_some(())?;
        let (hash, seeds) = (hash.try_into().ok()?, Seeds::from_bytes(seeds, gone)?);
        Some(Block { events, hash, seeds, gone, gone_hashes })
    }

    /// Returns the number of events that were sealed.
    pub fn events(&self) -> usize {
        self.events
    }

    /// Returns the number of events that are still there.
    pub fn live(&self) -> usize {
        self.events - self.gone.len()
    }

    /// Returns the root of the block's tree.
    pub fn hash(&self) -> &Hash {
        &self.hash
    }

    /// Returns the seeds of the salts that are left, one after the other.
    pub fn seeds(&self) -> Vec<u8> {
        self.seeds.bytes()
    }

    /// Returns a bit for each slot whose event is gone; nothing if none is.
    pub fn gone(&self) -> Option<&[u8]> {
        (!self.gone.is_empty()).then(|| self.gone.bytes())
    }

    /// Returns the hashes of the largest subtrees whose events are all gone, one after the other.
    pub fn gone_hashes(&self) -> Vec<u8> {
        self.gone_hashes.concat()
    }

    /// Returns the slots of events that are there, in order.
    pub fn live_slots(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.events).filter(|slot| !self.gone.contains(*slot))
    }

    fn known(&self) -> Known {
        let mut ranges = Vec::new();
        if !self.gone.is_empty() {
            gone_ranges(&self.gone, 0, self.events, &mut ranges);
        }
        ranges.into_iter().zip(self.gone_hashes.iter().copied()).collect()
    }

    /// Returns the leaves of the events that are there, by slot.
    fn leaves(&self, live: &[Hash]) -> HashMap<usize, Hash> {
        let salts = self.seeds.salts();
        self.live_slots()
            .zip(live)
            .map(|(slot, digest)| {
                (slot, tree::leaf(&salts[slot].expect("of an event that is there"), digest))
            })
            .collect()
    }

    /// Returns the root of the tree over these digests of the events that are there, in their order, and
    /// what is kept of the others; nothing if the number of events is another.
    pub fn root_over(&self, live: &[Hash]) -> Option<Hash> {
        (live.len() == self.live()).then(|| {
            let leaves = self.leaves(live);
            subtree(0, self.events, &self.known(), &|slot| leaves[&slot])
        })
    }

    /// Returns the salt of the event in this place among those that are there, and the steps from its
    /// leaf to the root of the block; nothing if there are not as many events as the block has.
    pub fn prove(&self, live: &[Hash], place: usize) -> Option<(Seed, Vec<Step>)> {
        let slot = self.live_slots().nth(place).filter(|_| live.len() == self.live())?;
        let (leaves, known) = (self.leaves(live), self.known());
        let leaf = |slot: usize| leaves[&slot];
        let (mut start, mut end) = (0, self.events);
        let mut steps = Vec::new();
        while end - start > 1 {
            let middle = start + tree::split(end - start);
            if slot < middle {
                steps.push(Step { hash: subtree(middle, end, &known, &leaf), is_left: false });
                end = middle;
            } else {
                steps.push(Step { hash: subtree(start, middle, &known, &leaf), is_left: true });
                start = middle;
            }
        }
        steps.reverse();
        Some((self.seeds.salts()[slot]?, steps))
    }

    /// Lets events go: keeps their leaves, or the roots of subtrees whose events are all gone, and
    /// destroys their salts. Given are the digests of the events that are to go, with their places among
    /// those that are there.
    pub fn let_go(&mut self, going: &[(usize, Hash)]) {
        let salts = self.seeds.salts();
        let live: Vec<usize> = self.live_slots().collect();
        let going: HashMap<usize, Hash> = going
            .iter()
            .map(|(place, digest)| {
                let slot = live[*place];
                (slot, tree::leaf(&salts[slot].expect("of an event that is there"), digest))
            })
            .collect();
        let known = self.known();
        let mut gone = self.gone;
        going.keys().for_each(|slot| gone.insert(*slot));
        let mut ranges = Vec::new();
        gone_ranges(&gone, 0, self.events, &mut ranges);
        self.gone_hashes = ranges
            .into_iter()
            .map(|(start, end)| subtree(start, end, &known, &|slot| going[&slot]))
            .collect();
        self.seeds = self.seeds.without(gone);
        self.gone = gone;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_has_its_root_whatever_was_let_go() {
        let mut random = fastrand::Rng::with_seed(2);
        for _ in 0..300 {
            let events = random.usize(1..=BLOCK);
            let digests: Vec<Hash> =
                (0..events).map(|_| std::array::from_fn(|_| random.u8(..))).collect();
            let sealed = Block::seal(&digests, [random.u8(..); 16]);
            let (mut block, mut live) = (sealed.clone(), digests);
            while !live.is_empty() {
                assert_eq!(block.root_over(&live), Some(*sealed.hash()));
                let place = random.usize(0..live.len());
                let (salt, steps) = block.prove(&live, place).expect("the event is there");
                assert_eq!(tree::climb(tree::leaf(&salt, &live[place]), &steps), *sealed.hash());

                let mut changed = live.clone();
                changed[place][0] ^= 1;
                assert_ne!(block.root_over(&changed), Some(*sealed.hash()));
                assert_eq!(block.root_over(&live[1..]), None);

                let mut places: Vec<usize> = (0..live.len()).collect();
                random.shuffle(&mut places);
                places.truncate(random.usize(1..=live.len()));
                let going: Vec<_> = places.iter().map(|place| (*place, live[*place])).collect();
                block.let_go(&going);
                live = (0..live.len()).filter(|n| !places.contains(n)).map(|n| live[n]).collect();
                block = Block::read(
                    block.events(),
                    block.hash(),
                    &block.seeds(),
                    block.gone().unwrap_or_default(),
                    &block.gone_hashes(),
                )
                .expect("reads what it wrote");
            }
            assert_eq!(block.root_over(&[]), Some(*sealed.hash()));
            assert_eq!((block.live(), block.seeds().len() / 16), (0, unused_seeds(events)));
        }
    }

    /// Slots that no event ever had keep their seeds.
    fn unused_seeds(events: usize) -> usize {
        (BLOCK - events).count_ones() as usize
    }
}
