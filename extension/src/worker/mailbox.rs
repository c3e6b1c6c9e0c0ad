//! The launcher's tasks for workers, and the workers' answers. They are in shared memory, because a
//! background worker has no other result than that it has ended.

use std::ffi::{CStr, CString};

use pgrx::pg_shmem_init;
use pgrx::prelude::*;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::error::unpacked;
use crate::pg::shared_memory::{Plain, Shared, shared};

/// Databases that are maintained at the same time. One that hangs does not stop the others, and
/// most of `max_worker_processes` (8 by default) stay free.
pub(crate) const TASKS: usize = 2;

/// A text of bounded length for shared memory; a longer one is cut.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Text<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

impl<const N: usize> Text<N> {
    pub(crate) fn new(text: &[u8]) -> Self {
        let mut length = text.len().min(N);
        // Do not cut inside a character of UTF-8.
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

/// The next thing a worker has to do.
#[derive(Clone, Copy)]
pub(crate) enum Step {
    /// Find out, as a superuser, whether the database has a log, and who owns it.
    Check(Text<64>),
    /// Maintain it, as its owner.
    Maintain { database: pg_sys::Oid, owner: pg_sys::Oid },
}

impl Step {
    pub(crate) fn check(database: &CStr) -> Self {
        Step::Check(Text::new(database.to_bytes()))
    }
}

/// Returns the name of a database that fits whole.
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

    /// Returns the five characters of the SQLSTATE.
    pub(crate) fn sqlstate(&self) -> String {
        unpacked(self.code)
    }
}

/// How a step ended.
#[derive(Clone, Copy)]
#[expect(clippy::large_enum_variant, reason = "nothing in shared memory can be boxed")]
pub(crate) enum Outcome {
    /// There is no answer yet, or the worker was killed or never started.
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
    /// Never reused, so that a worker of an earlier launcher answers nobody.
    last_number: u64,
    tasks: [Task; TASKS],
}

const NOTHING: Task = Task {
    number: 0,
    step: Step::Maintain { database: pg_sys::InvalidOid, owner: pg_sys::InvalidOid },
    outcome: Outcome::Unknown,
};

static SHARED: Shared<Tasks> = shared(c"eventlog tasks");

/// How often the postmaster set up shared memory: once, and again after each crash.
static STARTS: AtomicU32 = AtomicU32::new(0);

/// Requests shared memory. Called once, from `_PG_init`, while the library is being preloaded.
pub(crate) fn init() {
    pg_shmem_init!(
        SHARED = {
            STARTS.fetch_add(1, Ordering::Relaxed);
            Plain(Tasks { last_number: 0, tasks: [NOTHING; TASKS] })
        }
    );
}

/// Returns how often the server restarted after a crash of one of its processes.
pub(crate) fn crashes() -> u32 {
    STARTS.load(Ordering::Relaxed).saturating_sub(1)
}

/// Puts a task into a place and returns its number.
pub(crate) fn put(place: usize, step: Step) -> u64 {
    let mut shared = SHARED.exclusive();
    let tasks = &mut shared.0;
    tasks.last_number += 1;
    let number = tasks.last_number;
    tasks.tasks[place] = Task { number, step, outcome: Outcome::Unknown };
    number
}

/// Removes the task of a place and returns how it ended.
pub(crate) fn take(place: usize) -> Outcome {
    std::mem::replace(&mut SHARED.exclusive().0.tasks[place], NOTHING).outcome
}

/// Returns the step of a task, unless its launcher has given it up.
pub(crate) fn step(number: u64) -> Option<Step> {
    let shared = SHARED.share();
    shared.0.tasks.iter().find(|task| task.number == number).map(|task| task.step)
}

/// Answers the launcher, unless it has given the task up.
pub(crate) fn answer(number: u64, outcome: Outcome) {
    let mut shared = SHARED.exclusive();
    if let Some(task) = shared.0.tasks.iter_mut().find(|task| task.number == number) {
        task.outcome = outcome;
    }
}
