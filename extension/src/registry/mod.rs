//! The registry: the log as this backend caches it, with its relations, its owner, the taxonomy and
//! its lookups, the roles and settings of tenants.
//!
//! It is read once and kept until another connection commits a change: a statement trigger on the
//! tables (`registry_changed`) invalidates the relation, which starts a new generation here. Each
//! call first accepts waiting invalidations, which an open transaction would miss, and reads under
//! the latest snapshot: a REPEATABLE READ transaction would cache an old taxonomy and leave it
//! behind for the next one.

pub(crate) mod caller;
pub(crate) mod find;
pub(crate) mod invalidation;
pub(crate) mod load;
pub(crate) mod log;
pub(crate) mod nearest;
pub(crate) mod tenants;

use std::cell::RefCell;
use std::rc::Rc;

use crate::error::Fault;
use crate::generation;
use crate::pg;
use crate::pg::transaction::in_parallel_mode;
use crate::registry::log::Log;

thread_local! {
    static CURRENT: RefCell<Option<Rc<Log>>> = const { RefCell::new(None) };
}

/// Returns the log as it is now; 55000 if `create_log` was not called.
pub(crate) fn current() -> Result<Rc<Log>, Fault> {
    pg::invalidation::accept();
    let generation = generation::current();
    let known = CURRENT.with_borrow(|log| {
        let is_good = |log: &&Rc<Log>| {
            log.generation == generation && (!log.is_provisional || in_parallel_mode())
        };
        log.as_ref().filter(is_good).map(Rc::clone)
    });
    match known {
        Some(log) => Ok(log),
        None => {
            let log = load::load()?;
            CURRENT.set(Some(Rc::clone(&log)));
            Ok(log)
        }
    }
}

/// Returns the log as it is now; raises 55000 if `create_log` was not called.
pub(crate) fn require() -> Rc<Log> {
    current().unwrap_or_else(|no_log| no_log.raise())
}
