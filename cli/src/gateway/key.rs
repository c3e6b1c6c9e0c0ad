//! A key, and what it permits.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use governor::DefaultDirectRateLimiter;
use governor::clock::{Clock, DefaultClock};
use serde::de::IgnoredAny;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use super::problem::Problem;
use crate::api_key::{ApiKey, Kind};
use crate::hex;
use crate::tenant;

/// Longest idempotency key in bytes, as the log limits it.
const LONGEST_IDEMPOTENCY_KEY: usize = 255;

/// The actors that the events of a key may name.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Actors {
    Any,
    /// Only this one, which is also the default.
    One(String),
    /// None. Maps each event name to the payload key that would become the actor.
    Nobody(HashMap<String, String>),
}

/// A key as it was when it was looked up.
pub(crate) struct Key {
    pub(super) id: Arc<str>,
    pub(crate) kind: Kind,
    /// The tenant; the first of several, or the one that stands for all.
    pub(crate) tenant: Uuid,
    /// The tenants of a key of several; empty for a key of one or of all.
    pub(crate) tenants: Vec<Uuid>,
    pub(crate) description: Option<String>,
    /// True if it may log rejected events of its tenants again.
    pub(crate) can_replay: bool,
    pub(super) event_names: Option<Vec<String>>,
    pub(super) secret_hash: Vec<u8>,
    pub(super) expires_at: Option<SystemTime>,
    pub(super) is_revoked: bool,
    pub(super) rate_limit: Option<NonZeroU32>,
    pub(super) limiter: Option<DefaultDirectRateLimiter>,
    pub(super) actors: Actors,
}

impl Key {
    /// Returns true for keys meant for browsers and apps, where anybody can read them: they must not
    /// disturb the other keys of their tenant.
    pub(crate) fn is_restricted(&self) -> bool {
        self.event_names.is_some() || self.actors != Actors::Any
    }

    /// Returns true for keys that browsers may carry: they log some names and no others.
    pub(crate) fn is_public(&self) -> bool {
        self.event_names.is_some()
    }

    /// Returns true if the key, and not its holder, decides who the actor is.
    pub(crate) fn decides_actors(&self) -> bool {
        self.actors != Actors::Any
    }

    /// Returns the idempotency key for the log. A restricted key has a namespace of its own, so that its
    /// holder cannot take an idempotency key that one of the tenant's services is about to use.
    pub(crate) fn idempotency_key(&self, given: String) -> String {
        // One that is too long stays as it is; the log refuses it.
        if !self.is_restricted() || given.len() > LONGEST_IDEMPOTENCY_KEY {
            return given;
        }
        let own = format!("{}:{given}", self.id);
        match own.len() <= LONGEST_IDEMPOTENCY_KEY {
            true => own,
            false => format!("{}#{}", self.id, hex::encode(&Sha256::digest(given))),
        }
    }

    /// Returns the actor of an event that names `given`, or why the key may not log the event.
    pub(crate) fn actor(
        &self,
        name: &str,
        given: Option<String>,
        payload: &str,
    ) -> Result<Option<String>, String> {
        let given = given.filter(|given| !given.is_empty());
        match &self.actors {
            Actors::Any => Ok(given),
            Actors::One(actor) => match given.is_none_or(|given| given == *actor) {
                true => Ok(Some(actor.clone())),
                false => Err("the key has one actor: its events may name no other".to_owned()),
            },
            Actors::Nobody(keys) => {
                if given.is_some() {
                    return Err("events of this key may name no actor".to_owned());
                }
                let Some(key) = keys.get(name) else { return Ok(None) };
                let payload: HashMap<String, IgnoredAny> =
                    serde_json::from_str(payload).unwrap_or_default();
                match payload.contains_key(key) {
                    true => Err(format!(
                        "events of this key may name no actor, but {key} in data names one"
                    )),
                    false => Ok(None),
                }
            }
        }
    }

    /// Returns true for a key of all tenants.
    pub(crate) fn reads_all(&self) -> bool {
        self.tenant == tenant::ALL
    }

    /// Returns the tenants that the key names: none for a key of all.
    pub(crate) fn own_tenants(&self) -> &[Uuid] {
        match (self.reads_all(), self.tenants.is_empty()) {
            (true, _) => &[],
            (false, true) => std::slice::from_ref(&self.tenant),
            (false, false) => &self.tenants,
        }
    }

    /// Returns the tenant of a request that asks for `asked`, a uuid or `all`: one that the key reads.
    pub(crate) fn choose(&self, asked: Option<&str>) -> Result<Uuid, Problem> {
        let Some(asked) = asked else {
            return match self.tenants.len() {
                0 => Ok(self.tenant),
                number => Err(Problem::bad_request(format!(
                    "the key reads {number} tenants: choose one with ?tenant=UUID"
                ))),
            };
        };
        let tenant = match asked {
            "all" => tenant::ALL,
            text => text.parse::<Uuid>().map_err(|_| {
                Problem::bad_request("tenant must be the uuid of a tenant of the key, or all")
            })?,
        };
        if self.reads_all() || self.own_tenants().contains(&tenant) {
            return Ok(tenant);
        }
        Err(Problem::forbidden(match tenant == tenant::ALL {
            true => "the key does not read all tenants",
            false => "the key does not read this tenant",
        }))
    }

    /// Returns true if the key may log events of this name.
    pub(crate) fn may_log(&self, name: &str) -> bool {
        self.event_names.as_ref().is_none_or(|names| names.iter().any(|own| own == name))
    }

    /// Refuses a request with more events than the limit allows in a minute.
    pub(crate) fn fits(&self, number: usize) -> Result<(), Problem> {
        match self.rate_limit {
            Some(limit) if number > limit.get() as usize => Err(Problem::too_large(format!(
                "{number} events exceed the key's limit of {limit} per minute"
            ))),
            _ => Ok(()),
        }
    }

    /// Counts events or requests against the limit.
    pub(crate) fn count(&self, number: usize) -> Result<(), Problem> {
        self.take(number, Duration::ZERO)
    }

    /// Counts the events of a request but the first, which was counted as the request. The wait is one
    /// event longer, since the same request counts as one again before its events are looked at:
    /// without it a client that came exactly when it was told would be refused for ever.
    pub(crate) fn count_others(&self, number: usize) -> Result<(), Problem> {
        let one = self.rate_limit.map(|limit| Duration::from_secs(60) / limit.get());
        self.take(number, one.unwrap_or_default())
    }

    fn take(&self, number: usize, longer: Duration) -> Result<(), Problem> {
        let (Some(limiter), Some(limit)) = (&self.limiter, self.rate_limit) else { return Ok(()) };
        let Some(number) = u32::try_from(number).ok().and_then(NonZeroU32::new) else {
            return Ok(());
        };
        let wait = match limiter.check_n(number) {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(until)) => {
                let wait = until.wait_time_from(DefaultClock::default().now());
                (wait + longer).as_secs() + 1
            }
            // More than a minute's worth, which `fits` refuses.
            Err(_) => 60,
        };
        Err(Problem::too_many(format!("the key's limit is {limit} per minute"), wait))
    }

    pub(super) fn opens_with(&self, key: &ApiKey) -> bool {
        let is_same = bool::from(self.secret_hash.as_slice().ct_eq(&key.hash()));
        is_same && self.kind == key.kind && self.is_valid()
    }

    /// Returns true unless it is revoked or has expired.
    pub(super) fn is_valid(&self) -> bool {
        !self.is_revoked && self.expires_at.is_none_or(|at| SystemTime::now() < at)
    }

    #[cfg(test)]
    pub(crate) fn for_test(tenant: Uuid, restricted: Option<&str>) -> Self {
        Key {
            id: Arc::from(restricted.unwrap_or("own")),
            kind: Kind::Write,
            tenant,
            tenants: Vec::new(),
            description: None,
            can_replay: false,
            event_names: restricted.map(|_| vec!["tool_used".to_owned()]),
            secret_hash: Vec::new(),
            expires_at: None,
            is_revoked: false,
            rate_limit: None,
            limiter: None,
            actors: Actors::Any,
        }
    }

    /// Returns true if it is as the other was.
    pub(super) fn allows_as(&self, other: &Key) -> bool {
        self.kind == other.kind
            && self.tenant == other.tenant
            && self.tenants == other.tenants
            && self.description == other.description
            && self.can_replay == other.can_replay
            && self.event_names == other.event_names
            && self.secret_hash == other.secret_hash
            && self.expires_at == other.expires_at
            && self.is_revoked == other.is_revoked
            && self.rate_limit == other.rate_limit
            && self.actors == other.actors
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idempotency_keys_of_a_restricted_key_have_a_namespace_and_fit() {
        let own = Key::for_test(Uuid::nil(), None);
        let public = Key::for_test(Uuid::nil(), Some("0123456789abcdef"));
        let other = Key::for_test(Uuid::nil(), Some("fedcba9876543210"));
        for length in [0, 1, 238, 239, 255] {
            let given = "k".repeat(length);
            assert_eq!(own.idempotency_key(given.clone()), given);
            let stored = public.idempotency_key(given.clone());
            assert!(stored.len() <= LONGEST_IDEMPOTENCY_KEY && stored.starts_with(&*public.id));
            assert_ne!(stored, other.idempotency_key(given.clone()));
            assert_ne!(stored, public.idempotency_key(format!("{given}k")));
        }
        let long = "k".repeat(256);
        assert_eq!(public.idempotency_key(long.clone()), long, "the log refuses it");
    }
}
