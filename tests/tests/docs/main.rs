//! Tests of the manual: README.md, everything below `docs/`, and the READMEs of the folders.
//!
//! The SQL of each page is run and its outputs are compared ([`sql`]); links lead somewhere
//! ([`links`]); the reference is generated from the catalog ([`reference`]), and what is written by
//! hand is compared with it ([`facts`]), with the messages in the sources ([`messages`]) and with the
//! program's own help ([`commands`]).

mod commands;
mod facts;
mod links;
mod messages;
mod page;
mod paths;
mod reference;
mod sql;

use std::sync::OnceLock;

use eventlog_tests::Cluster;
use postgres::Client;

/// The one server of these tests.
fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| Cluster::start(&[]))
}

/// A superuser's connection to a database with a log as `create_log()` makes it.
fn catalog() -> Client {
    static MADE: OnceLock<()> = OnceLock::new();
    MADE.get_or_init(|| {
        let run = |database, sql| cluster().psql(database, "postgres", sql).expect("it is new");
        run("postgres", "CREATE DATABASE catalog");
        run("catalog", "CREATE EXTENSION eventlog; SELECT eventlog.create_log();");
    });
    cluster().connect("catalog", "postgres")
}
