//! SQL functions about the hash key.

use pgrx::prelude::*;

use crate::error::Fault;
use crate::payload::hash_key;
use crate::registry;
use crate::registry::log::Log;

/// Refuses a caller without the rights of the log's owner: 42501.
fn require_owner(log: &Log) -> Result<(), Fault> {
    if log.caller().is_owner {
        return Ok(());
    }
    Err(Fault::new(
        PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
        "permission denied: the hash key is the log owner's",
    ))
}

/// Returns the id of the key in the file, for `accept_hash_key()`; for the log's owner.
#[pg_extern(sql = false)]
fn hash_key_id() -> String {
    let id = registry::current().and_then(|log| {
        require_owner(&log)?;
        Ok(hash_key::load()?.0)
    });
    id.unwrap_or_else(|fault| fault.raise())
}

/// Returns the keyed hash of an actor, for an erasure that searches for both; NULL if the log never
/// had a key. For the log's owner only: a role that can hash can test whose hash a value is.
#[pg_extern(sql = false)]
fn hash_actor(actor: Option<&str>) -> Option<String> {
    let hash = registry::current().and_then(|log| {
        require_owner(&log)?;
        match actor {
            Some(actor) if log.hash_key.is_accepted() => {
                let hash = log.hash_key.hash(actor)?;
                Ok(Some(String::from_utf8_lossy(&hash).into_owned()))
            }
            _ => Ok(None),
        }
    });
    hash.unwrap_or_else(|fault| fault.raise())
}

/// Returns the keyed hash of an actor as the log stores it, to search for a person's events. For
/// the owner and for services; 55000 if the log has no key.
#[pg_extern(sql = false)]
fn actor_hash(actor: Option<&str>) -> Option<String> {
    let hash = registry::current().and_then(|log| {
        if !log.caller().is_service {
            require_owner(&log)?;
        }
        let Some(actor) = actor.filter(|actor| !actor.is_empty()) else { return Ok(None) };
        let hash = log.hash_key.hash(actor)?;
        Ok(Some(String::from_utf8_lossy(&hash).into_owned()))
    });
    hash.unwrap_or_else(|fault| fault.raise())
}
