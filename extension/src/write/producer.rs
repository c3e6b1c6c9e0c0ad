//! Producers: a batch whose number was seen writes nothing and gets the counts stored for it.
//!
//! A producer is one writer, known by a uuid under the role that it connects as (under the uuid
//! alone, another tenant could silence it). It keeps one batch in flight and sends identical bytes
//! again until it has an answer; the row of its last batch is in the transaction of that batch.

use pgrx::datum::Uuid;
use pgrx::prelude::*;

use crate::error::Fault;
use crate::pg::attempt;
use crate::pg::identity::{As, role_name};
use crate::pg::spi::{Kept, Mode, Params, Rows, Session};
use crate::pg::uuid::uuid_datum;
use crate::registry::log::Log;
use crate::settings;

/// The number of a batch of a producer.
pub(crate) struct Number {
    producer: [u8; 16],
    batch: i64,
}

impl Number {
    /// Both or none; 22023 otherwise.
    pub(crate) fn of(producer: Option<Uuid>, batch: Option<i64>) -> Result<Option<Self>, Fault> {
        match (producer, batch) {
            (None, None) => Ok(None),
            (Some(_), Some(batch)) if batch < 0 => {
                Err(Fault::argument(format!("batch_number is {batch}, it must not be negative")))
            }
            (Some(producer), Some(batch)) => {
                Ok(Some(Number { producer: *producer.as_bytes(), batch }))
            }
            (Some(_), None) => Err(Fault::argument("producer is given without batch_number")),
            (None, Some(_)) => Err(Fault::argument("batch_number is given without producer")),
        }
    }
}

/// How many elements had which end.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) written: i64,
    pub(crate) duplicate: i64,
    pub(crate) sampled: i64,
    pub(crate) rejected: i64,
}

/// Whether a batch is to be written.
pub(crate) enum Turn {
    New,
    Repeat(Counts),
}

thread_local! {
    /// Waits for another transaction that writes a batch of the producer.
    static LOCK: Kept = const { Kept::new(
        c"SELECT batch_number, written, duplicate, sampled, rejected FROM eventlog.producers
           WHERE role_name OPERATOR(pg_catalog.=) $1 AND producer OPERATOR(pg_catalog.=) $2
             FOR UPDATE",
        &[pg_sys::NAMEOID, pg_sys::UUIDOID],
    ) };
    static INTRODUCE: Kept = const { Kept::new(
        c"INSERT INTO eventlog.producers (role_name, producer) VALUES ($1, $2)
          ON CONFLICT ON CONSTRAINT producers_pkey DO NOTHING",
        &[pg_sys::NAMEOID, pg_sys::UUIDOID],
    ) };
    static REMEMBER: Kept = const { Kept::new(
        c"UPDATE eventlog.producers SET
              gaps = gaps OPERATOR(pg_catalog.+)
                  CASE WHEN batch_number OPERATOR(pg_catalog.<) $3
                       THEN $3 OPERATOR(pg_catalog.-) batch_number OPERATOR(pg_catalog.-) 1 ELSE 0 END,
              batch_number = $3, written = $4, duplicate = $5, sampled = $6, rejected = $7,
              batches = batches OPERATOR(pg_catalog.+) 1, updated_at = pg_catalog.now()
           WHERE role_name OPERATOR(pg_catalog.=) $1 AND producer OPERATOR(pg_catalog.=) $2",
        &[
            pg_sys::NAMEOID,
            pg_sys::UUIDOID,
            pg_sys::INT8OID,
            pg_sys::INT8OID,
            pg_sys::INT8OID,
            pg_sys::INT8OID,
            pg_sys::INT8OID,
        ],
    ) };
}

/// Takes the producer's row for this transaction. 22023 for a number below the last one.
pub(crate) fn begin(log: &Log, number: &Number) -> Result<Turn, Fault> {
    let session = Session::begin();
    let who = || [Some(role_name()), Some(uuid_datum(&number.producer))];
    let (lock, introduce, lock_again) = (who(), who(), who());
    let _owner = As::role(log.owner);
    let take = || {
        if LOCK.with(|plan| plan.execute(&session, Mode::Write, Params::new(lock))) == 0 {
            INTRODUCE.with(|plan| plan.execute(&session, Mode::Write, Params::new(introduce)));
            LOCK.with(|plan| plan.execute(&session, Mode::Write, Params::new(lock_again)));
        }
    };
    attempt::with_bounded_waits(settings::lock_timeout_ms(), take, || {
        Fault::new(
            PgSqlErrorCode::ERRCODE_LOCK_NOT_AVAILABLE,
            "another transaction is writing a batch of this producer",
        )
        .hint("who: SELECT pid FROM pg_locks WHERE relation = 'eventlog.producers'::regclass;")
    });
    let rows = Rows::last(&session);
    if rows.len() != 1 {
        return Err(Fault::new(
            PgSqlErrorCode::ERRCODE_T_R_SERIALIZATION_FAILURE,
            "the producer was trimmed while its batch came in",
        ));
    }
    let count = |column| rows.get::<i64>(0, column).unwrap_or(0);
    match rows.get::<i64>(0, 1) {
        None => Ok(Turn::New),
        Some(last) if last < number.batch => Ok(Turn::New),
        Some(last) if last == number.batch => Ok(Turn::Repeat(Counts {
            written: count(2),
            duplicate: count(3),
            sampled: count(4),
            rejected: count(5),
        })),
        Some(last) => Err(Fault::argument(format!(
            "batch_number {} of the producer is below its last one, {last}",
            number.batch
        ))
        .hint("a writer that starts anew takes a new producer uuid")),
    }
}

/// Remembers the batch and what came of it.
pub(crate) fn end(log: &Log, number: &Number, counts: &Counts) {
    let session = Session::begin();
    let role = role_name();
    let int = |value: i64| Some(pg_sys::Datum::from(value));
    let params = Params::new([
        Some(role),
        Some(uuid_datum(&number.producer)),
        int(number.batch),
        int(counts.written),
        int(counts.duplicate),
        int(counts.sampled),
        int(counts.rejected),
    ]);
    let _owner = As::role(log.owner);
    REMEMBER.with(|plan| plan.execute(&session, Mode::Write, params));
}
