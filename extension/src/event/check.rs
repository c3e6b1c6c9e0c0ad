//! The checks that every event passes on its way in, one step after the other.
//!
//! What its tenant wants comes before what is wrong with an event, so that a fault is no way around
//! either: an event of a tenant that opted out is left out whatever its payload, and one with an
//! unknown name counts against the quota.

use std::rc::Rc;

use pgrx::datum::Uuid;
use pgrx::prelude::*;

use crate::error::{Fault, shown};
use crate::event::given::Given;
use crate::event::hygiene::{Incident, Kind};
use crate::event::quota::{self, Admission};
use crate::event::sampling;
use crate::event::verdict::{Reason, Stopped, Verdict};
use crate::event::{Event, Ready};
use crate::limits::NAME_BYTES;
use crate::payload::check::{CheckOptions, Checked};
use crate::payload::clock;
use crate::payload::completion::{Completion, Lookups};
use crate::payload::edit::Hashes;
use crate::payload::event_type::EventType;
use crate::payload::hash_key;
use crate::pg::datum::Text;
use crate::pg::identity::ActAs;
use crate::pg::spi::{Mode, Params, Prepared, Session};
use crate::pg::subtransaction;
use crate::registry;
use crate::registry::find::{retired, unknown};
use crate::registry::log::{Log, Lookup, is_well_formed};
use crate::registry::tenants::{Quota, TenantSettings};
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
    fn pass(&self, mut log: Rc<Log>) -> Result<Ready<'a>, Reason> {
        let tenant = self.who(&log)?;
        let (name, event_type) = self.what(&mut log)?;
        let given = Given::of(self);
        let weight = self.admit(&event_type, &tenant, &given)?;
        given.fits()?;
        let (completion, checked) = self.complete(&log, &event_type, &tenant, &given)?;
        let actor = given.actor.map(|actor| self.hash(&log, &event_type, actor)).transpose()?;
        let (occurred_at, incidents) = note(completion, &tenant, name);
        Ok(Ready {
            caller: log.caller(),
            tenant_id: tenant.id,
            name,
            data: checked.data,
            occurred_at,
            actor: actor.or(checked.actor),
            subject: given.subject.or(checked.subject),
            weight,
            incidents,
            log,
        })
    }

    /// Returns false for an event from the quarantine: it was sampled, counted and hashed before.
    fn is_new(&self) -> bool {
        self.replay.is_none()
    }

    /// Who: finds the tenant of the event and its settings. Stops an event of a tenant that opted
    /// out.
    fn who(&self, log: &Log) -> Result<Tenant, Reason> {
        let id = self.tenant_id(log).map_err(|fault| self.before_the_type(log, fault))?;
        let settings = log.settings_of(&id);
        match settings.is_some_and(|settings| settings.is_opted_out) {
            true => Err(Reason::LeftOut),
            false => Ok(Tenant { id, settings }),
        }
    }

    /// Returns the tenant of the event. The policies would refuse another tenant's event too, but
    /// only once the row is made, and with a poorer message.
    fn tenant_id(&self, log: &Log) -> Result<[u8; 16], Fault> {
        log.require_writer()?;
        let caller = log.caller();
        let Some(tenant) = self.tenant_id else {
            return tenant::current().and_then(tenant::refuse_all);
        };
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
        tenant::refuse_all(tenant)
    }

    /// Returns the tenant whose quota the event counts against: its own, or, if it claims to be
    /// another tenant's, the caller's.
    pub(crate) fn payer(&self, log: &Log) -> Option<[u8; 16]> {
        let own = || tenant::current().ok().filter(|_| log.is_writer());
        self.tenant_id(log).ok().or_else(own)
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

    /// What: finds the type of the event, and the name under which it is stored. An unknown name is treated as `eventlog.on_unknown_name`
    /// says; one that is registered comes with a log that has it.
    fn what(&self, log: &mut Rc<Log>) -> Result<(Text<'a>, Rc<EventType>), Reason> {
        let Some(name) = self.name else {
            return Err(self.before_the_type(log, Fault::null("name")));
        };
        let event_type = match log.lookup(name.as_str()) {
            Lookup::Known(event_type) => Rc::clone(event_type),
            Lookup::Retired(event_type) => {
                return Err(self.before_the_type(log, retired(name.as_str(), event_type)));
            }
            Lookup::Unknown => self.unknown_type(log, name)?,
        };
        event_type.warn_if_deprecated();
        Ok((event_type.stored_name(name), event_type))
    }

    fn unknown_type(&self, log: &mut Rc<Log>, name: Text<'_>) -> Result<Rc<EventType>, Reason> {
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
                // It was counted above, and is counted again as an event with a type.
                if let Some(tenant_id) = self.payer(log) {
                    quota::take_back(&tenant_id);
                }
                let event_type = register(log, name)?;
                *log = registry::current()?;
                Ok(event_type)
            }
        }
    }

    /// Admits the event by the sample of its type and the quota of its tenant; returns how many
    /// events it stands for, if not one.
    fn admit(
        &self,
        event_type: &EventType,
        tenant: &Tenant,
        given: &Given<'_>,
    ) -> Result<Option<f32>, Reason> {
        if let Some(replay) = self.replay {
            return Ok(replay.weight);
        }
        let mut weight = None;
        if event_type.sample_rate < 1.0 {
            if !sampling::keeps(event_type, given.data, given.actor) {
                return Err(Reason::LeftOut);
            }
            weight = Some(1.0 / event_type.sample_rate);
        }
        if let Some(quota) = tenant.quota() {
            match quota::admit(&tenant.id, quota) {
                Admission::Granted => {}
                Admission::Weighted(by) => weight = Some(weight.unwrap_or(1.0) * by),
                Admission::LeftOut => return Err(Reason::LeftOut),
                Admission::Rejected(fault) => return Err(Reason::OverQuota(fault)),
                Admission::Quarantine(fault) => return Err(Reason::Quarantine(fault)),
            }
        }
        Ok(weight.map(|weight| weight as f32))
    }

    /// Completes the payload with its defaults, lookups and clock, and checks it by its type.
    fn complete<'t>(
        &self,
        log: &Log,
        event_type: &'t EventType,
        tenant: &Tenant,
        given: &Given<'a>,
    ) -> Result<(Completion<'t>, Checked<'a>), Fault> {
        let mut completion = Completion::new(given.occurred_at);
        if event_type.sets_keys {
            let lookups = if self.is_new() { Lookups::Ask } else { Lookups::Miss };
            let _owner = log.without_superuser(log.caller());
            completion.collect(event_type, given.data, lookups);
        }
        let options = CheckOptions {
            max_bytes: tenant.settings.and_then(|settings| settings.max_bytes),
            hashes: if self.is_new() { Hashes::Make } else { Hashes::Keep },
            has_actor: given.actor.is_some(),
            has_subject: given.subject.is_some(),
            ..CheckOptions::default()
        };
        let checked = completion.check(&log.hash_key, event_type, given.data, options)?;
        Ok((completion, checked))
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

/// The tenant of an event.
struct Tenant {
    id: [u8; 16],
    settings: Option<TenantSettings>,
}

impl Tenant {
    fn quota(&self) -> Option<Quota> {
        self.settings.and_then(|settings| settings.quota)
    }
}

/// Adds an unknown name to the taxonomy, in the caller's transaction, and returns its type.
fn register(log: &Log, name: Text<'_>) -> Result<Rc<EventType>, Fault> {
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
    match registry::current()?.lookup(text) {
        Lookup::Known(event_type) => Ok(Rc::clone(event_type)),
        Lookup::Retired(event_type) => Err(retired(text, event_type)),
        Lookup::Unknown => Err(Fault::new(
            PgSqlErrorCode::ERRCODE_T_R_SERIALIZATION_FAILURE,
            format!("name {} was registered and removed at once", shown(text)),
        )),
    }
}

/// Clamps a clock that runs ahead, and collects the incidents of the event.
fn note(
    completion: Completion<'_>,
    tenant: &Tenant,
    name: Text<'_>,
) -> (Option<i64>, Vec<Incident>) {
    let mut incidents = Vec::new();
    let mut incident = |kind| {
        incidents.push(Incident {
            tenant_id: tenant.id,
            kind,
            name: name.as_str().into(),
            events: 1,
        });
    };
    for key in completion.missed {
        incident(Kind::EnrichmentMissed(key.into()));
    }
    let mut occurred_at = completion.occurred_at;
    if let Some(clamped) = occurred_at.and_then(clock::clamped) {
        occurred_at = Some(clamped);
        incident(Kind::ClockClamped);
    }
    if tenant.quota().is_some() {
        incidents.extend(quota::due(&tenant.id, false));
    }
    (occurred_at, incidents)
}
