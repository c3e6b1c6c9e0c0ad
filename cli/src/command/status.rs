//! `eventlog status`: the state of a log on one screen.

mod gateway;

use clap::Args;
use serde::Serialize;
use tokio_postgres::types::Type;
use tokio_postgres::{Row, Transaction};

use self::gateway::Gateway;
use super::time_zone::TimeZone;
use crate::connection::{Server, as_owner};
use crate::output::{Colours, Failure, Style, print, print_json, printable, sparkline};

const HELP: &str = "\
Shows the size of the log, events of the last minute, hour and day, writers, the gateway's \
queue, the last refused event, and what maintenance has to do. Connect as the log's owner or as \
a superuser. `eventlog doctor` says what is wrong, and how to fix it.";

/// Events that are looked at to find the present rate.
const NEWEST: i64 = 100_000;

#[derive(Args)]
#[command(after_help = HELP)]
pub(crate) struct Arguments {
    /// Address of a gateway, whose queue is shown if it answers
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDRESS:PORT")]
    gateway: String,
    #[command(flatten)]
    time_zone: TimeZone,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The state of the log.
#[derive(Serialize)]
struct Status {
    extension_version: String,
    owner: String,
    retention: String,
    partitions: i64,
    partitions_until: Option<String>,
    bytes: i64,
    size: String,
    event_types: i64,
    last_event_at: Option<String>,
    last_event_age: Option<String>,
    events_last_minute: i64,
    events_last_hour: i64,
    /// True if there were more events in the last hour than were looked at.
    is_more: bool,
    /// Events of each of the last 24 whole hours that are counted, the oldest first.
    hours: Vec<i64>,
    writers: i64,
    gateway: Option<Gateway>,
    rejected_last_day: i64,
    last_rejected: Option<Rejected>,
    counted_until: Option<String>,
    late_events: i64,
    maintenance: Maintenance,
}

#[derive(Serialize)]
struct Rejected {
    at: String,
    name: String,
    sqlstate: String,
    reason: String,
}

#[derive(Serialize)]
struct Maintenance {
    last_finished_at: Option<String>,
    last_outcome: Option<String>,
    last_failures: Vec<String>,
    due: Vec<String>,
    blocked_by: Option<String>,
    clock_doubt: Option<String>,
}

const LOG: &str = "
    SELECT (SELECT e.extversion FROM pg_extension e WHERE e.extname = 'eventlog'),
           (SELECT pg_get_userbyid(k.relowner)::text FROM pg_class k WHERE k.oid = 'eventlog.events'::regclass),
           c.retention::text,
           (SELECT count(*) FROM eventlog._partitions),
           date_trunc('second', eventlog._covered_until())::text,
           coalesce((SELECT sum(pg_total_relation_size(p.partition_oid))::bigint FROM eventlog._partitions p), 0),
           pg_size_pretty(coalesce((SELECT sum(pg_total_relation_size(p.partition_oid)) FROM eventlog._partitions p), 0)),
           (SELECT count(*) FROM eventlog.event_types),
           (SELECT count(*) FROM eventlog.producers p WHERE p.updated_at > now() - interval '5 minutes'),
           (SELECT count(*) FROM eventlog.rejected_events r WHERE r.created_at > now() - interval '1 day'),
           CASE WHEN isfinite(s.rolled_until) THEN date_trunc('second', s.rolled_until)::text END,
           (SELECT count(*) FROM eventlog.late_events)
      FROM eventlog.log_config c, eventlog.rollup_state s";

/// The newest events by id, which an index has in order.
const RATE: &str = "
    SELECT date_trunc('second', max(e.created_at))::text, date_trunc('second', now() - max(e.created_at))::text,
           count(*) FILTER (WHERE e.created_at > now() - interval '1 minute'),
           count(*) FILTER (WHERE e.created_at > now() - interval '1 hour'),
           count(*) = $1 AND min(e.created_at) > now() - interval '1 hour'
      FROM (SELECT n.created_at FROM eventlog.events n ORDER BY n.id DESC LIMIT $1) e";

const HOURS: &str = "
    SELECT coalesce(sum(c.events), 0)::bigint
      FROM eventlog.rollup_state s
     CROSS JOIN generate_series(date_trunc('hour', s.rolled_until) - interval '24 hours',
                                date_trunc('hour', s.rolled_until) - interval '1 hour', interval '1 hour') AS h (hour)
      LEFT JOIN (SELECT r.hour, sum(r.weighted_events) AS events FROM eventlog.hourly_counts r, eventlog.rollup_state s
                  WHERE isfinite(s.rolled_until) AND r.hour >= date_trunc('hour', s.rolled_until) - interval '24 hours'
                  GROUP BY r.hour) c ON c.hour = h.hour
     WHERE isfinite(s.rolled_until)
     GROUP BY h.hour ORDER BY h.hour";

const REJECTED: &str = "
    SELECT date_trunc('second', r.created_at)::text, coalesce(r.name, ''), r.sqlstate, r.reason
      FROM eventlog.rejected_events r ORDER BY r.id DESC LIMIT 1";

const MAINTENANCE: &str = "
    SELECT date_trunc('second', m.last_finished_at)::text, m.last_outcome, coalesce(m.last_failures, '{}'), m.due,
           m.blocked_by, m.clock_doubt
      FROM eventlog.stat_maintenance m";

pub(crate) async fn run(server: &Server, arguments: Arguments) -> Result<(), Failure> {
    let mut client = server.connect().await?;
    let transaction = as_owner(&mut client, "events").await?;
    transaction.batch_execute("SET LOCAL DateStyle = 'ISO, YMD'").await?;
    match arguments.json {
        true => transaction.batch_execute("SET LOCAL TimeZone = 'UTC'").await?,
        false => drop(arguments.time_zone.set(&transaction).await?),
    }
    let mut status = read(&transaction).await?;
    transaction.rollback().await?;
    status.gateway = Gateway::ask(&arguments.gateway).await;
    match arguments.json {
        true => print_json(&status),
        false => show(&status, &arguments.gateway),
    }
}

async fn one(transaction: &Transaction<'_>, sql: &str) -> Result<Row, Failure> {
    let rows = transaction.query_typed(sql, &[]).await?;
    rows.into_iter().next().ok_or_else(|| Failure::new("the log has no configuration"))
}

async fn read(transaction: &Transaction<'_>) -> Result<Status, Failure> {
    let log = one(transaction, LOG).await?;
    let rate = transaction.query_typed(RATE, &[(&NEWEST, Type::INT8)]).await?;
    let rate = rate.first().ok_or_else(|| Failure::new("no rate"))?;
    let hours = transaction.query_typed(HOURS, &[]).await?;
    let rejected = transaction.query_typed(REJECTED, &[]).await?;
    let maintenance = one(transaction, MAINTENANCE).await?;
    Ok(Status {
        extension_version: log.get(0),
        owner: log.get(1),
        retention: log.get(2),
        partitions: log.get(3),
        partitions_until: log.get(4),
        bytes: log.get(5),
        size: log.get(6),
        event_types: log.get(7),
        writers: log.get(8),
        rejected_last_day: log.get(9),
        counted_until: log.get(10),
        late_events: log.get(11),
        last_event_at: rate.get(0),
        last_event_age: rate.get(1),
        events_last_minute: rate.get(2),
        events_last_hour: rate.get(3),
        is_more: rate.get(4),
        hours: hours.iter().map(|row| row.get(0)).collect(),
        gateway: None,
        last_rejected: rejected.first().map(|row| Rejected {
            at: row.get(0),
            name: row.get(1),
            sqlstate: row.get(2),
            reason: row.get(3),
        }),
        maintenance: Maintenance {
            last_finished_at: maintenance.get(0),
            last_outcome: maintenance.get(1),
            last_failures: maintenance.get(2),
            due: maintenance.get(3),
            blocked_by: maintenance.get(4),
            clock_doubt: maintenance.get(5),
        },
    })
}

fn show(status: &Status, address: &str) -> Result<(), Failure> {
    let colours = Colours::of_stdout();
    let line = |label: &str, text: &str| {
        print(&format!(
            "{} {}",
            colours.paint(Style::Dim, &format!("{label:<12}")),
            printable(text)
        ))
    };
    let bad = |label: &str, text: &str| {
        let text = colours.paint(Style::Bad, &printable(text));
        print(&format!("{} {text}", colours.paint(Style::Dim, &format!("{label:<12}"))))
    };
    line(
        "log",
        &format!("{} of {}, keeps events for {}", status.size, status.owner, status.retention),
    )?;
    line(
        "partitions",
        &format!(
            "{}, until {}",
            status.partitions,
            status.partitions_until.as_deref().unwrap_or("none")
        ),
    )?;
    let last = match (&status.last_event_at, &status.last_event_age) {
        (Some(at), Some(age)) => format!("{at}, {age} ago"),
        _ => "none yet".to_owned(),
    };
    line("last event", &last)?;
    let least = if status.is_more { "at least " } else { "" };
    line(
        "rate",
        &format!(
            "{} in the last minute, {least}{} in the last hour",
            status.events_last_minute, status.events_last_hour
        ),
    )?;
    if status.hours.iter().any(|events| *events > 0) {
        let most = status.hours.iter().max().copied().unwrap_or(0);
        line(
            "24 hours",
            &format!(
                "{}  at most {most} an hour",
                sparkline(&status.hours.iter().map(|n| *n as f64).collect::<Vec<_>>())
            ),
        )?;
    }
    line("writers", &format!("{} sent batches in the last 5 minutes", status.writers))?;
    match &status.gateway {
        None => line("gateway", &format!("none answers at {address}"))?,
        Some(found) if found.is_ready => {
            line("gateway", &format!("ready, {} events in its queue", found.pending))?;
        }
        Some(found) => bad("gateway", &format!("not ready: {}", found.reason))?,
    }
    match &status.last_rejected {
        None => line("refused", "none")?,
        Some(last) => line(
            "refused",
            &format!(
                "{} in the last day; last {} {}: {} (SQLSTATE {})",
                status.rejected_last_day, last.at, last.name, last.reason, last.sqlstate
            ),
        )?,
    }
    let until = status.counted_until.as_deref().unwrap_or("nowhere yet");
    line("counted", &format!("until {until}, {} late events to add", status.late_events))?;
    show_maintenance(&status.maintenance, line, bad)
}

fn show_maintenance(
    maintenance: &Maintenance,
    line: impl Fn(&str, &str) -> Result<(), Failure>,
    bad: impl Fn(&str, &str) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let last = match (&maintenance.last_finished_at, &maintenance.last_outcome) {
        (Some(at), Some(outcome)) => format!("{outcome} at {at}"),
        (None, Some(outcome)) => outcome.clone(),
        _ => "has not run yet: CALL eventlog.maintain();".to_owned(),
    };
    line("maintenance", &last)?;
    maintenance.last_failures.iter().try_for_each(|failure| bad("", failure))?;
    for due in &maintenance.due {
        line("due", due)?;
    }
    for (label, text) in
        [("blocked by", &maintenance.blocked_by), ("clock", &maintenance.clock_doubt)]
    {
        if let Some(text) = text {
            bad(label, text)?;
        }
    }
    Ok(())
}
