//! The list of keys.

use tokio_postgres::Transaction;
use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::command::time_zone;
use crate::output::{Failure, Form, FormOptions, Kind, Rows, print_rows};

/// Columns of the list, with their SQL.
const COLUMNS: [(&str, &str, Kind); 11] = [
    ("id", "k.id", Kind::Text),
    ("tenant_id", "k.tenant_id", Kind::Text),
    ("kind", "k.kind", Kind::Text),
    ("event_names", "k.event_names", Kind::Prose),
    ("actor", "k.actor", Kind::Text),
    ("no_actor", "k.no_actor", Kind::Json),
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

pub(super) async fn list(
    transaction: &Transaction<'_>,
    tenant: Option<Uuid>,
    options: &FormOptions,
) -> Result<(), Failure> {
    let form = options.form();
    time_zone::set_for_output(transaction, form).await?;
    let shown = COLUMNS.map(|(name, sql, kind)| match (name, kind) {
        ("event_names", _) if form != Form::Json => "array_to_string(k.event_names, ', ')".into(),
        (_, Kind::Time) => time_zone::shown(&format!("({sql})"), "timestamp with time zone", form),
        _ => time_zone::shown(&format!("({sql})"), "text", form),
    });
    let sql = format!(
        "SELECT {} FROM eventlog.api_keys k WHERE $1 IS NULL OR k.tenant_id = $1
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
    }
    print_rows(&rows, options)
}

/// Leaves out columns in which no key has a value. A key without an actor says so in the actor's column.
fn for_people(rows: &mut Rows) {
    let (Some(actor), Some(no_actor)) = (rows.place("actor"), rows.place("no_actor")) else {
        return;
    };
    for row in &mut rows.rows {
        if row[no_actor].as_deref() == Some("true") {
            row[actor] = Some("(none)".to_owned());
        }
    }
    let is_used: Vec<bool> = (0..rows.columns.len())
        .map(|place| place != no_actor && rows.rows.iter().any(|row| row[place].is_some()))
        .collect();
    rows.keep_columns(|place, _| is_used[place]);
}
