//! What the launcher asks of a worker, and what the worker answers: in shared memory, because a
//! background worker that ends tells whoever started it nothing but that it has ended.

use std::ffi::{CStr, CString};

use pgrx::pg_shmem_init;
use pgrx::prelude::*;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::pg::shared_memory::{Plain, Shared, shared};

/// Databases that are served at the same time: one that hangs does not keep the others waiting,
/// and of `max_worker_processes` (8 by default) most are left.
pub(crate) const TASKS: usize = 2;

/// A text in shared memory, cut where it is longer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Text<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

impl<const N: usize> Text<N> {
    pub(crate) fn new(text: &[u8]) -> Self {
        let mut length = text.len().min(N);
        // Not inside a character of UTF-8.
        while length < text.len() && length > 0 && text[length] & 0xc0 == 0x80 {
            length -= 1;
        }
        let mut bytes = [0; N];
        bytes[..length].copy_from_slice(&text[..length]);
        Text { bytes, length }
    }

    pub(crate) fn show(&self) -> String {
        String::from_utf8_lossy(&self.bytes[..self.length]).into_owned()
    }
}

/// What a worker is to do.
#[derive(Clone, Copy)]
pub(crate) enum Step {
    /// Look, as a superuser, whether the database has a log, and whose it is.
    Check(Text<64>),
    /// Maintain it, as that role.
    Maintain { database: pg_sys::Oid, owner: pg_sys::Oid },
}

impl Step {
    pub(crate) fn check(database: &CStr) -> Self {
        Step::Check(Text::new(database.to_bytes()))
    }
}

/// The name of a database that was put there whole.
pub(crate) fn name_of(database: &Text<64>) -> CString {
    CString::new(&database.bytes[..database.length]).unwrap_or_default()
}

/// Why a step failed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The SQLSTATE as PostgreSQL packs it.
    pub(crate) code: i32,
    pub(crate) message: Text<512>,
    pub(crate) hint: Text<256>,
}

impl Failure {
    pub(crate) fn new(code: i32, message: &[u8], hint: &[u8]) -> Self {
        Failure { code, message: Text::new(message), hint: Text::new(hint) }
    }

    /// The five characters of the SQLSTATE.
    pub(crate) fn sqlstate(&self) -> String {
        (0..5).map(|i| char::from(b'0' + ((self.code >> (6 * i)) & 0x3f) as u8)).collect()
    }
}

/// How a step ended.
#[derive(Clone, Copy)]
#[expect(clippy::large_enum_variant, reason = "nothing in shared memory can be boxed")]
pub(crate) enum Outcome {
    /// Not yet, or its worker was killed or never started.
    Unknown,
    /// There is a log, and it can be maintained.
    Ready {
        database: pg_sys::Oid,
        owner: pg_sys::Oid,
    },
    Maintained,
    Failed(Failure),
}

#[derive(Clone, Copy)]
struct Task {
    /// 0 for none.
    number: u64,
    step: Step,
    outcome: Outcome,
}

#[derive(Clone, Copy)]
struct Tasks {
    /// Never given twice, so that a worker of a launcher that was ended answers nobody.
    last_number: u64,
    tasks: [Task; TASKS],
}

const NOTHING: Task = Task {
    number: 0,
    step: Step::Maintain { database: pg_sys::InvalidOid, owner: pg_sys::InvalidOid },
    outcome: Outcome::Unknown,
};

static SHARED: Shared<Tasks> = shared(c"eventlog tasks");

/// How often the postmaster set shared memory up: once, and once more after each crash.
static STARTS: AtomicU32 = AtomicU32::new(0);

/// Asks for shared memory. Once, from `_PG_init`, where the library is being preloaded.
pub(crate) fn init() {
    pg_shmem_init!(
        SHARED = {
            STARTS.fetch_add(1, Ordering::Relaxed);
            Plain(Tasks { last_number: 0, tasks: [NOTHING; TASKS] })
        }
    );
}

/// How often the server restarted after a crash of one of its processes, since it was started.
pub(crate) fn crashes() -> u32 {
    STARTS.load(Ordering::Relaxed).saturating_sub(1)
}

/// Puts a task in a place; its number.
pub(crate) fn put(place: usize, step: Step) -> u64 {
    let mut shared = SHARED.exclusive();
    let tasks = &mut shared.0;
    tasks.last_number += 1;
    let number = tasks.last_number;
    tasks.tasks[place] = Task { number, step, outcome: Outcome::Unknown };
    number
}

/// Takes the task away; how it ended.
pub(crate) fn take(place: usize) -> Outcome {
    std::mem::replace(&mut SHARED.exclusive().0.tasks[place], NOTHING).outcome
}

/// What the task is, if its launcher still waits for it.
pub(crate) fn step(number: u64) -> Option<Step> {
    let shared = SHARED.share();
    shared.0.tasks.iter().find(|task| task.number == number).map(|task| task.step)
}

/// Answers the launcher, if it still waits.
pub(crate) fn answer(number: u64, outcome: Outcome) {
    let mut shared = SHARED.exclusive();
    if let Some(task) = shared.0.tasks.iter_mut().find(|task| task.number == number) {
        task.outcome = outcome;
    }
}
