//! The proof of one event: its salt, and the steps from its leaf to the root of its seal.

use std::fmt::Write;

use eventlog_seal::Hash;
use eventlog_seal::tree::{self, Step};
use pgrx::datum::{Date, TimestampWithTimeZone, Uuid};
use pgrx::pg_sys::Datum;
use pgrx::prelude::*;

use crate::error::Fault;
use crate::pg::datum::Text;
use crate::pg::spi::{Mode, Params, Prepared, Rows, Session};
use crate::pg::uuid::uuid_datum;
use crate::seal::stored::{Day, Place};

thread_local! {
    static ROOTS: Prepared = const { Prepared::new(
        c"SELECT b.hash FROM eventlog.seal_blocks b
           WHERE b.tenant_id OPERATOR(pg_catalog.=) $1 AND b.day OPERATOR(pg_catalog.=) $2
             AND b.part OPERATOR(pg_catalog.=) $3
           ORDER BY b.block",
        &[pg_sys::UUIDOID, pg_sys::DATEOID, pg_sys::INT4OID],
    ) };
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Returns steps as JSON: an array of objects with one key, left or right, which holds the other child.
pub(super) fn steps_json(steps: &[Step]) -> String {
    let steps: Vec<String> = steps
        .iter()
        .map(|step| {
            let side = if step.is_left { "left" } else { "right" };
            format!(r#"{{"{side}":"{}"}}"#, hex(&step.hash))
        })
        .collect();
    format!("[{}]", steps.join(","))
}

fn differs(id: i64) -> Fault {
    Fault::new(
        PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!("event {id} cannot be proven: its block differs from its seal"),
    )
    .hint("SELECT * FROM eventlog.verify_seals() WHERE NOT is_valid;")
}

/// Returns part, salt and steps of a sealed event as JSON; null if no seal has it. 55000 if its block
/// differs from its seal.
#[pg_extern(sql = false)]
fn event_path<'a>(
    tenant_id: Uuid,
    day: Date,
    name: Text<'a>,
    created_at: TimestampWithTimeZone,
    id: i64,
) -> Option<Text<'a>> {
    let text = prove(
        *tenant_id.as_bytes(),
        day.to_pg_epoch_days(),
        &Place { name: name.as_str().to_owned(), created_at: created_at.into_inner(), id },
    )?;
    Some(Text::copy_of(&text))
}

fn prove(tenant_id: [u8; 16], day: i32, event: &Place) -> Option<String> {
    let session = Session::begin();
    let day = Day::load(&session, tenant_id, day, Mode::ReadLatest);
    let index = day.block_of(event)?;
    let Some(block) = &day.blocks[index].block else { differs(event.id).raise() };
    let events = day.events(&session, index, true);
    let digests: Vec<Hash> = events.iter().map(|(_, digest)| *digest).collect();
    let place = events.iter().position(|(place, _)| place == event);
    let proven = place
        .filter(|_| block.root_over(&digests).as_ref() == Some(block.hash()))
        .and_then(|place| block.prove(&digests, place));
    let Some((salt, mut steps)) = proven else { differs(event.id).raise() };

    let part = day.blocks[index].part;
    let params = Params::new([
        Some(uuid_datum(&day.tenant_id)),
        Some(Datum::from(day.day)),
        Some(Datum::from(part)),
    ]);
    ROOTS.with(|plan| plan.execute(&session, Mode::ReadLatest, params));
    let rows = Rows::last(&session);
    let roots: Option<Vec<Hash>> = (0..rows.len())
        .map(|row| rows.get::<Vec<u8>>(row, 1).and_then(|root| root.try_into().ok()))
        .collect();
    let roots = roots.unwrap_or_else(|| differs(event.id).raise());
    let number = usize::try_from(day.blocks[index].number).unwrap_or_default();
    steps.extend(tree::path(&roots, number));
    Some(format!(r#"{{"part":{part},"salt":"{}","path":{}}}"#, hex(&salt), steps_json(&steps)))
}
