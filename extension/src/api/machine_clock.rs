//! A clock that nobody sets: how long the machine has been running, and a name for that run. By it
//! maintenance notices that the server's clock was set (`sql/70_maintenance/clock.sql`).
//!
//! Where the system does not tell (it is Linux that does) there is none, as after a restart of the
//! machine.

use std::fs;

use pgrx::prelude::*;

/// A name for the time since the machine was started, another after each start.
#[pg_extern(sql = false)]
fn machine_boot() -> Option<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    uptime()?;
    Some(id.trim().to_owned())
}

/// Seconds since the machine was started, those in which it slept too.
#[pg_extern(sql = false)]
fn machine_uptime() -> Option<f64> {
    uptime()
}

fn uptime() -> Option<f64> {
    let text = fs::read_to_string("/proc/uptime").ok()?;
    text.split_whitespace().next()?.parse().ok()
}
