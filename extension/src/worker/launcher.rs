//! The launcher: one process that starts a worker for each database of `eventlog.databases` when it
//! is due, and logs the result once for each change.
//!
//! It is connected to no database, so that no command has to wait for it; `pg_stat_activity` still
//! shows it. A worker is connected while it works, and is terminated when a command waits for its
//! database.

use std::ffi::{CStr, CString};
use std::time::{Duration, Instant};

use pgrx::bgworkers::{BackgroundWorker, BackgroundWorkerBuilder, SignalWakeFlags};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::pg::background::Worker;
use crate::pg::lock;
use crate::pg::server;
use crate::settings;
use crate::worker::mailbox::{self, Failure, Outcome, Step, TASKS};

/// Delay of the first runs after the server's start, if the interval is longer.
const FIRST_RUN: Duration = Duration::from_secs(60);
/// Delay of the next attempt if no slot was free for a worker.
const NO_SLOT: Duration = Duration::from_secs(10);
/// How often the launcher checks whether a command waits for the database of a worker: DROP
/// DATABASE waits five seconds for others to leave.
const LOOK: Duration = Duration::from_secs(1);

/// 57000, operator_intervention: the worker was killed, or could not be started.
const NO_ANSWER: i32 = 5 | (7 << 6);

/// A database of the list.
struct Job {
    database: CString,
    /// False once the name was removed from the list while a worker runs.
    is_listed: bool,
    begun: Option<Instant>,
    not_before: Instant,
    run: Option<Run>,
    /// The failure that was logged last; nothing while it works.
    failure: Option<Failure>,
}

/// A running worker, from its registration to its end.
struct Run {
    worker: Worker,
    place: usize,
    step: Step,
    /// True if it was terminated for a command that waits for the database.
    gave_way: bool,
}

/// Registers the launcher. Called once, from `_PG_init`, while the library is being preloaded.
pub(crate) fn init() {
    // While pg_upgrade runs, the server is not in use.
    if server::in_binary_upgrade() {
        return;
    }
    // Not started on a standby until it is promoted.
    BackgroundWorkerBuilder::new("eventlog launcher")
        .set_library("eventlog")
        .set_function("eventlog_launcher_main")
        .enable_spi_access()
        .set_restart_time(Some(Duration::from_secs(5)))
        .load();
}

/// Entry point of the process.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn eventlog_launcher_main(_argument: pg_sys::Datum) {
    BackgroundWorker::attach_signal_handlers(SignalWakeFlags::SIGHUP | SignalWakeFlags::SIGTERM);
    BackgroundWorker::connect_worker_to_spi(None, None);
    server::report_idle();

    let mut jobs = Vec::new();
    list(&mut jobs, Instant::now() + first_run());
    loop {
        collect(&mut jobs);
        start_due(&mut jobs);
        if !BackgroundWorker::wait_latch(pause(&jobs)) {
            break;
        }
        // Other processes wait for one that falls behind with invalidations.
        server::catch_up();
        if BackgroundWorker::sighup_received() {
            server::reload_configuration();
            list(&mut jobs, Instant::now());
        }
        give_way(&mut jobs);
    }
    for run in jobs.iter().filter_map(|job| job.run.as_ref()) {
        run.worker.terminate();
    }
    // With 0 the postmaster would not start it again, for example after pg_terminate_backend.
    server::exit(1);
}

/// Returns the delay of the first runs. It is longer after a crash, and doubles with the next: if a
/// worker crashes the server, the server must still be up most of the time.
fn first_run() -> Duration {
    let interval = settings::maintenance_interval();
    match mailbox::crashes() {
        0 => interval.min(FIRST_RUN),
        crashes => interval * 2_u32.pow((crashes - 1).min(4)),
    }
}

/// Takes over `eventlog.databases`; new ones are due at `due`.
fn list(jobs: &mut Vec<Job>, due: Instant) {
    let databases = settings::databases();
    for job in &mut *jobs {
        job.is_listed = databases.contains(&job.database);
    }
    jobs.retain(|job| job.is_listed || job.run.is_some());
    for database in databases {
        if !jobs.iter().any(|job| job.database == database) {
            let job = Job {
                database,
                is_listed: true,
                begun: None,
                not_before: due,
                run: None,
                failure: None,
            };
            jobs.push(job);
        }
    }
}

/// Handles workers that have ended.
fn collect(jobs: &mut Vec<Job>) {
    for job in &mut *jobs {
        let Some(run) = &job.run else { continue };
        if !run.worker.has_ended() {
            continue;
        }
        let (place, gave_way) = (run.place, run.gave_way);
        job.run = None;
        match mailbox::take(place) {
            Outcome::Ready { database, owner } if job.is_listed => {
                job.start(place, Step::Maintain { database, owner });
            }
            Outcome::Ready { .. } => (),
            Outcome::Maintained => job.worked(),
            Outcome::Failed(_) | Outcome::Unknown if gave_way => job.log_that_it_gave_way(),
            Outcome::Failed(failure) => job.failed(failure),
            Outcome::Unknown => {
                job.failed(Failure::new(NO_ANSWER, b"the worker ended without an answer", b""));
            }
        }
    }
    jobs.retain(|job| job.is_listed || job.run.is_some());
}

/// Starts what is due, the longest overdue first, while there are places.
fn start_due(jobs: &mut [Job]) {
    let now = Instant::now();
    loop {
        let taken: Vec<usize> =
            jobs.iter().filter_map(|job| Some(job.run.as_ref()?.place)).collect();
        let Some(place) = (0..TASKS).find(|place| !taken.contains(place)) else { return };
        let idle = jobs.iter_mut().filter(|job| job.run.is_none() && job.due() <= now);
        let Some(job) = idle.min_by_key(|job| job.due()) else { return };
        job.begun = Some(now);
        let step = Step::check(&job.database);
        job.start(place, step);
    }
}

/// Returns how long there is nothing to do but wait for workers and signals; nothing for ever.
fn pause(jobs: &[Job]) -> Option<Duration> {
    const LONGEST: Duration = Duration::from_secs(3600);
    let running = jobs.iter().filter(|job| job.run.is_some()).count();
    let look = (running > 0).then_some(LOOK);
    let due = jobs.iter().filter(|job| job.run.is_none()).map(Job::due).min();
    let due = due.filter(|_| running < TASKS);
    // Rounded up: otherwise the last millisecond is spent in a busy loop.
    let due =
        due.map(|due| due.saturating_duration_since(Instant::now()) + Duration::from_millis(1));
    look.into_iter().chain(due).min().map(|pause| pause.min(LONGEST))
}

/// Terminates workers in databases that a command waits for.
fn give_way(jobs: &mut [Job]) {
    for run in jobs.iter_mut().filter_map(|job| job.run.as_mut()) {
        let Step::Maintain { database, .. } = run.step else { continue };
        if !run.gave_way && lock::is_database_wanted(database) {
            run.worker.terminate();
            run.gave_way = true;
        }
    }
}

impl Job {
    /// Returns when it is to run next.
    fn due(&self) -> Instant {
        let next = self.begun.map(|begun| begun + settings::maintenance_interval());
        next.map_or(self.not_before, |next| next.max(self.not_before))
    }

    fn start(&mut self, place: usize, step: Step) {
        let number = mailbox::put(place, step);
        let worker = Worker::start("eventlog maintenance", "eventlog_maintenance_main", number);
        if let Some(worker) = worker {
            self.run = Some(Run { worker, place, step, gave_way: false });
            return;
        }
        self.not_before = Instant::now() + settings::maintenance_interval().min(NO_SLOT);
        self.begun = None;
        self.failed(Failure::new(
            PgSqlErrorCode::ERRCODE_CONFIGURATION_LIMIT_EXCEEDED as i32,
            b"there is no free slot for a background worker",
            b"raise max_worker_processes, which needs a restart",
        ));
    }

    fn worked(&mut self) {
        if self.failure.take().is_some() {
            self.log(PgLogLevel::LOG, "works again", None);
        }
    }

    fn failed(&mut self, failure: Failure) {
        if self.failure != Some(failure) {
            self.failure = Some(failure);
            let is_warning = failure.sqlstate().starts_with("01");
            let how = if is_warning { "is incomplete" } else { "failed" };
            let what = format!("{how}: {}", failure.message.show());
            self.log(PgLogLevel::WARNING, &what, Some(&failure));
        }
    }

    fn log_that_it_gave_way(&self) {
        let what = "was stopped for a command that needs the database for itself";
        self.log(PgLogLevel::LOG, what, None);
    }

    fn log(&self, level: PgLogLevel, what: &str, failure: Option<&Failure>) {
        let message = format!("eventlog: maintenance of database {} {what}", shown(&self.database));
        let code = PgSqlErrorCode::from(failure.map_or(0, |failure| failure.code as isize));
        let mut report = ErrorReport::new(code, message, pgrx::function_name!());
        if let Some(failure) = failure {
            let sqlstate = failure.sqlstate();
            let again = "It will be tried again; the next message comes when the result changes.";
            report = report.set_detail(format!("SQLSTATE {sqlstate}. {again}"));
            let hint = failure.hint.show();
            if !hint.is_empty() {
                report = report.set_hint(hint);
            }
        }
        report.report(level);
    }
}

fn shown(database: &CStr) -> String {
    format!("\"{}\"", database.to_string_lossy())
}
