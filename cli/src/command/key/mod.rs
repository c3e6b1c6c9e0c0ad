//! `eventlog key`: creates, lists and revokes the gateway's keys, as the log's owner.

mod list;

use std::collections::HashSet;

use clap::{Args, Subcommand};
use tokio_postgres::Transaction;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::time_zone::TimeZone;
use crate::api_key::{ApiKey, Kind};
use crate::connection::{Server, as_owner};
use crate::output::{Failure, FormOptions, print, print_json, warn};
use crate::tenant;

/// Longest actor in bytes, as the log limits it.
const LONGEST_ACTOR: usize = 512;
/// Most tenants of a key, as the log limits them.
const MOST_TENANTS: usize = 1_000;

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Create a key and print it. It is shown only once: the log stores its hash
    Create(Create),
    /// List the keys, without their secrets
    List {
        /// Only the keys of this tenant (UUID or name), keys of several and of all tenants included
        #[arg(long, value_name = "UUID|NAME", value_parser = tenant::parse)]
        tenant: Option<Uuid>,
        #[command(flatten)]
        form: FormOptions,
        #[command(flatten)]
        time_zone: TimeZone,
    },
    /// Revoke a key for good. Gateways refuse it within seconds
    Revoke {
        /// The id (the part between the second and the third underscore), or the whole key
        id: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Args)]
struct Create {
    /// Tenant whose events the key writes or reads: a uuid, or a name, which means
    /// eventlog.tenant('NAME'). Repeat for a read key of several tenants
    #[arg(long = "tenant", value_name = "UUID|NAME", value_parser = tenant::parse)]
    #[arg(required_unless_present = "all_tenants")]
    tenants: Vec<Uuid>,
    /// Let a read key read all tenants, those to come too
    #[arg(long, conflicts_with = "tenants")]
    all_tenants: bool,
    /// Let a read key replay rejected events over HTTP: log them again after a rule was corrected
    #[arg(long)]
    can_replay: bool,
    /// What the key can do
    #[arg(long, value_enum, default_value = "write")]
    kind: Kind,
    /// Name of an event that the key may log; repeat for several. Default: every name
    #[arg(long = "event", value_name = "NAME")]
    events: Vec<String>,
    /// Actor of every event of the key; an event that names another is refused
    #[arg(long, value_name = "ID", conflicts_with = "no_actor")]
    actor: Option<String>,
    /// Refuse events that name an actor: for keys in browsers and apps
    #[arg(long)]
    no_actor: bool,
    /// Events (to write) or requests (to read) per minute. Default: the gateway's --rate-limit
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(i32).range(1..))]
    rate_limit: Option<i32>,
    /// Time until the key expires, as an interval: '90 days'
    #[arg(long, value_name = "INTERVAL")]
    expires_in: Option<String>,
    /// Description, shown by `key list`
    #[arg(long)]
    description: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(server: &Server, arguments: Arguments) -> Result<(), Failure> {
    let mut client = server.connect().await?;
    let transaction = as_owner(&mut client, "api_keys").await?;
    match arguments.action {
        Action::Create(new) => create(&transaction, new).await?,
        Action::List { tenant, form, time_zone } => {
            let zone = time_zone.set(&transaction).await?;
            list::list(&transaction, tenant, &zone, &form).await?;
        }
        Action::Revoke { id, json } => revoke(&transaction, &id, json).await?,
    }
    Ok(transaction.commit().await?)
}

async fn create(transaction: &Transaction<'_>, new: Create) -> Result<(), Failure> {
    if new.kind == Kind::Read && !new.events.is_empty() {
        return Err(Failure::new("--event needs --kind write"));
    }
    if new.kind == Kind::Read && (new.actor.is_some() || new.no_actor) {
        return Err(Failure::new("--actor and --no-actor need --kind write"));
    }
    if new.kind == Kind::Write && (new.tenants.len() > 1 || new.all_tenants || new.can_replay) {
        return Err(Failure::new(
            "several --tenant, --all-tenants and --can-replay need --kind read",
        ));
    }
    let mut tenants = new.tenants;
    let mut seen = HashSet::new();
    tenants.retain(|tenant| seen.insert(*tenant));
    if tenants.contains(&tenant::ALL) {
        return Err(Failure::new("this uuid stands for all tenants").hint("--all-tenants"));
    }
    if tenants.len() > MOST_TENANTS {
        let message = format!("a key has at most {MOST_TENANTS} tenants, got {}", tenants.len());
        return Err(Failure::new(message).hint("--all-tenants"));
    }
    let first = tenants.first().copied().unwrap_or(tenant::ALL);
    let tenants = (tenants.len() > 1).then_some(tenants);
    if new.actor.as_ref().is_some_and(|actor| actor.is_empty() || actor.len() > LONGEST_ACTOR) {
        return Err(Failure::new(format!("--actor must have 1 to {LONGEST_ACTOR} bytes")));
    }
    let key = ApiKey::generate(new.kind)
        .map_err(|error| Failure::new(format!("cannot get random numbers: {error}")))?;
    let hash = key.hash();
    let events = (!new.events.is_empty()).then_some(&new.events);
    transaction
        .query_typed(
            "INSERT INTO eventlog.api_keys
                    (id, tenant_id, kind, event_names, secret_hash, rate_limit, description, expires_at, actor, no_actor,
                     tenant_ids, can_replay)
             VALUES ($1, $2, $3,
                     -- Of an alias, the name under which its events are stored.
                     (SELECT array_agg(eventlog._name_of(n)) FROM unnest($4) AS n), $5, $6, $7, now() + $8::text::interval, $9, $10, $11, $12)",
            &[
                (&key.id(), Type::TEXT),
                (&first, Type::UUID),
                (&new.kind.name(), Type::TEXT),
                (&events, Type::TEXT_ARRAY),
                (&hash.as_slice(), Type::BYTEA),
                (&new.rate_limit, Type::INT4),
                (&new.description, Type::TEXT),
                (&new.expires_in, Type::TEXT),
                (&new.actor, Type::TEXT),
                (&new.no_actor, Type::BOOL),
                (&tenants, Type::UUID_ARRAY),
                (&new.can_replay, Type::BOOL),
            ],
        )
        .await?;
    let unknown: Vec<String> = transaction
        .query_typed(
            "SELECT n FROM unnest($1) AS n
              WHERE NOT EXISTS (SELECT FROM eventlog.event_types t WHERE t.name = eventlog._name_of(n))",
            &[(&events, Type::TEXT_ARRAY)],
        )
        .await?
        .iter()
        .map(|row| row.get(0))
        .collect();
    if !unknown.is_empty() {
        warn(&format!("the log has no event of the name {}", unknown.join(", ")), None);
    }
    if new.json {
        return print_json(&serde_json::json!({ "id": key.id(), "key": key.text() }));
    }
    eprintln!("eventlog: the key is shown once, keep it now");
    print(&key.text())
}

async fn revoke(transaction: &Transaction<'_>, id: &str, is_json: bool) -> Result<(), Failure> {
    // The whole key may be given too; its secret is not repeated.
    let id = ApiKey::parse(id).map_or_else(|| id.to_owned(), |key| key.id().to_owned());
    let rows = transaction
        .query_typed(
            "UPDATE eventlog.api_keys SET revoked_at = coalesce(revoked_at, now()) WHERE id = $1
             RETURNING nullif(tenant_id, eventlog.all_tenants())::text, cardinality(tenant_ids)",
            &[(&id, Type::TEXT)],
        )
        .await?;
    let Some(row) = rows.first() else {
        return Err(Failure::new("there is no key with this id").hint("eventlog key list"));
    };
    let (tenant, others): (Option<String>, Option<i32>) = (row.get(0), row.get(1));
    if is_json {
        return print_json(&serde_json::json!({ "id": id, "tenant_id": tenant }));
    }
    print(&match (tenant, others) {
        (None, _) => format!("revoked {id} of all tenants"),
        (Some(_), Some(number)) => format!("revoked {id} of {number} tenants"),
        (Some(tenant), None) => format!("revoked {id} of tenant {tenant}"),
    })
}
