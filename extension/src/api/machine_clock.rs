//! A clock that nobody sets: how long the machine has been running, and a name for that run.
//! Maintenance compares with it to notice that the server's clock was set
//! (`sql/70_maintenance/clock.sql`).
//!
//! Only Linux provides both; elsewhere they are NULL, and maintenance treats that as a restart of
//! the machine.

use std::fs;

use pgrx::prelude::*;

/// Returns a name for this run of the machine; each start gives another.
#[pg_extern(sql = false)]
fn machine_boot() -> Option<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    uptime()?;
    Some(id.trim().to_owned())
}

/// Returns the seconds since the machine was started, including those in which it slept.
#[pg_extern(sql = false)]
fn machine_uptime() -> Option<f64> {
    uptime()
}

fn uptime() -> Option<f64> {
    let text = fs::read_to_string("/proc/uptime").ok()?;
    text.split_whitespace().next()?.parse().ok()
}
