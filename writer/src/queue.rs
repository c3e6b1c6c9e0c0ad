//! The events that wait, in their order.

use std::collections::VecDeque;

use crate::Event;

/// An event, what it counts against the bounds, and whoever waits for what becomes of it.
pub(crate) struct Item<W> {
    pub(crate) event: Event,
    pub(crate) size: usize,
    pub(crate) waiter: Option<W>,
}

/// Items are numbered from 1 as they come in.
pub(crate) struct Queue<W> {
    items: VecDeque<Item<W>>,
    bytes: usize,
    last: u64,
}

impl<W> Queue<W> {
    pub(crate) fn new() -> Self {
        Queue { items: VecDeque::new(), bytes: 0, last: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Number of the item that came in last, still here or not.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    /// Number of the item that comes out next, here already or not.
    pub(crate) fn next(&self) -> u64 {
        self.last - self.items.len() as u64 + 1
    }

    pub(crate) fn push(&mut self, item: Item<W>) {
        self.last += 1;
        self.bytes += item.size;
        self.items.push_back(item);
    }

    pub(crate) fn pop(&mut self) -> Option<Item<W>> {
        self.pop_if(|_| true)
    }

    /// The oldest item, if it suits by its size.
    pub(crate) fn pop_if(&mut self, suits: impl FnOnce(usize) -> bool) -> Option<Item<W>> {
        let item = self.items.pop_front_if(|item| suits(item.size))?;
        self.bytes -= item.size;
        Some(item)
    }
}
