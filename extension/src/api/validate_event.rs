//! `validate_event`: a dry run.

use pgrx::prelude::*;

use crate::error::Fault;
use crate::payload::check::CheckOptions;
use crate::payload::completion::{Completion, Lookups};
use crate::payload::edit::Hashes;
use crate::payload::event_type::Status;
use crate::pg::datum::{Jsonb, Text};
use crate::registry;

/// Returns what `log_event` would say about name and payload, and what it would store.
#[pg_extern(sql = false)]
#[allow(clippy::type_complexity, reason = "the columns of the answer")]
fn validate_event(
    name: Option<Text<'_>>,
    data: Option<Jsonb<'_>>,
) -> TableIterator<
    'static,
    (
        name!(is_valid, bool),
        name!(sqlstate, Option<String>),
        name!(message, Option<String>),
        name!(detail, Option<String>),
        name!(hint, Option<String>),
        name!(stored, Option<Jsonb<'static>>),
    ),
> {
    let row = match stored(name, data) {
        Ok((data, hint)) => (true, None, None, None, hint, Some(data)),
        Err(fault) => {
            let sqlstate = fault.sqlstate();
            let hint = fault.hint_text();
            (false, Some(sqlstate), Some(fault.message), fault.detail, hint, None)
        }
    };
    TableIterator::once(row)
}

fn stored(
    name: Option<Text<'_>>,
    data: Option<Jsonb<'_>>,
) -> Result<(Jsonb<'static>, Option<String>), Fault> {
    let name = name.ok_or_else(|| Fault::null("name"))?;
    let log = registry::current()?;
    let event_type = log.find(name.as_str())?;
    let data = data.unwrap_or_else(Jsonb::empty_object);
    let mut ours = Completion::default();
    ours.collect(event_type, data, Lookups::Ask);
    // A role that sees the hash of any value can test whose hash a value is.
    let hashes = if log.caller().is_owner { Hashes::Make } else { Hashes::Hide };
    let options = CheckOptions { hashes, ..CheckOptions::default() };
    // Copied, because the row is returned after the arguments are freed.
    let stored = Jsonb::copy_of(ours.check(&log.hash_key, event_type, data, options)?.data.bytes());
    let is_deprecated = event_type.status == Status::Deprecated;
    let hint = || event_type.successor_hint().unwrap_or_else(|| "the name is deprecated".into());
    Ok((stored, is_deprecated.then(hint)))
}
