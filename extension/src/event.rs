//! An event on its way in: the checks that every verb shares, and the INSERT.

use std::panic::AssertUnwindSafe;

use pgrx::PgTryBuilder;
use pgrx::datum::{TimestampWithTimeZone, Uuid};
use pgrx::prelude::*;

use crate::datum::{Jsonb, Text};
use crate::error::{Fault, shown};
use crate::guard::{self, Row};
use crate::guc::{self, UnknownName};
use crate::registry::{self, LONGEST_NAME, Log};
use crate::spi::{As, Kept, Mode, Params, Rows, Session};
use crate::{partition, payload, tenant};

/// Longest idempotency key, in bytes.
pub(crate) const LONGEST_KEY: usize = 255;

const POSTGRES_INFINITIES: [i64; 2] = [i64::MIN, i64::MAX];

/// An event as the caller gave it.
#[derive(Clone, Copy)]
pub(crate) struct Event<'a> {
    pub(crate) tenant_id: Option<Uuid>,
    pub(crate) name: Option<Text<'a>>,
    pub(crate) data: Option<Jsonb<'a>>,
    pub(crate) occurred_at: Option<TimestampWithTimeZone>,
    pub(crate) actor: Option<Text<'a>>,
    pub(crate) subject: Option<Text<'a>>,
    pub(crate) idempotency_key: Option<Text<'a>>,
}

/// An event that passed every check, as it will be stored.
pub(crate) struct Ready<'a> {
    log: std::rc::Rc<Log>,
    tenant_id: [u8; 16],
    name: Text<'a>,
    data: Jsonb<'a>,
    occurred_at: Option<i64>,
    actor: Option<Text<'a>>,
    subject: Option<Text<'a>>,
}

/// What the checks say of an event.
pub(crate) enum Verdict<'a> {
    Ready(Ready<'a>),
    /// For the quarantine without an error (`eventlog.on_unknown_name = quarantine`).
    Quarantine(Fault),
}

const TYPES: &[pg_sys::Oid] = &[
    pg_sys::UUIDOID,
    pg_sys::TEXTOID,
    pg_sys::JSONBOID,
    pg_sys::TIMESTAMPTZOID,
    pg_sys::TEXTOID,
    pg_sys::TEXTOID,
];

thread_local! {
    /// For roles that policies bind: the guard tells the id, so no right to read is needed.
    static INSERT: Kept = const { Kept::new(
        c"INSERT INTO eventlog.events (tenant_id, name, data, occurred_at, actor, subject)
          VALUES ($1, $2, $3, $4, $5, $6)",
        TYPES,
    ) };
    /// For roles that bypass them, and so the guard.
    static INSERT_RETURNING: Kept = const { Kept::new(
        c"INSERT INTO eventlog.events (tenant_id, name, data, occurred_at, actor, subject)
          VALUES ($1, $2, $3, $4, $5, $6) RETURNING id",
        TYPES,
    ) };
    static REGISTER: Kept = const { Kept::new(
        c"INSERT INTO eventlog.event_types (name, domain, description)
          VALUES ($1, 'registered', 'Registered when it was first logged.')
          ON CONFLICT (name) DO NOTHING",
        &[pg_sys::TEXTOID],
    ) };
}

impl<'a> Event<'a> {
    /// Checks the event in the order that DESIGN section 5 gives.
    pub(crate) fn check(&self) -> Result<Verdict<'a>, Fault> {
        let log = registry::current()?;
        let tenant_id = match self.tenant_id {
            Some(tenant) => *tenant.as_bytes(),
            None => tenant::current()?,
        };
        let name = self.name.ok_or_else(|| Fault::null("name"))?;
        let event_type = match log.find(name.as_str()) {
            Ok(event_type) => event_type,
            Err(fault) if log.knows(name.as_str()) => return Err(fault),
            Err(fault) => match guc::on_unknown_name() {
                UnknownName::reject => return Err(fault),
                UnknownName::quarantine => return Ok(Verdict::Quarantine(fault)),
                UnknownName::register => return self.check_registered(&log, name),
            },
        };
        let data = self.data.unwrap_or_else(Jsonb::empty_object);
        let occurred_at = self.occurred_at.map(|at| at.into_inner());
        labels_fit(occurred_at, self.actor.map(|a| a.as_str()), self.subject.map(|s| s.as_str()))?;
        key_fits(self.idempotency_key)?;
        let checked = payload::check(event_type, data)?;
        Ok(Verdict::Ready(Ready {
            tenant_id,
            name,
            data: checked.data,
            occurred_at,
            actor: self.actor.or(checked.actor),
            subject: self.subject.or(checked.subject),
            log,
        }))
    }

    /// Adds the unknown name to the enum, in the caller's transaction, and checks again.
    fn check_registered(&self, log: &Log, name: Text<'_>) -> Result<Verdict<'a>, Fault> {
        let text = name.as_str();
        let well_formed = text.len() <= LONGEST_NAME
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.'));
        if !well_formed {
            return Err(Fault::argument(format!("{} cannot be registered as a name", shown(text)))
                .hint(format!(
                    "a name is of a-z, 0-9, _ and ., begins with a letter, and has at most {LONGEST_NAME} bytes"
                )));
        }
        log.require_writer()?;
        {
            let session = Session::begin();
            let _owner = As::role(log.owner);
            REGISTER.with(|plan| {
                plan.execute(&session, Mode::Write, Params::new([Some(name.datum())]))
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

/// The clock must be finite, actor and subject must fit: 22023 otherwise.
pub(crate) fn labels_fit(
    occurred_at: Option<i64>,
    actor: Option<&str>,
    subject: Option<&str>,
) -> Result<(), Fault> {
    if occurred_at.is_some_and(|at| POSTGRES_INFINITIES.contains(&at)) {
        return Err(Fault::argument("occurred_at must be finite"));
    }
    actor.map_or(Ok(()), |actor| payload::label_fits("actor", actor))?;
    subject.map_or(Ok(()), |subject| payload::label_fits("subject", subject))
}

fn key_fits(key: Option<Text<'_>>) -> Result<(), Fault> {
    match key.map(|key| key.as_str().len()) {
        Some(length) if length > LONGEST_KEY => Err(Fault::argument(format!(
            "idempotency_key is too long: {length} bytes, limit {LONGEST_KEY}"
        ))),
        _ => Ok(()),
    }
}

impl Ready<'_> {
    /// Inserts the event under the caller's own rights and policies; its id, or nothing where a
    /// trigger of the user skipped the row.
    pub(crate) fn insert(&self) -> Option<i64> {
        partition::ensure(&self.log);
        let params = Params::new([
            Some(pg_sys::Datum::from(self.tenant_id.as_ptr())),
            Some(self.name.datum()),
            Some(self.data.datum()),
            self.occurred_at.map(pg_sys::Datum::from),
            self.actor.map(|actor| actor.datum()),
            self.subject.map(|subject| subject.datum()),
        ]);
        let session = Session::begin();
        if !self.log.policies_bind() {
            let written = INSERT_RETURNING.with(|p| p.execute(&session, Mode::Write, params));
            return (written == 1).then(|| Rows::last(&session).get::<i64>(0, 1)).flatten();
        }
        let row = Row {
            tenant_id: self.tenant_id,
            name: self.name.as_str(),
            data: self.data.bytes(),
            occurred_at: self.occurred_at,
            actor: self.actor.map(|actor| actor.as_str()),
            subject: self.subject.map(|subject| subject.as_str()),
            weight: None,
        };
        let (written, id) = PgTryBuilder::new(AssertUnwindSafe(|| {
            guard::with_checked(&[row], || {
                INSERT.with(|p| p.execute(&session, Mode::Write, params))
            })
        }))
        .catch_when(PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE, |error| {
            match self.why_not() {
                Some(fault) => fault.raise(),
                None => error.rethrow(),
            }
        })
        .execute();
        if written == 1 { id } else { None }
    }

    /// What PostgreSQL's "permission denied" and "row violates row-level security" mean here.
    fn why_not(&self) -> Option<Fault> {
        if let Err(fault) = self.log.require_writer() {
            return Some(fault);
        }
        let own = tenant::current().ok()?;
        (own != self.tenant_id).then(|| {
            Fault::new(
                PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
                format!("tenant {} is not this connection's", Uuid::from_bytes(self.tenant_id)),
            )
            .hint(
                "the connection's own is eventlog.current_tenant(); for a service of all tenants \
                 the log's owner types: SELECT eventlog.grant_service('<role>');",
            )
        })
    }
}

impl Log {
    /// Whether the policies of `events` bind the current role.
    fn policies_bind(&self) -> bool {
        // SAFETY: reads the caches; with `noError` it raises nothing.
        let rls = unsafe { pg_sys::check_enable_rls(self.events, pg_sys::InvalidOid, true) };
        rls == pg_sys::CheckEnableRlsResult::RLS_ENABLED as i32
    }

    /// Whether the current role may insert into `events`: asked before anything is done as the
    /// log's owner on its behalf.
    pub(crate) fn is_writer(&self) -> bool {
        // SAFETY: reads the caches.
        unsafe {
            let role = pg_sys::GetUserId();
            let column = pg_sys::get_attnum(self.events, c"tenant_id".as_ptr());
            let may_insert = pg_sys::ACL_INSERT as pg_sys::AclMode;
            pg_sys::pg_class_aclcheck(self.events, role, may_insert)
                == pg_sys::AclResult::ACLCHECK_OK
                || pg_sys::pg_attribute_aclcheck(self.events, column, role, may_insert)
                    == pg_sys::AclResult::ACLCHECK_OK
        }
    }

    pub(crate) fn require_writer(&self) -> Result<(), Fault> {
        if self.is_writer() {
            return Ok(());
        }
        Err(Fault::new(
            PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
            "permission denied to log events",
        )
        .hint("the log's owner types: SELECT eventlog.grant_writer('<role>');"))
    }
}

/// Refuses to write in a READ ONLY transaction and on a standby, as INSERT does (25006).
pub(crate) fn require_read_write(verb: &std::ffi::CStr) {
    // SAFETY: the name ends in NUL; raises or does nothing.
    unsafe { pg_sys::PreventCommandIfReadOnly(verb.as_ptr()) };
}

/// A uuid as a parameter of a statement; the bytes must outlive it.
pub(crate) fn uuid_datum(uuid: &[u8; 16]) -> pg_sys::Datum {
    pg_sys::Datum::from(uuid.as_ptr())
}
