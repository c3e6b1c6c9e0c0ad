//! The calls of the database: each is a function of the extension that checks its caller.

use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error, Row};
use uuid::Uuid;

use super::event::Event;

/// eventlog.all_tenants().
pub(super) const ALL_TENANTS: Uuid = Uuid::max();

/// A webhook that this deliverer has leased.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Leased {
    pub(super) id: Uuid,
    pub(super) config: Config,
    pub(super) delivered_id: i64,
    pub(super) alert_delivered_id: i64,
    pub(super) failures: u32,
    /// Seconds until the next attempt, if it was put aside.
    pub(super) wait: Option<f64>,
    pub(super) lease: i64,
    /// True if another deliverer is to have it.
    pub(super) is_excess: bool,
    pub(super) has_retries: bool,
}

/// What a webhook is to get, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Config {
    /// Nothing for all tenants.
    pub(super) tenant: Option<Uuid>,
    pub(super) url: String,
    pub(super) names: Option<Vec<String>>,
    pub(super) with_alerts: bool,
    pub(super) secrets: Vec<String>,
}

impl Config {
    /// Returns true if the webhook gets this event or alert.
    pub(super) fn wants(&self, event: &Event) -> bool {
        self.tenant.is_none_or(|tenant| tenant == event.tenant)
            && (event.is_alert || self.wants_name(event))
    }

    fn wants_name(&self, event: &Event) -> bool {
        self.names.as_ref().is_none_or(|names| names.contains(&event.name))
    }
}

/// An event that is sent again: how often it was sent, and the event unless it is gone.
#[derive(Debug)]
pub(super) struct Retry {
    pub(super) webhook: Uuid,
    pub(super) is_alert: bool,
    pub(super) event_id: i64,
    pub(super) attempts: u32,
    pub(super) event: Option<Event>,
}

/// Sets a new connection up, whatever its role prefers.
pub(super) async fn prepare(client: &Client) -> Result<(), Error> {
    let settings = "SELECT set_config('default_transaction_isolation', 'read committed', false),
                           set_config('default_transaction_read_only', 'off', false),
                           set_config('search_path', 'pg_catalog, pg_temp', false),
                           set_config('application_name', 'eventlog deliver', false)";
    client.query_typed(settings, &[]).await.map(|_| ())
}

/// Leases webhooks, and returns all that this deliverer has.
pub(super) async fn take(client: &Client, me: &str) -> Result<Vec<Leased>, Error> {
    let sql = "SELECT webhook_id, tenant_id, url, names, with_alerts, secrets, delivered_id,
                      alert_delivered_id, failures, wait, lease, is_excess, has_retries FROM eventlog._take_webhooks($1, $2)";
    let rows = client.query_typed(sql, &[(&ALL_TENANTS, Type::UUID), (&me, Type::TEXT)]).await?;
    Ok(rows.iter().map(leased).collect())
}

fn leased(row: &Row) -> Leased {
    let tenant: Uuid = row.get(1);
    Leased {
        id: row.get(0),
        config: Config {
            tenant: (tenant != ALL_TENANTS).then_some(tenant),
            url: row.get(2),
            names: row.get(3),
            with_alerts: row.get(4),
            secrets: row.get(5),
        },
        delivered_id: row.get(6),
        alert_delivered_id: row.get(7),
        failures: u32::try_from(row.get::<_, i32>(8)).unwrap_or(0),
        wait: row.get(9),
        lease: row.get(10),
        is_excess: row.get(11),
        has_retries: row.get(12),
    }
}

/// Gives leases back, with nothing all of them.
pub(super) async fn release(
    client: &Client,
    me: &str,
    webhooks: Option<Vec<Uuid>>,
) -> Result<(), Error> {
    let sql = "SELECT eventlog._release_webhooks($1, $2, $3)";
    let parameters = [
        (&ALL_TENANTS as &(dyn tokio_postgres::types::ToSql + Sync), Type::UUID),
        (&me, Type::TEXT),
        (&webhooks, Type::UUID_ARRAY),
    ];
    client.query_typed(sql, &parameters).await.map(|_| ())
}

/// Returns the id up to which events can be delivered.
pub(super) async fn deliverable_until(client: &Client, known: i64) -> Result<i64, Error> {
    let sql = "SELECT eventlog._deliverable_until($1, $2)";
    let rows = client.query_typed(sql, &[(&ALL_TENANTS, Type::UUID), (&known, Type::INT8)]).await?;
    Ok(rows.first().map_or(known, |row| row.get::<_, i64>(0).max(known)))
}

/// Reads the events of a span of ids, at most this many, of these tenants and names; nothing for all.
pub(super) async fn read(
    client: &Client,
    span: (i64, i64),
    tenants: Option<Vec<Uuid>>,
    names: Option<Vec<String>>,
    limit: i32,
) -> Result<Vec<Event>, Error> {
    let sql = "SELECT id, tenant_id, name, data, actor, subject, occurred_at, created_at
                 FROM eventlog._read_deliverable($1, $2, $3, $4, $5, $6)";
    let parameters = [
        (&ALL_TENANTS as &(dyn tokio_postgres::types::ToSql + Sync), Type::UUID),
        (&span.0, Type::INT8),
        (&span.1, Type::INT8),
        (&tenants, Type::UUID_ARRAY),
        (&names, Type::TEXT_ARRAY),
        (&limit, Type::INT4),
    ];
    let rows = client.query_typed(sql, &parameters).await?;
    Ok(rows.iter().filter_map(|row| Event::of(row, row.get(0), 1, false)).collect())
}

/// Reads alerts that were raised or resolved after this one, of these tenants; nothing for all.
pub(super) async fn read_alerts(
    client: &Client,
    after: i64,
    tenants: Option<Vec<Uuid>>,
    limit: i32,
) -> Result<Vec<Event>, Error> {
    let sql = "SELECT id, tenant_id, name, data, actor, subject, occurred_at, created_at
                 FROM eventlog._read_alert_changes($1, $2, $3, $4)";
    let parameters = [
        (&ALL_TENANTS as &(dyn tokio_postgres::types::ToSql + Sync), Type::UUID),
        (&after, Type::INT8),
        (&tenants, Type::UUID_ARRAY),
        (&limit, Type::INT4),
    ];
    let rows = client.query_typed(sql, &parameters).await?;
    Ok(rows.iter().filter_map(|row| Event::of(row, row.get(0), 1, true)).collect())
}

/// Reads what is to be sent again now, except to busy webhooks.
pub(super) async fn due_retries(
    client: &Client,
    me: &str,
    busy: &[Uuid],
) -> Result<Vec<Retry>, Error> {
    let sql = "SELECT webhook_id, is_alert, event_id, attempts, tenant_id, name, data, actor, subject, occurred_at, created_at
                 FROM eventlog._due_retries($1, $2, $3)";
    let parameters = [
        (&ALL_TENANTS as &(dyn tokio_postgres::types::ToSql + Sync), Type::UUID),
        (&me, Type::TEXT),
        (&busy, Type::UUID_ARRAY),
    ];
    let rows = client.query_typed(sql, &parameters).await?;
    let retry = |row: &Row| Retry {
        webhook: row.get(0),
        is_alert: row.get(1),
        event_id: row.get(2),
        attempts: u32::try_from(row.get::<_, i32>(3)).unwrap_or(0),
        event: Event::of(row, row.get(2), 4, row.get(1)),
    };
    Ok(rows.iter().map(retry).collect())
}

/// Writes down what was delivered and what failed. Returns the webhooks that are disabled now, and why.
pub(super) async fn note(
    client: &Client,
    me: &str,
    notes: &str,
) -> Result<Vec<(Uuid, String)>, Error> {
    let sql = "SELECT webhook_id, reason FROM eventlog._note_deliveries($1, $2, $3::text::jsonb)";
    let parameters = [
        (&ALL_TENANTS as &(dyn tokio_postgres::types::ToSql + Sync), Type::UUID),
        (&me, Type::TEXT),
        (&notes, Type::TEXT),
    ];
    let rows = client.query_typed(sql, &parameters).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}
