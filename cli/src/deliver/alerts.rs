//! Evaluates alerts beside the deliveries, on a connection of its own.

use std::time::Duration;

use tokio::sync::watch;

use crate::command::alerts;
use crate::connection::Target;
use crate::output::Failure;

/// How often alerts are evaluated. Where none is due, that is one look into an index.
const EVERY: Duration = Duration::from_secs(5);

/// Evaluates alerts until it is told to stop. A role without the rights of the log's owner leaves that to
/// `maintain()`.
pub(super) async fn evaluate(target: Target, mut stop: watch::Receiver<bool>) {
    loop {
        match work(&target, &mut stop).await {
            Ok(()) => return,
            Err(failure) => tracing::warn!("cannot evaluate alerts: {failure}"),
        }
        if tokio::time::timeout(EVERY, stop.wait_for(|stop| *stop)).await.is_ok() {
            return;
        }
    }
}

async fn work(target: &Target, stop: &mut watch::Receiver<bool>) -> Result<(), Failure> {
    let mut client = target.connect().await.map_err(|error| Failure::new(error.to_string()))?;
    let sql = "SELECT pg_catalog.pg_has_role(c.relowner, 'USAGE') FROM pg_catalog.pg_class c
                WHERE c.oid OPERATOR(pg_catalog.=) pg_catalog.to_regclass('eventlog.alerts')";
    let rows = client.query_typed(sql, &[]).await?;
    if !rows.first().is_some_and(|row| row.get(0)) {
        return Ok(());
    }
    while !*stop.borrow() {
        alerts::evaluate(&mut client).await?;
        if tokio::time::timeout(EVERY, stop.wait_for(|stop| *stop)).await.is_ok() {
            return Ok(());
        }
    }
    Ok(())
}
