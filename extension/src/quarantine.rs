//! `rejected_events`: where an event goes that broke a rule and was not to raise an error.

use pgrx::datum::{IntoDatum, TimestampWithTimeZone};
use pgrx::{direct_function_call, pg_sys};

use crate::datum::Text;
use crate::error::Fault;
use crate::event::{Event, uuid_datum};
use crate::spi::{As, Kept, Mode, Params, Session, role_name};
use crate::{registry, tenant};

/// Largest payload that is kept, in bytes of text; of a larger one only the reason is.
const LARGEST_PAYLOAD: usize = 65_536;
/// Longest name that is kept, in characters.
const LONGEST_NAME: usize = 200;

thread_local! {
    static INSERT: Kept = const { Kept::new(
        c"INSERT INTO eventlog.rejected_events
              (tenant_id, claimed_tenant_id, name, data, occurred_at, actor, subject,
               idempotency_key, sqlstate, reason, role_name)
          VALUES ($1, $2, $3, CASE WHEN pg_catalog.octet_length($4) OPERATOR(pg_catalog.<=) $5 THEN $4 END,
                  $6, $7, $8, $9, $10, $11, $12)",
        &[
            pg_sys::UUIDOID,
            pg_sys::UUIDOID,
            pg_sys::TEXTOID,
            pg_sys::TEXTOID,
            pg_sys::INT4OID,
            pg_sys::TIMESTAMPTZOID,
            pg_sys::TEXTOID,
            pg_sys::TEXTOID,
            pg_sys::TEXTOID,
            pg_sys::TEXTOID,
            pg_sys::TEXTOID,
            pg_sys::NAMEOID,
        ],
    ) };
}

/// Puts the event into the quarantine and says so in a WARNING.
pub(crate) fn put(event: &Event<'_>, text: Option<Text<'_>>, fault: Fault) {
    store(event, text, &fault);
    fault.warn();
}

/// Puts the event into the quarantine, as the log's owner. `text` is the payload as it came where
/// it was text. Of a role that may not write events nothing is kept.
pub(crate) fn store(event: &Event<'_>, text: Option<Text<'_>>, fault: &Fault) {
    let log = match registry::current() {
        Ok(log) => log,
        Err(no_log) => no_log.raise(),
    };
    if log.is_writer() {
        let session = Session::begin();
        let own = tenant::current().ok();
        let claimed = event.tenant_id.map(|tenant| *tenant.as_bytes());
        let name = event.name.map(|name| cut(name.as_str(), LONGEST_NAME));
        let data = text.or_else(|| event.data.map(|data| as_text(data.datum())));
        let role = role_name();
        let params = Params::new([
            own.as_ref().map(uuid_datum),
            claimed.as_ref().map(uuid_datum),
            name.map(|name| name.datum()),
            data.map(|data| data.datum()),
            (LARGEST_PAYLOAD as i32).into_datum(),
            event.occurred_at.and_then(TimestampWithTimeZone::into_datum),
            event.actor.map(|actor| cut(actor.as_str(), LONGEST_NAME).datum()),
            event.subject.map(|subject| cut(subject.as_str(), LONGEST_NAME).datum()),
            event.idempotency_key.map(|key| cut(key.as_str(), LONGEST_NAME).datum()),
            Some(Text::copy_of(&fault.sqlstate()).datum()),
            Some(Text::copy_of(&fault.reason()).datum()),
            Some(role),
        ]);
        let _owner = As::role(log.owner);
        INSERT.with(|plan| plan.execute(&session, Mode::Write, params));
    }
}

fn cut<'a>(text: &str, characters: usize) -> Text<'a> {
    let end = text.char_indices().nth(characters).map_or(text.len(), |(end, _)| end);
    Text::copy_of(&text[..end])
}

fn as_text<'a>(jsonb: pg_sys::Datum) -> Text<'a> {
    // SAFETY: the datum is a jsonb; its output is a string that ends in NUL.
    let text = unsafe {
        direct_function_call::<&std::ffi::CStr>(pg_sys::jsonb_out, &[Some(jsonb)])
            .expect("jsonb_out is not null")
    };
    Text::copy_of(&text.to_string_lossy())
}
