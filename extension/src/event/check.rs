//! The checks that every event passes on its way in, one step after the other.
//!
//! What its tenant wants comes before what is wrong with an event, so that a fault is no way around
//! either: an event of a tenant that opted out is left out whatever its payload, and one with an
//! unknown name counts against the quota.

use std::rc::Rc;

use pgrx::datum::Uuid;
use pgrx::prelude::*;

use crate::error::{Fault, shown};
use crate::event::hygiene::{Incident, Kind};
use crate::event::quota::{self, Admission};
use crate::event::sampling;
use crate::event::verdict::{Reason, Stopped, Verdict};
use crate::event::{Event, Ready};
use crate::limits::{KEY_BYTES, NAME_BYTES};
use crate::payload::check::{CheckOptions, label_fits};
use crate::payload::clock;
use crate::payload::completion::{Completion, Lookups};
use crate::payload::edit::Hashes;
use crate::payload::event_type::EventType;
use crate::payload::hash_key;
use crate::pg::datum::{Jsonb, Text};
use crate::pg::identity::ActAs;
use crate::pg::spi::{Mode, Params, Prepared, Session};
use crate::pg::subtransaction;
use crate::registry;
use crate::registry::caller::Caller;
use crate::registry::find::{retired, unknown};
use crate::registry::log::{Log, Lookup, is_well_formed};
use crate::registry::tenants::TenantSettings;
use crate::settings::{self, UnknownName};
use crate::tenant;

thread_local! {
    static REGISTER: Prepared = const { Prepared::new(
        c"INSERT INTO eventlog.event_types (name, domain, description)
          VALUES ($1, 'registered', 'Registered when it was first logged.')
          ON CONFLICT (name) DO NOTHING",
        &[pg_sys::TEXTOID],
    ) };
}

impl<'a> Event<'a> {
    /// Checks the event. `Err` is a fault of something else than the event, which must reach the
    /// caller: there is no log, or the connection or the transaction is at fault.
    pub(crate) fn check<'e>(&'e self) -> Result<Verdict<'e, 'a>, Fault> {
        match self.pass(registry::current()?) {
            Ok(ready) => Ok(Verdict::Ready(ready)),
            Err(reason) => self.stop(reason).map(Verdict::Stopped),
        }
    }

    /// Stops an event that could not be read to its end. The settings of its tenant come before the
    /// fault.
    pub(crate) fn refuse<'e>(&'e self, fault: Fault) -> Result<Verdict<'e, 'a>, Fault> {
        let log = registry::current()?;
        self.stop(self.before_the_type(&log, fault)).map(Verdict::Stopped)
    }

    /// Stops an event for a reason that the checks or the INSERT found. `Err` as in
    /// [`Event::check`].
    pub(crate) fn stop<'e>(&'e self, reason: impl Into<Reason>) -> Result<Stopped<'e, 'a>, Fault> {
        match reason.into() {
            Reason::Refused(fault) if !fault.is_of_the_event() => Err(fault),
            reason => Ok(Stopped::new(self, reason)),
        }
    }

    /// Takes all steps in order.
    fn pass(&self, log: Rc<Log>) -> Result<Ready<'a>, Reason> {
        let caller = log.caller();
        let tenant_id =
            self.tenant(&log, caller).map_err(|fault| self.before_the_type(&log, fault))?;
        let settings = log.settings_of(&tenant_id);
        if settings.is_some_and(|settings| settings.is_opted_out) {
            return Err(Reason::LeftOut);
        }
        let Some(name) = self.name else {
            return Err(self.before_the_type(&log, Fault::null("name")));
        };
        let event_type = match log.lookup(name.as_str()) {
            Lookup::Known(event_type) => event_type,
            Lookup::Retired(event_type) => {
                return Err(self.before_the_type(&log, retired(name.as_str(), event_type)));
            }
            Lookup::Unknown => return self.pass_unknown(&log, name),
        };
        event_type.warn_if_deprecated();
        let data = self.data.unwrap_or_else(Jsonb::empty_object);
        let (actor, subject) = (not_empty(self.actor), not_empty(self.subject));
        let weight = self.admit(event_type, &tenant_id, settings, data, actor)?;
        let occurred_at = self.occurred_at.map(|at| at.into_inner());
        fits(occurred_at, actor, subject, self.idempotency_key)?;
        let mut completion = self.look_up(&log, caller, event_type, data, occurred_at);
        let options = CheckOptions {
            max_bytes: settings.and_then(|settings| settings.max_bytes),
            hashes: if self.is_new() { Hashes::Make } else { Hashes::Keep },
            has_actor: actor.is_some(),
            has_subject: subject.is_some(),
            ..CheckOptions::default()
        };
        let checked = completion.check(&log.hash_key, event_type, data, options)?;
        let actor = actor.map(|actor| self.hash(&log, event_type, actor)).transpose()?;
        let (occurred_at, incidents) = note(completion, tenant_id, name, settings);
        Ok(Ready {
            caller,
            tenant_id,
            name,
            data: checked.data,
            occurred_at,
            actor: actor.or(checked.actor),
            subject: subject.or(checked.subject),
            weight,
            incidents,
            log,
        })
    }

    /// Returns false for an event from the quarantine: it was sampled, counted and hashed before.
    fn is_new(&self) -> bool {
        self.replay.is_none()
    }

    /// Who: returns the tenant of the event. The policies would refuse another tenant's event too,
    /// but only once the row is made, and with a poorer message.
    fn tenant(&self, log: &Log, caller: Caller) -> Result<[u8; 16], Fault> {
        log.require_writer()?;
        let Some(tenant) = self.tenant_id else { return tenant::current() };
        let tenant = *tenant.as_bytes();
        if caller.is_bound && !caller.is_service && tenant::current()? != tenant {
            return Err(Fault::new(
                PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
                format!("tenant {} is not this connection's", Uuid::from_bytes(tenant)),
            )
            .hint(
                "the connection's own is eventlog.current_tenant(); for a service of all tenants \
                 the log's owner types: SELECT eventlog.grant_service('<role>');",
            ));
        }
        Ok(tenant)
    }

    /// Returns the tenant whose quota the event counts against: its own, or, if it claims to be
    /// another tenant's, the caller's.
    pub(crate) fn payer(&self, log: &Log) -> Option<[u8; 16]> {
        let own = || tenant::current().ok().filter(|_| log.is_writer());
        self.tenant(log, log.caller()).ok().or_else(own)
    }

    /// Stops an event with a fault that is found before its type is known. It counts against the
    /// quota all the same, and a tenant that opted out or is over quota does not get the fault.
    fn before_the_type(&self, log: &Log, fault: Fault) -> Reason {
        let Some(tenant_id) = self.payer(log).filter(|_| fault.is_of_the_event()) else {
            return Reason::Refused(fault);
        };
        let Some(settings) = log.settings_of(&tenant_id) else { return Reason::Refused(fault) };
        if settings.is_opted_out {
            return Reason::LeftOut;
        }
        let quota = settings.quota.filter(|_| self.is_new());
        match quota.map(|quota| quota::admit(&tenant_id, quota)) {
            Some(Admission::LeftOut) => Reason::LeftOut,
            Some(Admission::Rejected(over)) => Reason::OverQuota(over),
            Some(Admission::Granted | Admission::Weighted(_) | Admission::Quarantine(_)) | None => {
                Reason::Refused(fault)
            }
        }
    }

    /// What: treats an unknown name as `eventlog.on_unknown_name` says.
    fn pass_unknown(&self, log: &Log, name: Text<'_>) -> Result<Ready<'a>, Reason> {
        let fault = match self.before_the_type(log, unknown(name.as_str())) {
            Reason::Refused(fault) => fault,
            reason => return Err(reason),
        };
        match settings::on_unknown_name() {
            // An event from the quarantine stays there.
            _ if !self.is_new() => Err(Reason::Refused(fault)),
            UnknownName::reject => Err(Reason::Refused(fault)),
            UnknownName::quarantine => Err(Reason::Quarantine(fault)),
            UnknownName::register => {
                // It was counted above, and all steps are taken again.
                if let Some(tenant_id) = self.payer(log) {
                    quota::take_back(&tenant_id);
                }
                register(log, name)?;
                self.pass(registry::current()?)
            }
        }
    }

    /// Admits the event by the sample of its type and the quota of its tenant; returns how many
    /// events it stands for, if not one.
    fn admit(
        &self,
        event_type: &EventType,
        tenant_id: &[u8; 16],
        settings: Option<TenantSettings>,
        data: Jsonb<'_>,
        actor: Option<Text<'_>>,
    ) -> Result<Option<f32>, Reason> {
        if let Some(replay) = self.replay {
            return Ok(replay.weight);
        }
        let mut weight = None;
        if event_type.sample_rate < 1.0 {
            if !sampling::keeps(event_type, data, actor) {
                return Err(Reason::LeftOut);
            }
            weight = Some(1.0 / event_type.sample_rate);
        }
        if let Some(quota) = settings.and_then(|settings| settings.quota) {
            match quota::admit(tenant_id, quota) {
                Admission::Granted => {}
                Admission::Weighted(by) => weight = Some(weight.unwrap_or(1.0) * by),
                Admission::LeftOut => return Err(Reason::LeftOut),
                Admission::Rejected(fault) => return Err(Reason::OverQuota(fault)),
                Admission::Quarantine(fault) => return Err(Reason::Quarantine(fault)),
            }
        }
        Ok(weight.map(|weight| weight as f32))
    }

    /// Completes the payload: finds its defaults, lookups and clock.
    fn look_up<'t>(
        &self,
        log: &Log,
        caller: Caller,
        event_type: &'t EventType,
        data: Jsonb<'t>,
        occurred_at: Option<i64>,
    ) -> Completion<'t> {
        let mut completion = Completion::new(occurred_at);
        if event_type.sets_keys {
            let lookups = if self.is_new() { Lookups::Ask } else { Lookups::Miss };
            let _owner = log.without_superuser(caller);
            completion.collect(event_type, data, lookups);
        }
        completion
    }

    /// Hashes the actor if its type wants it.
    fn hash(&self, log: &Log, event_type: &EventType, actor: Text<'a>) -> Result<Text<'a>, Fault> {
        let is_hash = !self.is_new() && hash_key::is_hash(actor.as_str().as_bytes());
        if !event_type.hash_actor || is_hash {
            return Ok(actor);
        }
        let hash = log.hash_key.hash(actor.as_str())?;
        Ok(Text::copy_of(&String::from_utf8_lossy(&hash)))
    }
}

/// Returns nothing for an empty text: as an actor it would turn all strangers into one person.
pub(crate) fn not_empty(text: Option<Text<'_>>) -> Option<Text<'_>> {
    text.filter(|text| !text.as_str().is_empty())
}

/// Adds an unknown name to the taxonomy, in the caller's transaction.
fn register(log: &Log, name: Text<'_>) -> Result<(), Fault> {
    let text = name.as_str();
    if !is_well_formed(text) {
        return Err(Fault::argument(format!("{} cannot be registered as a name", shown(text)))
            .hint(format!(
                "a name is of a-z, 0-9, _ and ., begins with a letter, and has at most {NAME_BYTES} bytes"
            )));
    }
    {
        let session = Session::begin();
        let _owner = ActAs::role(log.owner);
        let params = Params::new([Some(name.datum())]);
        let register = || REGISTER.with(|plan| plan.execute(&session, Mode::Write, params));
        subtransaction::with_bounded_waits(settings::lock_timeout_ms(), register, || {
            Fault::new(
                PgSqlErrorCode::ERRCODE_LOCK_NOT_AVAILABLE,
                "another transaction holds event_types, or registers the same name",
            )
            .hint(
                "who: SELECT pid FROM pg_locks WHERE relation = 'eventlog.event_types'::regclass;",
            )
        });
    }
    if matches!(registry::current()?.lookup(text), Lookup::Unknown) {
        return Err(Fault::new(
            PgSqlErrorCode::ERRCODE_T_R_SERIALIZATION_FAILURE,
            format!("name {} was registered and removed at once", shown(text)),
        ));
    }
    Ok(())
}

/// Checks the limits of everything but the payload: 22023 for what is too long or infinite.
fn fits(
    occurred_at: Option<i64>,
    actor: Option<Text<'_>>,
    subject: Option<Text<'_>>,
    key: Option<Text<'_>>,
) -> Result<(), Fault> {
    is_finite("occurred_at", occurred_at)?;
    labels_fit(actor.map(|actor| actor.as_str()), subject.map(|subject| subject.as_str()))?;
    match key.map(|key| key.as_str().len()) {
        Some(length) if length > KEY_BYTES => Err(Fault::argument(format!(
            "idempotency_key is too long: {length} bytes, limit {KEY_BYTES}"
        ))),
        _ => Ok(()),
    }
}

/// Refuses an infinite clock: 22023.
pub(crate) fn is_finite(what: &str, at: Option<i64>) -> Result<(), Fault> {
    const POSTGRES_INFINITIES: [i64; 2] = [i64::MIN, i64::MAX];
    if at.is_some_and(|at| POSTGRES_INFINITIES.contains(&at)) {
        return Err(Fault::argument(format!("{what} must be finite")));
    }
    Ok(())
}

/// Refuses an actor or subject that is too long: 22023.
pub(crate) fn labels_fit(actor: Option<&str>, subject: Option<&str>) -> Result<(), Fault> {
    actor.map_or(Ok(()), |actor| label_fits("actor", actor))?;
    subject.map_or(Ok(()), |subject| label_fits("subject", subject))
}

/// Clamps a clock that runs ahead, and collects the incidents of the event.
fn note(
    completion: Completion<'_>,
    tenant_id: [u8; 16],
    name: Text<'_>,
    settings: Option<TenantSettings>,
) -> (Option<i64>, Vec<Incident>) {
    let mut incidents = Vec::new();
    let mut incident = |kind| {
        incidents.push(Incident { tenant_id, kind, name: name.as_str().into(), events: 1 });
    };
    for key in completion.missed {
        incident(Kind::EnrichmentMissed(key.into()));
    }
    let mut occurred_at = completion.occurred_at;
    if let Some(clamped) = occurred_at.and_then(clock::clamped) {
        occurred_at = Some(clamped);
        incident(Kind::ClockClamped);
    }
    if settings.is_some_and(|settings| settings.quota.is_some()) {
        incidents.extend(quota::due(&tenant_id, false));
    }
    (occurred_at, incidents)
}
