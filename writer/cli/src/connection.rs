//! Where the server is, and connections to it.

use std::fmt;
use std::time::Duration;

use clap::Args;
use deadpool::managed::{self, Metrics, RecycleError, RecycleResult, Timeouts};
use eventlog_writer::asynchronous;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Config, Transaction};

use crate::output::{Failure, with_sources};

/// How long a request waits for a connection, and for a new one to be made.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Args)]
pub(crate) struct Server {
    /// Connection string or URL, instead of PGHOST and its like
    #[arg(
        long,
        visible_alias = "url",
        global = true,
        env = "EVENTLOG_DSN",
        hide_env_values = true
    )]
    dsn: Option<String>,
}

impl Server {
    pub(crate) fn config(&self) -> Result<Config, Failure> {
        let mut config = match &self.dsn {
            // What is wrong with it is said without repeating it: it may hold a password.
            Some(dsn) => dsn.parse().map_err(|error| {
                Failure::new(format!("--dsn is no connection string: {}", with_sources(&error)))
            })?,
            None => {
                asynchronous::config_from_env().map_err(|error| Failure::new(error.to_string()))?
            }
        };
        if config.get_application_name().is_none() && std::env::var_os("PGAPPNAME").is_none() {
            config.application_name("eventlog");
        }
        Ok(config)
    }

    /// One connection, for a command.
    pub(crate) async fn connect(&self) -> Result<Client, Failure> {
        asynchronous::connect(self.config()?).await.map_err(|error| {
            Failure::new(format!("no connection: {}", with_sources(error.as_ref())))
                .hint("set PGHOST, PGPORT, PGUSER and PGDATABASE, or --dsn")
        })
    }
}

/// A transaction as the owner of a table of the log: triggers on it are the owner's, and must not
/// run as the superuser who may be calling.
pub(crate) async fn as_owner<'a>(
    client: &'a mut Client,
    table: &str,
) -> Result<Transaction<'a>, Failure> {
    let transaction = client.transaction().await?;
    let owner = transaction
        .query_typed(
            "SELECT pg_catalog.pg_get_userbyid(relowner)::pg_catalog.text
               FROM pg_catalog.pg_class
              WHERE oid OPERATOR(pg_catalog.=)
                    pg_catalog.to_regclass(pg_catalog.concat('eventlog.', $1))",
            &[(&table, Type::TEXT)],
        )
        .await?;
    let Some(owner) = owner.first() else {
        return Err(Failure::new(format!("there is no table eventlog.{table} in this database"))
            .hint(
                "SELECT eventlog.create_log(); or, in a log of an older version, \
                 SELECT eventlog.migrate_log();",
            ));
    };
    let owner: String = owner.get(0);
    let config = "SELECT pg_catalog.set_config('role', $1, true),
                         pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true)";
    transaction.query_typed(config, &[(&owner, Type::TEXT)]).await.map_err(|error| {
        let hint = format!("connect as a superuser, or as a member of {owner}");
        Failure::from(error).hint(hint)
    })?;
    Ok(transaction)
}

/// Makes the connections of a [`Pool`].
#[derive(Debug)]
pub(crate) struct Manager {
    config: Config,
}

pub(crate) type Pool = managed::Pool<Manager>;

/// Why there is no connection.
#[derive(Debug)]
pub(crate) struct NotConnected(String);

impl fmt::Display for NotConnected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotConnected {}

impl managed::Manager for Manager {
    type Type = Client;
    type Error = NotConnected;

    async fn create(&self) -> Result<Client, NotConnected> {
        let connected = asynchronous::connect(self.config.clone()).await;
        connected.map_err(|error| NotConnected(with_sources(error.as_ref())))
    }

    async fn recycle(&self, client: &mut Client, _: &Metrics) -> RecycleResult<NotConnected> {
        match client.is_closed() {
            true => Err(RecycleError::message("the server closed it")),
            false => Ok(()),
        }
    }
}

/// A pool of at most so many connections, made when they are wanted.
pub(crate) fn pool(config: Config, connections: usize) -> Result<Pool, Failure> {
    let patience =
        Timeouts { wait: Some(PATIENCE), create: Some(PATIENCE), recycle: Some(PATIENCE) };
    Pool::builder(Manager { config })
        .max_size(connections)
        .timeouts(patience)
        .runtime(deadpool::Runtime::Tokio1)
        .build()
        .map_err(|error| Failure::new(error.to_string()))
}
