//! Runs the queries of reports: each in a read-only transaction whose tenant is the key's, under the policies
//! that `grant_gateway` made for the gateway's role.

use std::sync::Arc;
use std::time::Duration;

use deadpool::managed::{Object, PoolError, TimeoutType, Timeouts};
use tokio_postgres::error::DbError;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{IsolationLevel, Row};
use uuid::Uuid;

use super::parameter::{Given, Value};
use super::route::{Route, Source};
use crate::command::doctor;
use crate::command::doctor::finding::Finding;
use crate::connection::{Manager, Pool};
use crate::gateway::problem::Problem;
use crate::gateway::report_turns::{Turn, Turns};
use crate::gateway::shared_limit::Refusal;
use crate::gateway::tenant_policy::READS_ONE_TENANT;
use crate::output::with_sources;
use crate::reports::{Column, quoted};
use crate::tenant;

/// The PostgreSQL routine that reports a function's own `RAISE`.
const RAISE: &str = "exec_stmt_raise";

/// Most rows in an answer.
const MAX_ROWS: usize = 100_000;

/// Sets the tenant, and resets what an earlier use of the connection may have changed.
const BEGIN: &str = "SELECT pg_catalog.set_config('eventlog.tenant_id', $1, true),
            pg_catalog.set_config('statement_timeout', $2, true),
            pg_catalog.set_config('timezone', 'UTC', true),
            pg_catalog.set_config('client_min_messages', 'notice', true),
            pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true)";

/// What a report answered.
pub(crate) struct Answer {
    /// A JSON array.
    pub(crate) rows: String,
    /// What the server said besides, such as that a name is unknown.
    pub(crate) notices: Vec<String>,
}

/// The connections for reports, and the order in which tenants get them.
pub(crate) struct Reports {
    pool: Pool,
    turns: Arc<Turns>,
    /// Time limit of a report.
    patience: Duration,
}

impl Reports {
    pub(crate) fn new(pool: Pool, connections: usize, patience: Duration) -> Self {
        Reports { pool, turns: Turns::new(connections), patience }
    }

    /// Returns the rows of a route.
    pub(crate) async fn ask(
        &self,
        tenant: Uuid,
        route: &Route,
        arguments: &[Given<'_>],
    ) -> Result<Answer, Problem> {
        self.ask_without(&[], tenant, route, arguments).await
    }

    /// Returns the rows of a route, with nulls in the hidden columns.
    pub(super) async fn ask_without(
        &self,
        hidden: &[&str],
        tenant: Uuid,
        route: &Route,
        arguments: &[Given<'_>],
    ) -> Result<Answer, Problem> {
        let given = arguments.iter().map(|argument| -> (&(dyn ToSql + Sync), Type) {
            match &argument.value {
                Value::One(text) => (text, Type::TEXT),
                Value::List(texts) => (texts, Type::TEXT_ARRAY),
            }
        });
        let mut values: Vec<(&(dyn ToSql + Sync), Type)> = vec![(&tenant, Type::UUID)];
        values.extend(given);
        let from = match &route.source {
            Source::Function(report) => {
                let tenant = report.argument("tenant_id");
                let others = arguments.iter().map(|given| given.argument);
                format!("SELECT * FROM {}", report.call(tenant.into_iter().chain(others), 1))
            }
            Source::View(view) => view.query(),
        };
        let limit = MAX_ROWS + 1;
        let is_hidden = |column: &Column| hidden.contains(&column.name.as_str());
        let shown = match route.columns.iter().any(is_hidden) {
            false => "*".to_owned(),
            true => {
                let shown = route.columns.iter().map(|column| match is_hidden(column) {
                    true => format!("NULL AS {}", quoted(&column.name)),
                    false => format!("f.{}", quoted(&column.name)),
                });
                shown.collect::<Vec<_>>().join(", ")
            }
        };
        let ids: Vec<String> = route
            .columns
            .iter()
            .filter(|column| column.is_id())
            .map(|column| {
                let name = column.name.replace('\'', "''");
                format!("'{name}', r.{}::pg_catalog.text", quoted(&column.name))
            })
            .collect();
        let row = match ids.is_empty() {
            true => "pg_catalog.to_json(r)".to_owned(),
            false => format!(
                "pg_catalog.to_jsonb(r) OPERATOR(pg_catalog.||) pg_catalog.jsonb_build_object({})",
                ids.join(", ")
            ),
        };
        let sql = format!(
            "SELECT $1, {READS_ONE_TENANT}, pg_catalog.count(*), pg_catalog.json_agg({row})::pg_catalog.text
               FROM (SELECT {shown} FROM ({from}) f LIMIT {limit}) r"
        );
        let given: Vec<&str> = arguments.iter().map(|given| given.argument.name.as_str()).collect();
        let (row, notices) = self.run(tenant, &sql, &values, &given, true).await?;
        let found = || -> Result<(bool, i64, Option<String>), tokio_postgres::Error> {
            Ok((row.try_get(1)?, row.try_get(2)?, row.try_get(3)?))
        };
        let (is_bound, count, rows) = found().map_err(|error| {
            tracing::error!("a report cannot be read: {error}");
            Problem::internal()
        })?;
        if !is_bound {
            return Err(unbound());
        }
        if count > MAX_ROWS as i64 {
            return Err(Problem::bad_request(format!(
                "the report has more than {MAX_ROWS} rows: choose a shorter span or fewer names"
            )));
        }
        Ok(Answer { rows: rows.unwrap_or_else(|| "[]".to_owned()), notices })
    }

    /// Returns the single row of a statement, which runs in a transaction of its own.
    pub(crate) async fn read(
        &self,
        tenant: Uuid,
        sql: &str,
        values: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Row, Problem> {
        Ok(self.run(tenant, sql, values, &[], true).await?.0)
    }

    /// The same, for a statement that writes: a door of the log, which checks what the gateway may do.
    pub(crate) async fn write(
        &self,
        tenant: Uuid,
        sql: &str,
        values: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Row, Problem> {
        Ok(self.run(tenant, sql, values, &[], false).await?.0)
    }

    /// Returns the row and the server's notices, for a request that gave arguments of these names.
    /// Runs the doctor's checks, as far as the gateway's role can see. They are of no tenant.
    pub(crate) async fn examine(&self) -> Result<Vec<Finding>, Problem> {
        let patience = self.patience;
        let (_turn, mut client) = self.connection(tenant::ALL).await?;
        match tokio::time::timeout(patience, doctor::examine(&mut client)).await {
            Ok(Ok(findings)) => Ok(findings),
            Ok(Err(error)) => {
                tracing::warn!("the log could not be checked: {error}");
                Err(away())
            }
            Err(_) => {
                // The server goes on with the check; the connection is of no use meanwhile.
                drop(Object::take(client));
                Err(Problem::too_slow(format!("the checks took longer than {patience:?}"), 60))
            }
        }
    }

    /// Waits for a turn of the tenant, and for a connection.
    async fn connection(&self, tenant: Uuid) -> Result<(Turn, Object<Manager>), Problem> {
        let patience = self.patience;
        let turn = self.turns.take(tenant, patience).await.map_err(|reason| match reason {
            Refusal::OverShare => {
                Problem::too_many("the tenant has too many reports in progress", 5)
            }
            Refusal::Exhausted => Problem::unavailable("too many reports in progress", 5),
        })?;
        let waits = Timeouts { wait: Some(patience), ..self.pool.timeouts() };
        let client = self.pool.timeout_get(&waits).await.map_err(|error| {
            tracing::warn!("no connection for a report: {}", with_sources(&error));
            match error {
                PoolError::Timeout(TimeoutType::Wait) => {
                    Problem::unavailable("too many reports in progress", 5)
                }
                _ => away(),
            }
        })?;
        Ok((turn, client))
    }

    async fn run(
        &self,
        tenant: Uuid,
        sql: &str,
        values: &[(&(dyn ToSql + Sync), Type)],
        given: &[&str],
        is_read_only: bool,
    ) -> Result<(Row, Vec<String>), Problem> {
        let patience = self.patience;
        let (_turn, mut client) = self.connection(tenant).await?;
        client.take_notices();
        let asked = async {
            let transaction = client
                .build_transaction()
                .isolation_level(IsolationLevel::ReadCommitted)
                .read_only(is_read_only)
                .start()
                .await?;
            let tenant = tenant.to_string();
            let timeout = patience.as_millis().to_string();
            transaction
                .query_typed(BEGIN, &[(&tenant, Type::TEXT), (&timeout, Type::TEXT)])
                .await?;
            let rows = transaction.query_typed(sql, values).await?;
            transaction.commit().await?;
            Ok::<_, tokio_postgres::Error>(rows)
        };
        // The server's own timeout ends a report; this one is for a server that does not answer.
        match tokio::time::timeout(patience + Duration::from_secs(2), asked).await {
            Ok(Ok(rows)) => {
                let row = rows.into_iter().next().ok_or_else(Problem::internal)?;
                Ok((row, client.take_notices()))
            }
            Ok(Err(error)) => Err(refused(&error, patience, given)),
            Err(_) => {
                tracing::warn!("a report was not answered");
                // The connection is discarded, since the next query would wait for the same answer.
                drop(Object::take(client));
                Err(away())
            }
        }
    }
}

/// Returns true if PostgreSQL itself did not know a time zone.
fn is_of_zone(server: &DbError) -> bool {
    server.routine().is_some_and(|routine| routine.to_ascii_lowercase().contains("zone"))
}

/// Translates the server's error for the client.
fn refused(error: &tokio_postgres::Error, patience: Duration, given: &[&str]) -> Problem {
    let Some(server) = error.as_db_error() else {
        tracing::warn!("a report was not read: {}", with_sources(error));
        return away();
    };
    let code = server.code().code();
    match (code, &code[..2]) {
        ("57014", _) => Problem::too_slow(
            format!("the report took longer than {patience:?}: choose a shorter span"),
            60,
        ),
        // PostgreSQL's own error would show the given text, unlike the functions' own ones.
        ("22023", _) if given.contains(&"time_zone") && is_of_zone(server) => {
            Problem::bad_request("time_zone must be a time zone by name, such as Europe/Berlin")
        }
        // The functions' own messages name the argument, the limit and what was found.
        (_, "22" | "54") => Problem::bad_request(match server.hint() {
            Some(hint) if server.routine() == Some(RAISE) => {
                format!("{} ({hint})", server.message())
            }
            _ => server.message().to_owned(),
        }),
        // An unknown consumer.
        ("42704", _) if server.routine() == Some(RAISE) => {
            Problem::not_found(match server.hint() {
                Some(hint) => format!("{} ({hint})", server.message()),
                None => server.message().to_owned(),
            })
        }
        ("42501", _) => {
            tracing::error!("a report was refused: {}", server.message());
            unbound()
        }
        (_, "08" | "53" | "57" | "40" | "25") => {
            tracing::warn!("a report was not read: {}", server.message());
            away()
        }
        ("55000" | "42883" | "42P01" | "3F000", _) => {
            tracing::error!("a report was refused: {}", server.message());
            Problem::unavailable("the database has no log of this version", 60)
        }
        _ => {
            tracing::error!("a report failed: {code}: {}", server.message());
            Problem::internal()
        }
    }
}

fn away() -> Problem {
    Problem::unavailable("the database is not available", 5)
}

/// The gateway's role is not restricted to the key's tenant, or lacks a right.
pub(crate) fn unbound() -> Problem {
    Problem::unavailable(
        "the gateway's role lacks its grants; run SELECT eventlog.grant_gateway",
        60,
    )
}
