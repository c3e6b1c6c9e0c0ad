//! A process that was forked from the writer's has neither its thread nor its task: there the
//! writer takes nothing and holds nothing up.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use eventlog_tests::{Db, db};
use eventlog_writer::{Stats, asynchronous, sync};
use tokio::runtime::Builder;

use crate::common::{LONG, numbered, numbers, options};

/// The C library's own, for a test that must do what an application server does.
mod libc {
    unsafe extern "C" {
        pub(super) safe fn fork() -> i32;
        pub(super) safe fn _exit(status: i32) -> !;
        pub(super) unsafe fn waitpid(pid: i32, status: *mut i32, options: i32) -> i32;
    }
}

/// Does it in a child, which then ends without a trace; whether it was done and said so.
fn in_child(work: impl FnOnce() -> bool) {
    let child = libc::fork();
    if child == 0 {
        let worked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        libc::_exit(if worked.is_ok_and(|is_right| is_right) { 7 } else { 1 });
    }
    let mut status = 0;
    // SAFETY: the status is ours, and the child too.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    assert_eq!(status >> 8, 7, "what the child says");
}

/// What is ready at once: there is no runtime in a child that would go on with it.
fn at_once<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(ready) => Some(ready),
        Poll::Pending => None,
    }
}

/// The part in a process of its own, since the other tests' threads do not survive a fork.
#[test]
#[ignore = "run by the test below"]
fn sync_log_and_close_after_a_fork() {
    let config = std::env::var("CONNINFO").unwrap().parse().unwrap();
    let writer = sync::Writer::connect(config, options().linger(Duration::from_secs(1)));
    assert!(writer.log(numbered(1)));
    in_child(|| {
        let is_right = !writer.log(numbered(2))
            && writer.log_and_wait(numbered(3)).is_err()
            && !writer.flush(LONG)
            && writer.stats() == Stats::default()
            && writer.close(LONG).stats == Stats::default();
        drop(writer.clone());
        is_right
    });
    assert!(writer.close(LONG).is_complete());
}

/// The part in a process of its own.
#[test]
#[ignore = "run by the test below"]
fn asynchronous_log_and_close_after_a_fork() {
    let config = std::env::var("CONNINFO").unwrap().parse().unwrap();
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let options = options().linger(Duration::from_secs(1));
    let mut writer =
        Some(runtime.block_on(async { asynchronous::Writer::connect(config, options) }));
    assert!(writer.as_ref().unwrap().log(numbered(1)));
    in_child(|| {
        let writer = writer.take().unwrap();
        let is_right = !writer.log(numbered(2))
            && at_once(writer.log_and_wait(numbered(3))).is_some_and(|told| told.is_err())
            && at_once(writer.flush(LONG)) == Some(false)
            && writer.stats() == Stats::default()
            && at_once(writer.close(LONG)).is_some_and(|report| report.stats == Stats::default());
        // The last one.
        drop(writer);
        is_right
    });
    let report = runtime.block_on(writer.as_ref().unwrap().close(LONG));
    assert!(report.is_complete(), "{report:?}");
}

#[test]
fn in_a_forked_child_the_writer_takes_nothing_and_holds_nothing_up() {
    for test in ["sync_log_and_close_after_a_fork", "asynchronous_log_and_close_after_a_fork"] {
        let db = Db::new();
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args([&format!("forks::{test}"), "--exact", "--ignored"])
            .env("CONNINFO", db::shared().conninfo(&db.name, "service"))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
        assert_eq!(numbers(&mut db.superuser()), [1], "{test}");
    }
}
