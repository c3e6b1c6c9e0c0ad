//! Install, import, upgrade, dump, restore and replication.

mod catalog;
mod import;
mod import_faults;
mod majors;
mod producers;
mod released;
mod replication;
mod restore;
mod uninstall;
mod upgrade;
mod upgrade_keeps;
mod upgrade_live;
