//! The quarantine, `rejected_events`: keeps events that broke a rule without raising an error.

use pgrx::datum::{IntoDatum, TimestampWithTimeZone};
use pgrx::{PgSqlErrorCode, pg_sys};

use crate::error::Fault;
use crate::event::Event;
use crate::limits::quarantine::{
    KEY_CHARACTERS, LABEL_CHARACTERS, NAME_CHARACTERS, PAYLOAD_BYTES, PROTOCOL_CHARACTERS,
};
use crate::payload::edit::{Edits, Hashes};
use crate::pg::datum::{Jsonb, Text};
use crate::pg::identity::{ActAs, role_name};
use crate::pg::jsonb::Container;
use crate::pg::relation::lock_and_find_column;
use crate::pg::spi::{Mode, Params, Prepared, Session, Statement};
use crate::pg::uuid::uuid_datum;
use crate::registry;
use crate::registry::log::Log;
use crate::settings;
use crate::tenant;

/// The columns that are written. A log of an older layout lacks the last.
const COLUMNS: [(&str, pg_sys::Oid); 14] = [
    ("tenant_id", pg_sys::UUIDOID),
    ("claimed_tenant_id", pg_sys::UUIDOID),
    ("name", pg_sys::TEXTOID),
    ("data", pg_sys::TEXTOID),
    ("occurred_at", pg_sys::TIMESTAMPTZOID),
    ("actor", pg_sys::TEXTOID),
    ("subject", pg_sys::TEXTOID),
    ("idempotency_key", pg_sys::TEXTOID),
    ("sqlstate", pg_sys::TEXTOID),
    ("reason", pg_sys::TEXTOID),
    ("role_name", pg_sys::NAMEOID),
    ("can_replay", pg_sys::BOOLOID),
    ("weight", pg_sys::FLOAT4OID),
    ("protocol", pg_sys::TEXTOID),
];

/// Returns the INSERT of one row with these columns.
fn statement(columns: &[(&str, pg_sys::Oid)]) -> Statement {
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    let values: Vec<String> = (1..=columns.len()).map(|at| format!("${at}")).collect();
    Statement {
        sql: format!(
            "INSERT INTO eventlog.rejected_events ({}) VALUES ({})",
            names.join(", "),
            values.join(", ")
        ),
        types: columns.iter().map(|(_, kind)| *kind).collect(),
    }
}

thread_local! {
    static INSERT: Prepared =
        const { Prepared::built(|| statement(&COLUMNS[..COLUMNS.len() - 1])) };
    static INSERT_WITH_PROTOCOL: Prepared = const { Prepared::built(|| statement(&COLUMNS)) };
}

/// Puts the event into the quarantine and reports the fault as a WARNING.
pub(crate) fn put(event: &Event<'_>, text: Option<Text<'_>>, is_whole: bool, fault: Fault) {
    store(event, text, is_whole, None, &fault);
    fault.warn();
}

/// Puts the event into the quarantine, as the log's owner. `text` is the payload, if it came as
/// text; `is_whole` is false if the event could not be read to its end; `protocol` is that of
/// another product by which it came. Keeps nothing from a role that may not write events.
pub(crate) fn store(
    event: &Event<'_>,
    text: Option<Text<'_>>,
    is_whole: bool,
    protocol: Option<Text<'_>>,
    fault: &Fault,
) {
    let log = registry::require();
    if log.is_writer() {
        let session = Session::begin();
        let own = tenant::current().and_then(tenant::refuse_all).ok();
        let claimed = event.tenant_id.map(|tenant| *tenant.as_bytes());
        // Nothing is kept of a tenant that opted out, whatever the fault.
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
        let name = event.name.map(|name| cut(name, NAME_CHARACTERS));
        let actor = clean.actor.map(|actor| cut(actor, LABEL_CHARACTERS));
        let subject = event.subject.map(|subject| cut(subject, LABEL_CHARACTERS));
        let key = event.idempotency_key.map(|key| cut(key, KEY_CHARACTERS));
        let data = clean.text.filter(|data| data.as_str().len() <= PAYLOAD_BYTES);
        can_replay &= clean.is_whole && data.is_some() && name.is_some();
        let values = [
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
        ];
        let protocol = protocol.map(|protocol| self::cut(protocol.as_str(), PROTOCOL_CHARACTERS).0);
        let _owner = ActAs::role(log.owner);
        write(&session, values, protocol);
    }
}

/// The values of a row, but for its protocol.
type Values = [Option<pg_sys::Datum>; COLUMNS.len() - 1];

/// Writes a row, as the log's owner. A log of layout 1 has no column for the protocol.
fn write(session: &Session, values: Values, protocol: Option<Text<'_>>) {
    let has_column = || lock_and_find_column(c"eventlog", c"rejected_events", c"protocol");
    let Some(protocol) = protocol.filter(|_| has_column()) else {
        INSERT.with(|plan| plan.execute(session, Mode::Write, Params::new(values)));
        return;
    };
    let mut all = [Some(protocol.datum()); COLUMNS.len()];
    all[..values.len()].copy_from_slice(&values);
    INSERT_WITH_PROTOCOL.with(|plan| plan.execute(session, Mode::Write, Params::new(all)));
}

/// An event without the values that its type keeps out of the log.
pub(crate) struct Clean<'a> {
    pub(crate) text: Option<Text<'a>>,
    pub(crate) actor: Option<Text<'a>>,
    /// True if it has all that the log would have stored.
    is_whole: bool,
}

/// Applies the edits of the event's type, or those of every event. A payload that cannot be read
/// cannot be redacted: it is kept only if there are no edits. Values that cannot be hashed for want
/// of a key are removed.
pub(crate) fn clean<'a>(log: &Log, event: &Event<'a>, text: Option<Text<'a>>) -> Clean<'a> {
    let event_type = event.name.and_then(|name| log.any_type_of(name.as_str()));
    let edits = event_type.map_or(&log.redacted, |event_type| &event_type.key_edits);
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
            Some(_) if !edits.is_empty() => None,
            Some(text) => Some(text),
            None => Some(Text::copy_of("{}")),
        };
        return clean;
    };
    if edits.is_empty() {
        clean.text = Some(text.unwrap_or_else(|| data.to_text()));
        return clean;
    }
    let without_hashes = edits.with_redacted_hashes();
    let written =
        [(edits, true), (&without_hashes, false)].into_iter().find_map(|(key_edits, is_whole)| {
            let edits = Edits {
                key_edits,
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

/// Returns how many events it stands for, if its type is sampled.
fn weight(log: &Log, event: &Event<'_>) -> Option<f32> {
    let rate = log.find(event.name?.as_str()).ok()?.sample_rate;
    (rate < 1.0).then_some((1.0 / rate) as f32)
}

/// Returns the first characters, and true if those are all.
fn cut<'a>(text: &str, characters: usize) -> (Text<'a>, bool) {
    let end = text.char_indices().nth(characters).map_or(text.len(), |(end, _)| end);
    (Text::copy_of(&text[..end]), end == text.len())
}
