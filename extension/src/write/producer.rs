//! Producers: a batch whose number was seen writes nothing and gets the counts stored for it.
//!
//! A producer is one writer, known by a uuid under the role that it connects as (with the uuid
//! alone, another tenant could silence it). It keeps one batch in flight and sends identical bytes
//! again until it has an answer; the row of its last batch is written in the transaction of that
//! batch.
//!
//! The role counts, not its name: a role created later under the same name has its own producers.
//! Only on another server, after a restore, rows are matched by name, and only for a role that had
//! its right before the dump was made ([`TAKE_OVER`]).

use pgrx::datum::Uuid;
use pgrx::prelude::*;

use crate::error::Fault;
use crate::pg::identity::{ActAs, cluster, current_role, role_name};
use crate::pg::relation::lock_and_find_column;
use crate::pg::spi::{Mode, Params, Prepared, Rows, Session, WithoutSeqScan};
use crate::pg::subtransaction;
use crate::pg::uuid::uuid_datum;
use crate::registry::log::Log;
use crate::settings;

/// The number of a batch of a producer.
pub(crate) struct BatchNumber {
    producer: [u8; 16],
    batch: i64,
}

impl BatchNumber {
    /// Returns both or neither; 22023 otherwise.
    pub(crate) fn of(producer: Option<Uuid>, batch: Option<i64>) -> Result<Option<Self>, Fault> {
        match (producer, batch) {
            (None, None) => Ok(None),
            (Some(_), Some(batch)) if batch < 0 => {
                Err(Fault::argument(format!("batch_number is {batch}, it must not be negative")))
            }
            (Some(producer), Some(batch)) => {
                Ok(Some(BatchNumber { producer: *producer.as_bytes(), batch }))
            }
            (Some(_), None) => Err(Fault::argument("producer is given without batch_number")),
            (None, Some(_)) => Err(Fault::argument("batch_number is given without producer")),
        }
    }
}

/// How many elements had which outcome.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) written: i64,
    pub(crate) duplicate: i64,
    pub(crate) sampled: i64,
    pub(crate) rejected: i64,
}

/// Whether a batch is new.
pub(crate) enum Submission {
    /// Its producer's row is locked; [`end`] stores the counts there.
    New(KnownBy),
    Repeat(Counts),
}

/// How the log knows its producers, to the end of the transaction.
#[derive(Clone, Copy)]
pub(crate) enum KnownBy {
    ByRole,
    /// A log of layout 1.
    ByName,
}

thread_local! {
    /// Waits for another transaction that writes a batch of the producer.
    static LOCK: Prepared = const { Prepared::new(
        c"SELECT batch_number, written, duplicate, sampled, rejected FROM eventlog.producers
           WHERE producer OPERATOR(pg_catalog.=) $1 AND role_oid OPERATOR(pg_catalog.=) $2
             AND cluster OPERATOR(pg_catalog.=) $3
             FOR UPDATE",
        &[pg_sys::UUIDOID, pg_sys::OIDOID, pg_sys::INT8OID],
    ) };
    /// Gives a row from another server's log to the role of that name here: if it is the log's
    /// owner, the first superuser, or a role with the mark of a writer. All of them existed when
    /// the dump was made, because what makes them so is in the dump or cannot be dropped. Of rows
    /// from several servers it takes the latest. A second session finds it taken over, with
    /// `cluster` changed.
    static TAKE_OVER: Prepared = const { Prepared::new(
        c"UPDATE eventlog.producers SET role_oid = $2, cluster = $3
           WHERE ctid OPERATOR(pg_catalog.=) (
                   SELECT p.ctid FROM eventlog.producers p
                    WHERE p.producer OPERATOR(pg_catalog.=) $1 AND p.role_name OPERATOR(pg_catalog.=) $4
                      AND p.cluster OPERATOR(pg_catalog.<>) $3
                      AND ($2 OPERATOR(pg_catalog.=) 10::pg_catalog.oid
                           OR EXISTS (SELECT FROM pg_catalog.pg_class c
                                       WHERE c.oid OPERATOR(pg_catalog.=) p.tableoid AND c.relowner OPERATOR(pg_catalog.=) $2)
                           OR EXISTS (SELECT FROM pg_catalog.pg_attribute a, pg_catalog.aclexplode(a.attacl) acl
                                       WHERE a.attrelid OPERATOR(pg_catalog.=) p.tableoid
                                         AND a.attname OPERATOR(pg_catalog.=) 'producer'
                                         AND acl.privilege_type OPERATOR(pg_catalog.=) 'REFERENCES'
                                         AND acl.grantee OPERATOR(pg_catalog.=) $2))
                    ORDER BY p.updated_at USING OPERATOR(pg_catalog.>) LIMIT 1)
             AND cluster OPERATOR(pg_catalog.<>) $3",
        &[pg_sys::UUIDOID, pg_sys::OIDOID, pg_sys::INT8OID, pg_sys::NAMEOID],
    ) };
    static INTRODUCE: Prepared = const { Prepared::new(
        c"INSERT INTO eventlog.producers (producer, role_oid, cluster, role_name) VALUES ($1, $2, $3, $4)
          ON CONFLICT ON CONSTRAINT producers_pkey DO NOTHING",
        &[pg_sys::UUIDOID, pg_sys::OIDOID, pg_sys::INT8OID, pg_sys::NAMEOID],
    ) };
    /// Stores the current name of the role, for a dump.
    static REMEMBER: Prepared = const { Prepared::new(
        c"UPDATE eventlog.producers SET
              gaps = gaps OPERATOR(pg_catalog.+)
                  CASE WHEN batch_number OPERATOR(pg_catalog.<) $5
                       THEN $5 OPERATOR(pg_catalog.-) batch_number OPERATOR(pg_catalog.-) 1 ELSE 0 END,
              batch_number = $5, written = $6, duplicate = $7, sampled = $8, rejected = $9,
              batches = batches OPERATOR(pg_catalog.+) 1, updated_at = pg_catalog.now(), role_name = $4
           WHERE producer OPERATOR(pg_catalog.=) $1 AND role_oid OPERATOR(pg_catalog.=) $2
             AND cluster OPERATOR(pg_catalog.=) $3",
        &[
            pg_sys::UUIDOID,
            pg_sys::OIDOID,
            pg_sys::INT8OID,
            pg_sys::NAMEOID,
            pg_sys::INT8OID,
            pg_sys::INT8OID,
            pg_sys::INT8OID,
            pg_sys::INT8OID,
            pg_sys::INT8OID,
        ],
    ) };

    /// The same in a log of layout 1, which knows the name alone.
    static LOCK_BY_NAME: Prepared = const { Prepared::new(
        c"SELECT batch_number, written, duplicate, sampled, rejected FROM eventlog.producers
           WHERE role_name OPERATOR(pg_catalog.=) $1 AND producer OPERATOR(pg_catalog.=) $2
             FOR UPDATE",
        &[pg_sys::NAMEOID, pg_sys::UUIDOID],
    ) };
    static INTRODUCE_BY_NAME: Prepared = const { Prepared::new(
        c"INSERT INTO eventlog.producers (role_name, producer) VALUES ($1, $2)
          ON CONFLICT ON CONSTRAINT producers_pkey DO NOTHING",
        &[pg_sys::NAMEOID, pg_sys::UUIDOID],
    ) };
    static REMEMBER_BY_NAME: Prepared = const { Prepared::new(
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

/// The parameters that identify a producer's row.
struct Key {
    producer: Option<pg_sys::Datum>,
    role: Option<pg_sys::Datum>,
    cluster: Option<pg_sys::Datum>,
    name: Option<pg_sys::Datum>,
}

impl Key {
    /// Of the current role, so before becoming the log's owner.
    fn of(number: &BatchNumber) -> Self {
        Key {
            producer: Some(uuid_datum(&number.producer)),
            role: Some(pg_sys::Datum::from(current_role())),
            cluster: Some(pg_sys::Datum::from(cluster())),
            name: Some(role_name()),
        }
    }

    /// Locks the row; takes it over from another server, or makes it, if it is missing.
    fn lock(&self, session: &Session) {
        let Key { producer, role, cluster, name } = *self;
        let is_there = || {
            let params = Params::new([producer, role, cluster]);
            LOCK.with(|plan| plan.execute(session, Mode::Write, params)) != 0
        };
        if is_there() {
            return;
        }
        let whole = || Params::new([producer, role, cluster, name]);
        if TAKE_OVER.with(|plan| plan.execute(session, Mode::Write, whole())) == 0 {
            INTRODUCE.with(|plan| plan.execute(session, Mode::Write, whole()));
        }
        is_there();
    }

    /// Does the same in a log of layout 1.
    fn lock_by_name(&self, session: &Session) {
        let params = || Params::new([self.name, self.producer]);
        if LOCK_BY_NAME.with(|plan| plan.execute(session, Mode::Write, params())) == 0 {
            INTRODUCE_BY_NAME.with(|plan| plan.execute(session, Mode::Write, params()));
            LOCK_BY_NAME.with(|plan| plan.execute(session, Mode::Write, params()));
        }
    }
}

/// Returns how the log knows producers. Takes the lock of the statements first, so that the answer
/// holds to the end of the transaction.
fn known_by() -> KnownBy {
    match lock_and_find_column(c"eventlog", c"producers", c"role_oid") {
        true => KnownBy::ByRole,
        false => KnownBy::ByName,
    }
}

/// Takes the producer's row for this transaction. 22023 for a number below the last one.
pub(crate) fn begin(log: &Log, number: &BatchNumber) -> Result<Submission, Fault> {
    let session = Session::begin();
    let key = Key::of(number);
    let _owner = ActAs::role(log.owner);
    let _by_index = WithoutSeqScan::begin();
    let take = || {
        let known_by = known_by();
        match known_by {
            KnownBy::ByRole => key.lock(&session),
            KnownBy::ByName => key.lock_by_name(&session),
        }
        known_by
    };
    let known_by = subtransaction::with_bounded_waits(settings::lock_timeout_ms(), take, || {
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
            "the producer's row was removed while its batch arrived",
        ));
    }
    let count = |column| rows.get::<i64>(0, column).unwrap_or(0);
    match rows.get::<i64>(0, 1) {
        None => Ok(Submission::New(known_by)),
        Some(last) if last < number.batch => Ok(Submission::New(known_by)),
        Some(last) if last == number.batch => Ok(Submission::Repeat(Counts {
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

/// Stores the batch number and its counts.
pub(crate) fn end(log: &Log, number: &BatchNumber, known_by: KnownBy, counts: &Counts) {
    let session = Session::begin();
    let Key { producer, role, cluster, name } = Key::of(number);
    let int = |value: i64| Some(pg_sys::Datum::from(value));
    let [batch, written, duplicate, sampled, rejected] =
        [number.batch, counts.written, counts.duplicate, counts.sampled, counts.rejected].map(int);
    let _owner = ActAs::role(log.owner);
    let _by_index = WithoutSeqScan::begin();
    match known_by {
        KnownBy::ByRole => {
            let params = Params::new([
                producer, role, cluster, name, batch, written, duplicate, sampled, rejected,
            ]);
            REMEMBER.with(|plan| plan.execute(&session, Mode::Write, params));
        }
        KnownBy::ByName => {
            let params =
                Params::new([name, producer, batch, written, duplicate, sampled, rejected]);
            REMEMBER_BY_NAME.with(|plan| plan.execute(&session, Mode::Write, params));
        }
    }
}
