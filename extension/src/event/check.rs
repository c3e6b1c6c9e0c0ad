//! The checks that every event passes on its way in.

use pgrx::datum::Uuid;
use pgrx::prelude::*;

use crate::error::{Fault, shown};
use crate::event::hygiene::{Incident, Kind};
use crate::event::quota::{self, Admission};
use crate::event::sampling;
use crate::event::{Event, Ready, Verdict};
use crate::payload::additions::{Additions, Lookups};
use crate::payload::check::{Terms, label_fits};
use crate::payload::clock;
use crate::payload::edit::Hashes;
use crate::payload::event_type::EventType;
use crate::payload::hash_key;
use crate::pg::attempt;
use crate::pg::datum::{Jsonb, Text};
use crate::pg::identity::As;
use crate::pg::spi::{Kept, Mode, Params, Session};
use crate::registry;
use crate::registry::caller::Caller;
use crate::registry::log::{LONGEST_NAME, Log, is_well_formed};
use crate::settings::{self, UnknownName};
use crate::tenant;

/// Longest idempotency key, in bytes.
pub(crate) const LONGEST_KEY: usize = 255;

const POSTGRES_INFINITIES: [i64; 2] = [i64::MIN, i64::MAX];

thread_local! {
    static REGISTER: Kept = const { Kept::new(
        c"INSERT INTO eventlog.event_types (name, domain, description)
          VALUES ($1, 'registered', 'Registered when it was first logged.')
          ON CONFLICT (name) DO NOTHING",
        &[pg_sys::TEXTOID],
    ) };
}

impl<'a> Event<'a> {
    /// Checks the event in the order that DESIGN section 5 gives: what its tenant wants comes before
    /// what is wrong with it, so that a fault is no way around either.
    pub(crate) fn check(&self) -> Result<Verdict<'a>, Fault> {
        let log = registry::current()?;
        let caller = log.caller();
        let tenant_id = match self.tenant(&log, caller) {
            Ok(tenant_id) => tenant_id,
            Err(fault) => return self.refuse_early(&log, fault),
        };
        let settings = log.settings_of(&tenant_id);
        if settings.is_some_and(|settings| settings.is_opted_out) {
            return Ok(Verdict::LeftOut);
        }
        let Some(name) = self.name else {
            return self.refuse_early(&log, Fault::null("name"));
        };
        let event_type = match log.find(name.as_str()) {
            Ok(event_type) => event_type,
            Err(fault) => return self.check_unknown(&log, name, fault),
        };
        event_type.warn_if_deprecated();
        let data = self.data.unwrap_or_else(Jsonb::empty_object);
        let (actor, subject) = (self.actor(), self.subject());
        let mut weight = self.replay.and_then(|replay| replay.weight).map(f64::from);
        let is_new = self.replay.is_none();
        if event_type.sample_rate < 1.0 && is_new {
            if !sampling::keeps(event_type, data, actor) {
                return Ok(Verdict::LeftOut);
            }
            weight = Some(1.0 / event_type.sample_rate);
        }
        if let Some(quota) = settings.and_then(|settings| settings.quota).filter(|_| is_new) {
            match quota::admit(&tenant_id, quota) {
                Admission::Granted => {}
                Admission::Weighted(by) => weight = Some(weight.unwrap_or(1.0) * by),
                Admission::LeftOut => return Ok(Verdict::LeftOut),
                Admission::Rejected(fault) => return Ok(Verdict::OverQuota(fault)),
                Admission::Quarantine(fault) => return Ok(Verdict::Quarantine(fault)),
            }
        }
        let occurred_at = self.occurred_at.map(|at| at.into_inner());
        is_finite("occurred_at", occurred_at)?;
        labels_fit(actor.map(|a| a.as_str()), subject.map(|s| s.as_str()))?;
        key_fits(self.idempotency_key)?;

        let mut ours = Additions::new(occurred_at);
        if event_type.sets_keys {
            let lookups = if is_new { Lookups::Ask } else { Lookups::Miss };
            let _owner = log.without_superuser(caller);
            ours.collect(event_type, data, lookups);
        }
        let terms = Terms {
            max_bytes: settings.and_then(|settings| settings.max_bytes),
            hashes: if is_new { Hashes::Make } else { Hashes::Keep },
            has_actor: actor.is_some(),
            has_subject: subject.is_some(),
            ..Terms::default()
        };
        let checked = ours.check(&log.hash_key, event_type, data, terms)?;
        let actor = actor.map(|actor| self.hashed(&log, event_type, actor)).transpose()?;
        let mut incidents = Vec::new();
        let name_of = || Box::<str>::from(name.as_str());
        let mut incident = |kind, events| {
            incidents.push(Incident { tenant_id, kind, name: name_of(), events });
        };
        for key in ours.missed {
            incident(Kind::EnrichmentMissed(key.into()), 1);
        }
        let mut occurred_at = ours.occurred_at;
        if let Some(clamped) = occurred_at.and_then(clock::clamped) {
            occurred_at = Some(clamped);
            incident(Kind::ClockClamped, 1);
        }
        if settings.is_some_and(|settings| settings.quota.is_some()) {
            incidents.extend(quota::due(&tenant_id, false));
        }
        Ok(Verdict::Ready(Ready {
            caller,
            tenant_id,
            name,
            data: checked.data,
            occurred_at,
            actor: actor.or(checked.actor),
            subject: subject.or(checked.subject),
            weight: weight.map(|weight| weight as f32),
            incidents,
            log,
        }))
    }

    /// Who did it. An empty text is nobody: it would make one person of all strangers.
    fn actor(&self) -> Option<Text<'a>> {
        self.actor.filter(|actor| !actor.as_str().is_empty())
    }

    fn subject(&self) -> Option<Text<'a>> {
        self.subject.filter(|subject| !subject.as_str().is_empty())
    }

    /// What becomes of an event with a fault that is found before its tenant's quota is asked: a
    /// payload that cannot be read, a name that is not known. The fault, where the event counts as
    /// any other; else what its tenant's settings say of it.
    pub(crate) fn refuse(&self, fault: Fault) -> Result<Verdict<'a>, Fault> {
        let log = registry::current()?;
        self.refuse_early(&log, fault)
    }

    fn refuse_early(&self, log: &Log, fault: Fault) -> Result<Verdict<'a>, Fault> {
        let Some(tenant_id) = self.payer(log).filter(|_| fault.is_of_the_event()) else {
            return Err(fault);
        };
        let Some(settings) = log.settings_of(&tenant_id) else { return Err(fault) };
        if settings.is_opted_out {
            return Ok(Verdict::LeftOut);
        }
        let quota = settings.quota.filter(|_| self.replay.is_none());
        match quota.map(|quota| quota::admit(&tenant_id, quota)) {
            Some(Admission::LeftOut) => Ok(Verdict::LeftOut),
            Some(Admission::Rejected(over)) => Ok(Verdict::OverQuota(over)),
            Some(Admission::Granted | Admission::Weighted(_) | Admission::Quarantine(_)) | None => {
                Err(fault)
            }
        }
    }

    /// The tenant whose quota the event counts against: its own, or, where it claims to be another
    /// tenant's, the caller's.
    pub(crate) fn payer(&self, log: &Log) -> Option<[u8; 16]> {
        let own = || tenant::current().ok().filter(|_| log.is_writer());
        self.tenant(log, log.caller()).ok().or_else(own)
    }

    /// Counts what was over quota, for a call that stores nothing and raises nothing.
    pub(crate) fn settle_quota(&self) {
        if let Ok(log) = registry::current()
            && let Some(tenant_id) = self.payer(&log)
        {
            quota::settle(&log, &tenant_id, false);
        }
    }

    /// The actor as its type wants it.
    fn hashed(
        &self,
        log: &Log,
        event_type: &EventType,
        actor: Text<'a>,
    ) -> Result<Text<'a>, Fault> {
        let is_hash = self.replay.is_some() && hash_key::is_hash(actor.as_str().as_bytes());
        if !event_type.hash_actor || is_hash {
            return Ok(actor);
        }
        let hash = log.hash_key.hash(actor.as_str())?;
        Ok(Text::copy_of(&String::from_utf8_lossy(&hash)))
    }

    /// Whose event it is. The policies would refuse another tenant's as well, but only once the row
    /// is made, and in fewer words.
    pub(crate) fn tenant(&self, log: &Log, caller: Caller) -> Result<[u8; 16], Fault> {
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

    /// What `eventlog.on_unknown_name` says of an event whose name is not in the enum.
    fn check_unknown(&self, log: &Log, name: Text<'_>, fault: Fault) -> Result<Verdict<'a>, Fault> {
        // Out of the quarantine it stays there.
        let on_unknown_name = match self.replay.is_some() || log.knows(name.as_str()) {
            true => UnknownName::reject,
            false => settings::on_unknown_name(),
        };
        match (self.refuse_early(log, fault), on_unknown_name) {
            (Err(fault), UnknownName::quarantine) => Ok(Verdict::Quarantine(fault)),
            (Err(_), UnknownName::register) => {
                if let Some(tenant_id) = self.payer(log) {
                    quota::take_back(&tenant_id);
                }
                self.check_registered(log, name)
            }
            (verdict, _) => verdict,
        }
    }

    /// Adds the unknown name to the enum, in the caller's transaction, and checks again.
    fn check_registered(&self, log: &Log, name: Text<'_>) -> Result<Verdict<'a>, Fault> {
        let text = name.as_str();
        if !is_well_formed(text) {
            return Err(Fault::argument(format!("{} cannot be registered as a name", shown(text)))
                .hint(format!(
                    "a name is of a-z, 0-9, _ and ., begins with a letter, and has at most {LONGEST_NAME} bytes"
                )));
        }
        {
            let session = Session::begin();
            let _owner = As::role(log.owner);
            let params = Params::new([Some(name.datum())]);
            let register = || REGISTER.with(|plan| plan.execute(&session, Mode::Write, params));
            attempt::with_bounded_waits(settings::lock_timeout_ms(), register, || {
                Fault::new(
                    PgSqlErrorCode::ERRCODE_LOCK_NOT_AVAILABLE,
                    "another transaction holds event_types, or registers the same name",
                )
                .hint("who: SELECT pid FROM pg_locks WHERE relation = 'eventlog.event_types'::regclass;")
            });
        }
        if !registry::current()?.knows(text) {
            return Err(Fault::new(
                PgSqlErrorCode::ERRCODE_T_R_SERIALIZATION_FAILURE,
                format!("name {} was registered and removed at once", shown(text)),
            ));
        }
        self.check()
    }
}

/// A clock must be finite: 22023 otherwise.
pub(crate) fn is_finite(what: &str, at: Option<i64>) -> Result<(), Fault> {
    if at.is_some_and(|at| POSTGRES_INFINITIES.contains(&at)) {
        return Err(Fault::argument(format!("{what} must be finite")));
    }
    Ok(())
}

/// Actor and subject must fit: 22023 otherwise.
pub(crate) fn labels_fit(actor: Option<&str>, subject: Option<&str>) -> Result<(), Fault> {
    actor.map_or(Ok(()), |actor| label_fits("actor", actor))?;
    subject.map_or(Ok(()), |subject| label_fits("subject", subject))
}

fn key_fits(key: Option<Text<'_>>) -> Result<(), Fault> {
    match key.map(|key| key.as_str().len()) {
        Some(length) if length > LONGEST_KEY => Err(Fault::argument(format!(
            "idempotency_key is too long: {length} bytes, limit {LONGEST_KEY}"
        ))),
        _ => Ok(()),
    }
}
