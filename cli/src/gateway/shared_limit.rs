//! Limits that tenants share: connections, bytes, streams. The less is left, the less one tenant may hold,
//! so that it never takes what the next one needs.
//!
//! A tenant may hold as much as remains free afterwards: one tenant half of all, two tenants a third each,
//! and a newcomer always finds room. A restricted key, which anybody may find in a browser, leaves the same
//! amount again to the other keys of its tenant.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use uuid::Uuid;

use super::key::Key;

/// Why a request for more is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refusal {
    /// The tenant, or the key, holds its share already.
    OverShare,
    /// Nothing is left.
    Exhausted,
}

/// A limit that tenants share.
#[derive(Debug)]
pub(crate) struct SharedLimit {
    most: usize,
    /// What every tenant may hold, as long as that much is free.
    least: usize,
    held: Mutex<Held>,
}

#[derive(Default, Debug)]
struct Held {
    all: usize,
    tenants: HashMap<Uuid, usize>,
    /// By restricted key.
    keys: HashMap<Arc<str>, usize>,
}

/// The holder of a share.
#[derive(Clone, Debug)]
pub(crate) struct Holder {
    tenant: Uuid,
    key: Option<Arc<str>>,
}

impl Holder {
    pub(crate) fn of(key: &Key) -> Self {
        Holder { tenant: key.tenant, key: key.is_restricted().then(|| Arc::clone(&key.id)) }
    }
}

/// What a tenant holds, until this is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    shares: Arc<SharedLimit>,
    holder: Holder,
    number: usize,
}

impl SharedLimit {
    pub(crate) fn new(most: usize, least: usize) -> Arc<Self> {
        Arc::new(SharedLimit { most, least, held: Mutex::default() })
    }

    pub(crate) fn take(self: &Arc<Self>, key: &Key, number: usize) -> Result<Share, Refusal> {
        let mut share = self.none(key);
        share.grow(number)?;
        Ok(share)
    }

    /// Returns an empty share, to grow later.
    pub(crate) fn none(self: &Arc<Self>, key: &Key) -> Share {
        Share { shares: Arc::clone(self), holder: Holder::of(key), number: 0 }
    }

    /// Returns an empty share for clients of which no key is known yet. They leave more to those that have
    /// shown one, as a restricted key does.
    pub(crate) fn of_strangers(self: &Arc<Self>) -> Share {
        let holder = Holder { tenant: Uuid::nil(), key: Some(Arc::from("")) };
        Share { shares: Arc::clone(self), holder, number: 0 }
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn may_take(&self, held: &Held, holder: &Holder, number: usize) -> Result<(), Refusal> {
        let free =
            self.most.checked_sub(held.all.saturating_add(number)).ok_or(Refusal::Exhausted)?;
        let of_tenant = held.tenants.get(&holder.tenant).copied().unwrap_or(0) + number;
        let is_fair = match &holder.key {
            None => of_tenant <= free.max(self.least),
            Some(key) => {
                let of_key = held.keys.get(key).copied().unwrap_or(0) + number;
                of_key <= free.saturating_sub(of_tenant).max(self.least)
            }
        };
        is_fair.then_some(()).ok_or(Refusal::OverShare)
    }
}

impl Share {
    /// Takes more.
    pub(crate) fn grow(&mut self, number: usize) -> Result<(), Refusal> {
        let mut held = self.shares.held();
        self.shares.may_take(&held, &self.holder, number)?;
        held.all += number;
        *held.tenants.entry(self.holder.tenant).or_default() += number;
        if let Some(key) = &self.holder.key {
            *held.keys.entry(Arc::clone(key)).or_default() += number;
        }
        self.number += number;
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut held = self.shares.held();
        held.all -= self.number;
        give_back(held.tenants.entry(self.holder.tenant), self.number);
        if let Some(key) = &self.holder.key {
            give_back(held.keys.entry(Arc::clone(key)), self.number);
        }
    }
}

/// Gives back, and removes the entry of a holder that has nothing left.
fn give_back<K: Eq + Hash>(entry: Entry<'_, K, usize>, number: usize) {
    if let Entry::Occupied(mut held) = entry {
        *held.get_mut() -= number;
        if *held.get() == 0 {
            held.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(tenant: u128, restricted: Option<&str>) -> Key {
        Key::for_test(Uuid::from_u128(tenant), restricted)
    }

    /// Takes one after the other until refused.
    fn greedy(shares: &Arc<SharedLimit>, key: &Key) -> Vec<Share> {
        std::iter::from_fn(|| shares.take(key, 1).ok()).collect()
    }

    #[test]
    fn a_newcomer_finds_room_however_greedy_the_others_are() {
        let shares = SharedLimit::new(120, 1);
        let mut all = Vec::new();
        for (tenant, expected) in [(1, 60), (2, 30), (3, 15)] {
            let taken = greedy(&shares, &key(tenant, None));
            assert_eq!(taken.len(), expected, "{tenant}");
            all.push(taken);
        }
        let error = shares.take(&key(1, None), 1).unwrap_err();
        assert_eq!(error, Refusal::OverShare);
        // What one gives back, another that has less may take.
        all.remove(0).truncate(0);
        assert!(!greedy(&shares, &key(2, None)).is_empty());
        drop(all);
        let held = shares.held();
        assert!(held.all == 0 && held.tenants.is_empty() && held.keys.is_empty());
    }

    #[test]
    fn a_restricted_key_leaves_room_to_the_rest_of_its_tenant() {
        let shares = SharedLimit::new(120, 1);
        let public = greedy(&shares, &key(1, Some("public")));
        assert_eq!(public.len(), 40);
        assert_eq!(shares.take(&key(1, Some("public")), 1).unwrap_err(), Refusal::OverShare);
        let own = greedy(&shares, &key(1, None));
        assert_eq!(own.len(), 20);
        assert!(!greedy(&shares, &key(2, None)).is_empty());
    }

    #[test]
    fn those_without_a_key_leave_two_thirds_to_those_who_have_one() {
        let shares = SharedLimit::new(120, 1);
        let mut strangers = shares.of_strangers();
        while strangers.grow(1).is_ok() {}
        assert_eq!(strangers.number, 40);
        assert_eq!(greedy(&shares, &key(1, None)).len(), 40);
        drop(strangers);
        assert!(shares.of_strangers().grow(1).is_ok());
    }

    #[test]
    fn every_tenant_gets_the_least_until_nothing_is_left() {
        let shares = SharedLimit::new(4, 2);
        let first = shares.take(&key(1, Some("public")), 2).unwrap();
        let _second = shares.take(&key(2, None), 2).unwrap();
        assert_eq!(shares.take(&key(3, None), 1).unwrap_err(), Refusal::Exhausted);
        drop(first);
        assert!(shares.take(&key(3, None), 2).is_ok());
    }
}
