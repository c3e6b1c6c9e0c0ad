//! `eventlog alerts`: how the alerts stand, and evaluating them from a scheduler.

use clap::Args;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::doctor;
use super::filter::Tenant;
use super::time_zone::{self, TimeZone};
use crate::connection::{Server, require_log};
use crate::output::{Failure, Form, FormOptions, Kind, Rows, print_rows};

const HELP: &str = "\
Alerts that are raised come first. With --evaluate, which is for the log's owner or a superuser, \
alerts are evaluated before, those on the doctor's findings too: run it every minute where neither \
the background worker nor `eventlog deliver` runs. SELECT eventlog.create_alert(…) creates one.";

/// The columns of the list, with their SQL.
const COLUMNS: [(&str, &str, Kind); 11] = [
    ("alert", "a.alert", Kind::Text),
    ("tenant", TENANT, Kind::Text),
    ("state", STATE, Kind::Text),
    ("condition", "a.condition", Kind::Text),
    ("names", "array_to_string(a.names, ', ')", Kind::Prose),
    ("time_window", "a.time_window", Kind::Text),
    ("value", "a.value", Kind::Number),
    ("threshold", "a.threshold", Kind::Number),
    ("raised_since", "a.raised_since", Kind::Time),
    ("evaluated_until", "a.evaluated_until", Kind::Time),
    ("failure", "a.failure", Kind::Prose),
];

const TENANT: &str = "
    CASE WHEN a.tenant_id = eventlog.all_tenants() THEN 'all'
         ELSE coalesce((SELECT coalesce(n.tenant_name, n.display_name) FROM eventlog.tenant_names n
                         WHERE n.tenant_id = a.tenant_id), a.tenant_id::text) END";

const STATE: &str = "
    CASE WHEN a.failure IS NOT NULL THEN 'failing' WHEN NOT a.is_enabled THEN 'off'
         WHEN a.is_raised THEN 'raised' WHEN a.evaluated_until IS NULL THEN 'new' ELSE 'quiet' END";

#[derive(Args)]
#[command(after_help = HELP)]
pub(crate) struct Arguments {
    #[command(flatten)]
    tenant: Tenant,
    /// Evaluate alerts first, as the log's owner
    #[arg(long)]
    evaluate: bool,
    #[command(flatten)]
    time_zone: TimeZone,
    #[command(flatten)]
    form: FormOptions,
}

pub(crate) async fn run(server: &Server, arguments: Arguments) -> Result<(), Failure> {
    let mut client = server.connect().await?;
    if arguments.evaluate {
        evaluate(&mut client).await?;
    }
    let transaction = arguments.tenant.begin(&mut client).await?;
    require_log(&transaction).await?;
    let form = arguments.form.form();
    let zone = arguments.time_zone.set(&transaction).await?;
    time_zone::set_for_output(&transaction, form).await?;
    let shown = COLUMNS.map(|(name, sql, kind)| {
        let sql = if name == "names" && form == Form::Json { "a.names" } else { sql };
        let type_name = if kind == Kind::Time { "timestamp with time zone" } else { "text" };
        time_zone::shown(&format!("({sql})"), type_name, form)
    });
    let sql = format!(
        "SELECT {} FROM eventlog.alerts a WHERE $1 IS NULL OR a.tenant_id = $1
          ORDER BY a.is_raised AND a.is_enabled DESC, a.alert, a.tenant_id",
        shown.join(", ")
    );
    let found = transaction.query_typed(&sql, &[(&arguments.tenant.one(), Type::UUID)]).await;
    let found = found.map_err(|error| arguments.tenant.explain(error))?;
    let kind = |kind| if form == Form::Json { Kind::Json } else { kind };
    let mut rows = Rows::new(&COLUMNS.map(|(name, _, of)| (name, kind(of))));
    rows.rows =
        found.iter().map(|row| (0..COLUMNS.len()).map(|place| row.get(place)).collect()).collect();
    if form == Form::Table {
        let is_used = |place: usize| rows.rows.iter().any(|row| row[place].is_some());
        let keeps: Vec<bool> = (0..COLUMNS.len()).map(is_used).collect();
        rows.keep_columns(|place, _| keeps[place]);
        time_zone::note(&mut rows, &zone, form);
    }
    print_rows(&rows, &arguments.form)
}

/// Evaluates the alerts that are due, those on findings with what the doctor finds, and returns how many were
/// raised or resolved. While somebody else evaluates, none are.
pub(crate) async fn evaluate(client: &mut Client) -> Result<i32, Failure> {
    let changes: i32 =
        client.query_typed("SELECT eventlog.evaluate_alerts()", &[]).await?[0].get(0);
    let sql = "SELECT EXISTS (SELECT FROM eventlog.alerts a
                               WHERE a.condition OPERATOR(pg_catalog.=) 'findings' AND a.is_enabled
                                 AND a.next_until OPERATOR(pg_catalog.<=) pg_catalog.now())";
    if !client.query_typed(sql, &[]).await?[0].get::<_, bool>(0) {
        return Ok(changes);
    }
    let findings = serde_json::json!(doctor::examine(client).await?).to_string();
    let sql = "SELECT eventlog.evaluate_alerts($1::pg_catalog.text::pg_catalog.jsonb)";
    let more: i32 = client.query_typed(sql, &[(&findings, Type::TEXT)]).await?[0].get(0);
    Ok(changes + more)
}
