//! `rejected_events`: where an event goes that broke a rule and was not to raise an error.

use pgrx::datum::{IntoDatum, TimestampWithTimeZone};
use pgrx::{PgSqlErrorCode, pg_sys};

use crate::error::Fault;
use crate::event::Event;
use crate::payload::edit::{Edits, Hashes};
use crate::pg::datum::{Jsonb, Text};
use crate::pg::identity::{As, role_name};
use crate::pg::jsonb::Container;
use crate::pg::spi::{Kept, Mode, Params, Session};
use crate::pg::uuid::uuid_datum;
use crate::registry;
use crate::registry::log::Log;
use crate::settings;
use crate::tenant;

/// Largest payload that is kept, in bytes of text; of a larger one only the reason is.
const LARGEST_PAYLOAD: usize = 65_536;
/// Longest name, actor or subject, and key that is kept, in characters.
const LONGEST_NAME: usize = 200;
const LONGEST_LABEL: usize = 200;
const LONGEST_KEY: usize = 255;

thread_local! {
    static INSERT: Kept = const { Kept::new(
        c"INSERT INTO eventlog.rejected_events
              (tenant_id, claimed_tenant_id, name, data, occurred_at, actor, subject,
               idempotency_key, sqlstate, reason, role_name, can_replay, weight)
          VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        &[
            pg_sys::UUIDOID,
            pg_sys::UUIDOID,
            pg_sys::TEXTOID,
            pg_sys::TEXTOID,
            pg_sys::TIMESTAMPTZOID,
            pg_sys::TEXTOID,
            pg_sys::TEXTOID,
            pg_sys::TEXTOID,
            pg_sys::TEXTOID,
            pg_sys::TEXTOID,
            pg_sys::NAMEOID,
            pg_sys::BOOLOID,
            pg_sys::FLOAT4OID,
        ],
    ) };
}

/// Puts the event into the quarantine and says so in a WARNING.
pub(crate) fn put(event: &Event<'_>, text: Option<Text<'_>>, is_whole: bool, fault: Fault) {
    store(event, text, is_whole, &fault);
    fault.warn();
}

/// Puts the event into the quarantine, as the log's owner. `text` is the payload as it came where
/// it was text; `is_whole` says whether the event could be read to its end. Of a role that may not
/// write events nothing is kept.
pub(crate) fn store(event: &Event<'_>, text: Option<Text<'_>>, is_whole: bool, fault: &Fault) {
    let log = match registry::current() {
        Ok(log) => log,
        Err(no_log) => no_log.raise(),
    };
    if log.is_writer() {
        let session = Session::begin();
        let own = tenant::current().ok();
        let claimed = event.tenant_id.map(|tenant| *tenant.as_bytes());
        // Whatever is wrong with it: of a tenant that opted out nothing is kept anywhere.
        let has_opted_out = |tenant_id: &[u8; 16]| {
            log.settings_of(tenant_id).is_some_and(|settings| settings.is_opted_out)
        };
        if event.payer(&log).iter().chain(&claimed).any(has_opted_out) {
            return;
        }
        let mut can_replay = is_whole
            && fault.code != PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE
            && (own.is_some() || claimed.is_some());
        let mut cut = |text: Text<'_>, most: usize| {
            let (kept, is_whole) = cut(text.as_str(), most);
            can_replay &= is_whole;
            kept.datum()
        };
        let clean = clean(&log, event, text);
        let name = event.name.map(|name| cut(name, LONGEST_NAME));
        let actor = clean.actor.map(|actor| cut(actor, LONGEST_LABEL));
        let subject = event.subject.map(|subject| cut(subject, LONGEST_LABEL));
        let key = event.idempotency_key.map(|key| cut(key, LONGEST_KEY));
        let data = clean.text.filter(|data| data.as_str().len() <= LARGEST_PAYLOAD);
        can_replay &= clean.is_whole && data.is_some() && name.is_some();
        let params = Params::new([
            own.as_ref().map(uuid_datum),
            claimed.as_ref().map(uuid_datum),
            name,
            data.map(|data| data.datum()),
            event.occurred_at.and_then(TimestampWithTimeZone::into_datum),
            actor,
            subject,
            key,
            Some(Text::copy_of(&fault.sqlstate()).datum()),
            Some(Text::copy_of(&fault.reason()).datum()),
            Some(role_name()),
            can_replay.into_datum(),
            weight(&log, event).and_then(f32::into_datum),
        ]);
        let _owner = As::role(log.owner);
        INSERT.with(|plan| plan.execute(&session, Mode::Write, params));
    }
}

/// An event without what its type keeps out of the log.
pub(crate) struct Clean<'a> {
    pub(crate) text: Option<Text<'a>>,
    pub(crate) actor: Option<Text<'a>>,
    /// Whether nothing is missing that the log would have stored.
    is_whole: bool,
}

/// Applies the rules of the event's type, or what applies to every event. A payload that cannot be
/// read cannot be redacted: where there are rules it is not kept. Values that cannot be hashed, for
/// want of a key, go.
pub(crate) fn clean<'a>(log: &Log, event: &Event<'a>, text: Option<Text<'a>>) -> Clean<'a> {
    let event_type = event.name.and_then(|name| log.rules_of(name.as_str()));
    let rules = event_type.map_or(&log.redacted, |event_type| &event_type.rules);
    let hashes_actor =
        event_type.map_or_else(settings::hash_actors, |event_type| event_type.hash_actor);
    let mut clean = Clean { text, actor: event.actor, is_whole: true };
    if let (true, Some(actor), false) = (hashes_actor, event.actor, event.replay.is_some()) {
        clean.actor = match log.hash_key.hash(actor.as_str()) {
            Ok(hash) => Some(Text::copy_of(&String::from_utf8_lossy(&hash))),
            Err(_) => None,
        };
        clean.is_whole = clean.actor.is_some();
    }
    let Some(data) = event.data else {
        clean.text = match text {
            Some(_) if !rules.is_empty() => None,
            Some(text) => Some(text),
            None => Some(Text::copy_of("{}")),
        };
        return clean;
    };
    if rules.is_empty() {
        clean.text = Some(text.unwrap_or_else(|| data.to_text()));
        return clean;
    }
    let without_hashes = rules.with_redacted_hashes();
    let written =
        [(rules, true), (&without_hashes, false)].into_iter().find_map(|(rules, is_whole)| {
            let edits = Edits {
                rules,
                set: &[],
                hash_key: &log.hash_key,
                hashes: if event.replay.is_some() { Hashes::Keep } else { Hashes::Make },
            };
            Some((edits.write_any(Container::root(data.bytes())).ok()?, is_whole))
        });
    clean.text = written.as_ref().map(|(bytes, _)| Jsonb::copy_of(bytes).to_text());
    clean.is_whole &= written.is_some_and(|(_, is_whole)| is_whole);
    clean
}

/// How many events it stands for, where it survived sampling.
fn weight(log: &Log, event: &Event<'_>) -> Option<f32> {
    let rate = log.find(event.name?.as_str()).ok()?.sample_rate;
    (rate < 1.0).then_some((1.0 / rate) as f32)
}

/// The first characters, and whether those are all.
fn cut<'a>(text: &str, characters: usize) -> (Text<'a>, bool) {
    let end = text.char_indices().nth(characters).map_or(text.len(), |(end, _)| end);
    (Text::copy_of(&text[..end]), end == text.len())
}
