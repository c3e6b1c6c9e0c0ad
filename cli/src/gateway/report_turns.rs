//! The order in which tenants get the few connections for reports: the next goes to the tenant that holds
//! the fewest, and among equals to the one that has waited longest.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;
use uuid::Uuid;

use super::shared_limit::Refusal;

/// Most reports of a tenant that may wait.
const MOST_WAITING: usize = 32;

/// The connections for reports, given to one tenant after the other.
#[derive(Debug)]
pub(crate) struct Turns {
    most: usize,
    state: Mutex<State>,
}

#[derive(Default, Debug)]
struct State {
    all: usize,
    running: HashMap<Uuid, usize>,
    waiting: VecDeque<(Uuid, oneshot::Sender<Turn>)>,
}

/// A connection that is a tenant's until this is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    turns: Arc<Turns>,
    tenant: Uuid,
}

impl Turns {
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Turns { most, state: Mutex::default() })
    }

    /// Waits for a turn, at most `patience`.
    pub(crate) async fn take(
        self: &Arc<Self>,
        tenant: Uuid,
        patience: Duration,
    ) -> Result<Turn, Refusal> {
        let (sender, turn) = oneshot::channel();
        {
            let mut state = self.state();
            // A request whose client has left does not count.
            state.waiting.retain(|(_, sender)| !sender.is_closed());
            let own = state.waiting.iter().filter(|(waiting, _)| *waiting == tenant).count();
            if own >= MOST_WAITING {
                return Err(Refusal::OverShare);
            }
            state.waiting.push_back((tenant, sender));
        }
        self.give();
        match timeout(patience, turn).await {
            Ok(Ok(turn)) => Ok(turn),
            _ => {
                let mut state = self.state();
                state.waiting.retain(|(_, sender)| !sender.is_closed());
                let has_own = state.running.get(&tenant).is_some_and(|own| *own >= self.share());
                Err(if has_own { Refusal::OverShare } else { Refusal::Exhausted })
            }
        }
    }

    /// Most turns of one tenant: half of all, so that slow reports of one leave the rest to others.
    fn share(&self) -> usize {
        self.most.div_ceil(2)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the free turns to those that wait.
    fn give(self: &Arc<Self>) {
        while let Some((tenant, sender)) = self.next() {
            // If the receiver has given up, this drops the turn, which passes it on.
            let _ = sender.send(Turn { turns: Arc::clone(self), tenant });
        }
    }

    fn next(&self) -> Option<(Uuid, oneshot::Sender<Turn>)> {
        let mut state = self.state();
        if state.all >= self.most {
            return None;
        }
        let own = |tenant: &Uuid| state.running.get(tenant).copied().unwrap_or(0);
        let waiting =
            state.waiting.iter().enumerate().map(|(place, (tenant, _))| (own(tenant), place));
        let (_, place) = waiting.filter(|(own, _)| *own < self.share()).min()?;
        let next = state.waiting.remove(place)?;
        state.all += 1;
        *state.running.entry(next.0).or_default() += 1;
        Some(next)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        {
            let mut state = self.turns.state();
            state.all -= 1;
            if let Some(own) = state.running.get_mut(&self.tenant) {
                *own -= 1;
                if *own == 0 {
                    state.running.remove(&self.tenant);
                }
            }
        }
        self.turns.give();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Uuid = Uuid::from_u128(1);
    const B: Uuid = Uuid::from_u128(2);

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    }

    #[test]
    fn one_tenant_leaves_half_of_the_turns_to_others() {
        runtime().block_on(async {
            let turns = Turns::new(4);
            let now = Duration::ZERO;
            let first = turns.take(A, now).await.unwrap();
            let _second = turns.take(A, now).await.unwrap();
            assert_eq!(turns.take(A, now).await.unwrap_err(), Refusal::OverShare);
            let _of_b = turns.take(B, now).await.unwrap();
            let _of_b_too = turns.take(B, now).await.unwrap();
            assert_eq!(turns.take(Uuid::nil(), now).await.unwrap_err(), Refusal::Exhausted);
            drop(first);
            assert!(turns.take(Uuid::nil(), now).await.is_ok());
        });
    }

    #[test]
    fn the_next_turn_goes_to_the_tenant_that_has_the_fewest() {
        runtime().block_on(async {
            let turns = Turns::new(2);
            let (a, b) = (turns.take(A, Duration::ZERO).await, turns.take(B, Duration::ZERO).await);
            let queued = |tenant| {
                let turns = Arc::clone(&turns);
                tokio::spawn(async move { turns.take(tenant, Duration::MAX).await })
            };
            let waiting: Vec<_> = std::iter::repeat_n(A, MOST_WAITING).map(queued).collect();
            tokio::task::yield_now().await;
            assert_eq!(turns.take(A, Duration::MAX).await.unwrap_err(), Refusal::OverShare);
            let last = queued(B);
            tokio::task::yield_now().await;
            // B came last and is next all the same, since A has a turn.
            drop(b);
            assert!(last.await.unwrap().is_ok());
            drop(a);
            for waiting in waiting {
                assert!(waiting.await.unwrap().is_ok());
            }
            let state = turns.state();
            assert!(state.all == 0 && state.running.is_empty() && state.waiting.is_empty());
        });
    }
}
