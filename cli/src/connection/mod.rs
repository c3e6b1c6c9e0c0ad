//! Connections to the server.

mod conninfo;
mod libpq_files;
mod pool;
mod statement_timeout;
mod target;
mod tls;

use std::env;
use std::path::Path;

use clap::Args;
use tokio_postgres::error::DbError;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Transaction};

use self::conninfo::Parameters;
pub(crate) use self::pool::{Manager, Pool, pool};
pub(crate) use self::target::Target;
use crate::output::{Failure, warn};

#[derive(Args)]
pub(crate) struct Server {
    /// Connection string or URL; PGHOST and so on fill in what it leaves out
    #[arg(
        long,
        visible_alias = "url",
        global = true,
        env = "EVENTLOG_DSN",
        hide_env_values = true
    )]
    dsn: Option<String>,
    /// Host of the server, or folder of its socket
    #[arg(short = 'h', long, global = true, value_name = "HOST")]
    host: Option<String>,
    /// Port of the server
    #[arg(short, long, global = true, value_name = "PORT")]
    port: Option<String>,
    /// Role to connect as
    #[arg(short = 'U', long, global = true, value_name = "ROLE")]
    username: Option<String>,
    /// Database, or a connection string
    #[arg(short, long, global = true, value_name = "NAME")]
    dbname: Option<String>,
}

impl Server {
    /// Returns the target of connections: from the options, then the connection string, its service, the
    /// environment variables and the password file.
    pub(crate) fn target(&self) -> Result<Target, Failure> {
        let mut given = Parameters::new();
        let mut dsn = self.dsn.as_deref().map(|dsn| ("--dsn", dsn));
        let mut options =
            vec![("host", &self.host), ("port", &self.port), ("user", &self.username)];
        match self.dbname.as_deref() {
            Some(name) if conninfo::is_string(name) && dsn.is_none() => dsn = Some(("-d", name)),
            _ => options.push(("dbname", &self.dbname)),
        }
        for (name, value) in options {
            if let Some(value) = value {
                conninfo::take(&mut given, "options", name, value)?;
            }
        }
        if let Some((source, text)) = dsn {
            conninfo::take_string(&mut given, source, text)?;
        }
        let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        if let Some(service) = given.get("service").cloned().or_else(|| variable("PGSERVICE")) {
            let file = given.get("servicefile").cloned().or_else(|| variable("PGSERVICEFILE"));
            libpq_files::take_service(&mut given, &service, file.as_deref().map(Path::new))?;
        }
        conninfo::take_variables(&mut given, variable)?;
        Target::of(&given)
    }

    /// Connects. Notices of the server are shown as warnings.
    pub(crate) async fn connect(&self) -> Result<Client, Failure> {
        Ok(self.target()?.with_notices(show_notice).connect().await?)
    }
}

/// Shows a notice of the server. Of an unknown event name the program warns itself, with the nearest name.
fn show_notice(notice: &DbError) {
    let is_shown = matches!(notice.severity(), "NOTICE" | "WARNING");
    if is_shown && !notice.message().starts_with("unknown event name") {
        warn(notice.message(), notice.hint());
    }
}

/// Fails if the database has no log.
pub(crate) async fn require_log(transaction: &Transaction<'_>) -> Result<(), Failure> {
    let sql = "SELECT EXISTS (SELECT FROM pg_catalog.pg_extension WHERE extname OPERATOR(pg_catalog.=) 'eventlog'),
                      EXISTS (SELECT FROM pg_catalog.pg_class c
                                JOIN pg_catalog.pg_namespace n
                                  ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
                               WHERE n.nspname OPERATOR(pg_catalog.=) 'eventlog'
                                 AND c.relname OPERATOR(pg_catalog.=) 'events')";
    let rows = transaction.query_typed(sql, &[]).await?;
    match rows.first().map(|row| (row.get(0), row.get(1))) {
        Some((false, _)) => Err(Failure::new("this database has no extension eventlog")
            .hint("CREATE EXTENSION eventlog;")),
        Some((true, false)) => Err(Failure::new("there is no log in this database yet")
            .hint("SELECT eventlog.create_log();")),
        _ => Ok(()),
    }
}

/// Begins a transaction as the owner of a table of the log. Its triggers belong to the owner, and must not
/// run as a superuser who may be calling.
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
                "SELECT eventlog.create_log(); or, if the log is of an older version, \
                 SELECT eventlog.migrate_log();",
            ));
    };
    let owner: String = owner.get(0);
    let config = "SELECT pg_catalog.set_config('role', $1, true),
                         pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true)";
    transaction.query_typed(config, &[(&owner, Type::TEXT)]).await.map_err(|error| {
        let hint = format!("connect as a superuser or as a member of {owner}");
        Failure::from(error).hint(hint)
    })?;
    Ok(transaction)
}
