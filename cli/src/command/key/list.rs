//! The list of keys.

use tokio_postgres::Transaction;
use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::command::time_zone;
use crate::output::{Column, Failure, Form, FormOptions, Kind, Rows, print_rows};

/// Columns of the list, with their SQL.
const COLUMNS: [(&str, &str, Kind); 13] = [
    ("id", "k.id", Kind::Text),
    ("tenant_id", "nullif(k.tenant_id, eventlog.all_tenants())", Kind::Text),
    ("tenants", TENANTS, Kind::Prose),
    ("kind", "k.kind", Kind::Text),
    ("event_names", "array_to_string(k.event_names, ', ')", Kind::Prose),
    ("actor", "k.actor", Kind::Text),
    ("no_actor", "k.no_actor", Kind::Json),
    ("can_replay", "k.can_replay", Kind::Json),
    ("rate_limit", "k.rate_limit", Kind::Number),
    ("created_at", "k.created_at", Kind::Time),
    ("expires_at", "k.expires_at", Kind::Time),
    (
        "state",
        "CASE WHEN k.revoked_at IS NOT NULL THEN 'revoked' WHEN k.expires_at <= now() THEN 'expired'
              ELSE 'valid' END",
        Kind::Text,
    ),
    ("description", "k.description", Kind::Prose),
];

/// The names of a key's tenants, or `all`.
const TENANTS: &str = "
    CASE WHEN k.tenant_id = eventlog.all_tenants() THEN 'all'
         ELSE (SELECT string_agg(coalesce(n.display_name, n.tenant_name, t.id::text), ', ' ORDER BY t.place)
                 FROM unnest(coalesce(k.tenant_ids, ARRAY[k.tenant_id])) WITH ORDINALITY AS t (id, place)
                 LEFT JOIN eventlog.tenant_names n ON n.tenant_id = t.id) END";

/// The ids of a key's tenants as JSON, or `all`.
const TENANT_IDS: &str = "
    CASE WHEN k.tenant_id = eventlog.all_tenants() THEN to_json('all'::text)
         ELSE to_json(coalesce(k.tenant_ids, ARRAY[k.tenant_id])) END";

pub(super) async fn list(
    transaction: &Transaction<'_>,
    tenant: Option<Uuid>,
    zone: &str,
    options: &FormOptions,
) -> Result<(), Failure> {
    let form = options.form();
    time_zone::set_for_output(transaction, form).await?;
    let shown = COLUMNS.map(|(name, sql, kind)| {
        let sql = match name {
            "event_names" if form == Form::Json => "k.event_names",
            "tenants" if form == Form::Json => TENANT_IDS,
            _ => sql,
        };
        let type_name = if kind == Kind::Time { "timestamp with time zone" } else { "text" };
        time_zone::shown(&format!("({sql})"), type_name, form)
    });
    let sql = format!(
        "SELECT {} FROM eventlog.api_keys k
          WHERE $1 IS NULL OR k.tenant_id IN ($1, eventlog.all_tenants()) OR $1 = ANY (k.tenant_ids)
          ORDER BY k.created_at, k.id",
        shown.join(", ")
    );
    let found = transaction.query_typed(&sql, &[(&tenant, Type::UUID)]).await?;
    let kind = |kind| if form == Form::Json { Kind::Json } else { kind };
    let mut rows = Rows::new(&COLUMNS.map(|(name, _, of)| (name, kind(of))));
    rows.rows =
        found.iter().map(|row| (0..COLUMNS.len()).map(|place| row.get(place)).collect()).collect();
    if form == Form::Table {
        for_people(&mut rows);
        time_zone::note(&mut rows, zone, form);
    }
    print_rows(&rows, options)
}

/// Leaves out columns that say nothing: one column has the tenants, one the actors, and keys of which
/// none may replay do not say so.
fn for_people(rows: &mut Rows) {
    let (Some(actor), Some(no_actor)) = (rows.place("actor"), rows.place("no_actor")) else {
        return;
    };
    for row in &mut rows.rows {
        if row[no_actor].as_deref() == Some("true") {
            row[actor] = Some("(none)".to_owned());
        }
    }
    let is_used = |place: usize, column: &Column| match column.name.as_str() {
        "tenant_id" | "no_actor" => false,
        "can_replay" => rows.rows.iter().any(|row| row[place].as_deref() == Some("true")),
        _ => rows.rows.iter().any(|row| row[place].is_some()),
    };
    let keeps: Vec<bool> =
        rows.columns.iter().enumerate().map(|(place, column)| is_used(place, column)).collect();
    rows.keep_columns(|place, _| keeps[place]);
}
