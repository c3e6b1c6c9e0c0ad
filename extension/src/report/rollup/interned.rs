//! Numbers instead of values that repeat, and maps by such numbers.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::rc::Rc;

/// Values, each with a number in the order in which they were met.
pub(crate) struct Interned<T: ?Sized> {
    numbers: HashMap<Rc<T>, u32>,
    values: Vec<Rc<T>>,
    bytes: usize,
}

/// Bytes that a value takes besides its own: two counts, and its places in the table and the list.
const OF_VALUE: usize = 80;

impl<T: ?Sized> Default for Interned<T> {
    fn default() -> Self {
        Interned { numbers: HashMap::new(), values: Vec::new(), bytes: 0 }
    }
}

impl<T: Eq + Hash + Ord + ?Sized> Interned<T> {
    /// Returns the number of a value.
    pub(crate) fn number(&mut self, value: &T) -> u32
    where
        for<'v> Rc<T>: From<&'v T>,
    {
        if let Some(number) = self.numbers.get(value) {
            return *number;
        }
        let number = self.values.len() as u32;
        self.bytes += size_of_val(value) + OF_VALUE;
        let value: Rc<T> = value.into();
        self.values.push(Rc::clone(&value));
        self.numbers.insert(value, number);
        number
    }

    /// Returns the value of a number.
    pub(crate) fn value(&self, number: u32) -> &T {
        &self.values[number as usize]
    }

    /// Returns the bytes that all values take, about.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns all values, in the order of their numbers.
    pub(crate) fn values(&self) -> impl ExactSizeIterator<Item = &T> {
        self.values.iter().map(|value| &**value)
    }

    /// Returns for each number the place of its value among all of them in order.
    pub(crate) fn ranks(&self) -> Vec<u32> {
        let mut sorted: Vec<u32> = (0..self.values.len() as u32).collect();
        sorted.sort_unstable_by(|a, b| self.value(*a).cmp(self.value(*b)));
        let mut ranks = vec![0; sorted.len()];
        for (rank, number) in sorted.into_iter().enumerate() {
            ranks[number as usize] = rank as u32;
        }
        ranks
    }
}

/// A map by numbers of ours, which nobody outside can choose so that they collide.
pub(crate) type ByNumbers<K, V> = HashMap<K, V, BuildHasherDefault<Mixer>>;

/// Mixes a few integers.
#[derive(Default)]
pub(crate) struct Mixer(u64);

impl Mixer {
    fn mix(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(23) ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

impl Hasher for Mixer {
    fn finish(&self) -> u64 {
        // The map takes its bits from both ends.
        self.0 ^ (self.0 >> 32)
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.mix(u64::from(*byte));
        }
    }

    fn write_u32(&mut self, number: u32) {
        self.mix(u64::from(number));
    }

    fn write_i32(&mut self, number: i32) {
        self.mix(u64::from(number as u32));
    }
}
