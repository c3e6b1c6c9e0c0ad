//! `eventlog tail`: shows the newest events and follows new ones.

mod line;
mod printer;

use std::collections::HashSet;
use std::time::Duration;

use clap::Args;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, IsolationLevel, Transaction};

use self::line::Line;
use self::printer::Printer;
use super::filter::{Filter, seconds, warn_of_unknown};
use super::time_zone;
use crate::connection::Server;
use crate::output::{Failure, Form, FormOptions};

/// Rows of a page: the most that get_events returns at once.
const PAGE: i32 = 10_000;

const HELP: &str = "\
Prints a line for each event: time of creation, name, actor, subject and payload. On a \
terminal, lines are cut to its width, the subject first; -x and --json show everything. In a \
pipe, all is there, separated by tabs. With --follow, each event comes once no event with a lower \
id can still appear, so none is missed: those of a long transaction hold up the ones after them.";

#[derive(Args)]
#[command(after_help = HELP)]
pub(crate) struct Arguments {
    #[command(flatten)]
    filter: Filter,
    /// Number of events to begin with
    #[arg(short = 'n', long, default_value_t = 20, value_name = "EVENTS")]
    #[arg(value_parser = clap::value_parser!(u32).range(0..=10_000))]
    lines: u32,
    /// Keep running and print new events
    #[arg(short, long)]
    follow: bool,
    /// Seconds between two looks for new events
    #[arg(long, default_value_t = 1.0, value_name = "SECONDS", value_parser = seconds)]
    every: f64,
    /// Only these actors, separated by commas
    #[arg(long, value_name = "ACTORS", value_delimiter = ',')]
    actors: Vec<String>,
    /// Only these subjects, separated by commas
    #[arg(long, value_name = "SUBJECTS", value_delimiter = ',')]
    subjects: Vec<String>,
    /// Only events whose payload contains this JSON object
    #[arg(long, value_name = "JSON")]
    contains: Option<String>,
    #[command(flatten)]
    form: FormOptions,
}

/// The columns of an event.
const COLUMNS: &str = "
    SELECT r.id,
           CASE $1 WHEN 'json' THEN row_to_json(r)::text
                   WHEN 'line' THEN to_char(r.created_at, 'YYYY-MM-DD HH24:MI:SS.MS')
                   WHEN 'people' THEN r.created_at::text
                   ELSE to_json(r.created_at) #>> '{}' END,
           r.name, r.actor, r.subject, CASE $1 WHEN 'json' THEN '' ELSE r.data::text END";

/// The newest events, newest first.
const NEWEST: &str = "
      FROM eventlog.get_events(
               tenant_id => $2, names => $3, actors => $4, subjects => $5, contains => $6::jsonb,
               since => coalesce($7::timestamptz, '-infinity'),
               until => coalesce($8::timestamptz, now() + interval '1 day'), row_limit => $9) r";

/// Events that are there already, above an id: $3 at most.
const THERE_ALREADY: &str = "
    SELECT coalesce(array_agg(a.id), '{}'), max(a.id)
      FROM (SELECT e.id FROM eventlog.events e
             WHERE e.id > $2 AND eventlog._is_tenant(eventlog._report_tenant($1), e.tenant_id)
             ORDER BY e.id DESC LIMIT $3) a";

/// The events of a page of ids, in their order, and the last id of the page, null if it is not full.
const PAGE_OF_IDS: &str = "
    SELECT array_agg(p.id), min(p.created_at)::text, (max(p.created_at) + interval '1 microsecond')::text,
           CASE WHEN count(*) = $4 THEN max(p.id) END
      FROM (SELECT e.id, e.created_at FROM eventlog.events e
             WHERE e.id > $2 AND e.id <= $3 AND eventlog._is_tenant(eventlog._report_tenant($1), e.tenant_id)
             ORDER BY e.id LIMIT $4) p";
const EVENTS_OF_PAGE: &str = "
      FROM eventlog.get_events(
               tenant_id => $2, names => $3, actors => $4, subjects => $5, contains => $6::jsonb,
               since => greatest($7::timestamptz, $8::timestamptz),
               until => greatest(least($9::timestamptz, $10::timestamptz), $7::timestamptz, $8::timestamptz),
               ids => $11, row_limit => $12) r
     ORDER BY r.id";

pub(crate) async fn run(server: &Server, mut arguments: Arguments) -> Result<(), Failure> {
    let mut client = server.connect().await?;
    let form = arguments.form.form();
    let certain_id = match arguments.follow {
        true => arguments.certain_id(&mut client).await?,
        false => 0,
    };
    let (newest, mut there, zone) = {
        let transaction = arguments.filter.tenant.begin(&mut client).await?;
        let zone = arguments.filter.time_zone.set(&transaction).await?;
        arguments.filter.resolve_times(&transaction).await?;
        time_zone::set_for_output(&transaction, form).await?;
        let newest = match arguments.lines {
            0 => Vec::new(),
            lines => arguments.newest(&transaction, lines).await?,
        };
        let there = match arguments.follow {
            true => arguments.there_already(&transaction, certain_id).await?,
            false => There::default(),
        };
        warn_of_unknown(&transaction, arguments.filter.names().unwrap_or_default()).await;
        (newest, there, zone)
    };
    let mut printer = Printer::new(&arguments.form, zone.clone());
    printer.begin()?;
    newest.iter().rev().try_for_each(|line| printer.print(line))?;
    if !arguments.follow {
        return Ok(());
    }
    loop {
        tokio::time::sleep(Duration::from_secs_f64(arguments.every)).await;
        let certain_id = arguments.certain_id(&mut client).await?;
        while there.last_id < certain_id {
            let (lines, until) =
                arguments.page(&mut client, &zone, there.last_id, certain_id).await?;
            let mut new = lines.iter().filter(|line| !there.ids.contains(&line.id));
            new.try_for_each(|line| printer.print(line))?;
            there.last_id = until;
        }
    }
}

/// The events that are not new.
#[derive(Default)]
struct There {
    /// All up to this id.
    last_id: i64,
    /// And these: events with lower ids can still appear between them.
    ids: HashSet<i64>,
}

impl Arguments {
    /// Returns the id up to which no event can appear any more.
    async fn certain_id(&self, client: &mut Client) -> Result<i64, Failure> {
        // It writes down what it found, for others who ask.
        let transaction = client.build_transaction().read_only(false);
        let transaction =
            transaction.isolation_level(IsolationLevel::ReadCommitted).start().await?;
        let tenant = &self.filter.tenant;
        tenant.set(&transaction).await?;
        let sql = "SELECT eventlog.certain_id($1)";
        let row = transaction.query_typed(sql, &[(&tenant.id(), Type::UUID)]).await;
        let row = row.map_err(|error| tenant.explain(error))?;
        transaction.commit().await?;
        Ok(row.first().map_or(0, |row| row.get(0)))
    }

    /// Reads the newest events, newest first.
    async fn newest(&self, transaction: &Transaction<'_>, rows: u32) -> Result<Vec<Line>, Failure> {
        let rows = i32::try_from(rows).unwrap_or(i32::MAX);
        let filter = &self.filter;
        self.events(
            transaction,
            NEWEST,
            &[(&filter.since, Type::TEXT), (&filter.until, Type::TEXT), (&rows, Type::INT4)],
        )
        .await
    }

    /// Finds the events that are there now. If a page and more of them are not certain, those that are late
    /// are given up.
    async fn there_already(
        &self,
        transaction: &Transaction<'_>,
        certain_id: i64,
    ) -> Result<There, Failure> {
        let tenant = self.filter.tenant.id();
        let most = i64::from(PAGE) + 1;
        let values: [(&(dyn ToSql + Sync), Type); 3] =
            [(&tenant, Type::UUID), (&certain_id, Type::INT8), (&most, Type::INT8)];
        let found = transaction.query_typed(THERE_ALREADY, &values).await;
        let found = found.map_err(|error| self.filter.tenant.explain(error))?;
        let Some(row) = found.first() else { return Ok(There::default()) };
        let (ids, newest): (Vec<i64>, Option<i64>) = (row.get(0), row.get(1));
        Ok(match newest {
            Some(newest) if ids.len() > PAGE as usize => {
                There { last_id: newest, ids: HashSet::new() }
            }
            _ => There { last_id: certain_id, ids: ids.into_iter().collect() },
        })
    }

    /// Reads the next events after an id, in their order, and returns the id up to which it has read.
    async fn page(
        &self,
        client: &mut Client,
        zone: &str,
        last_id: i64,
        certain_id: i64,
    ) -> Result<(Vec<Line>, i64), Failure> {
        let filter = &self.filter;
        let transaction = filter.tenant.begin(client).await?;
        if self.form.form().is_for_people() {
            let sql = "SELECT set_config('TimeZone', $1, true)";
            transaction.query_typed(sql, &[(&zone, Type::TEXT)]).await?;
        }
        time_zone::set_for_output(&transaction, self.form.form()).await?;
        let tenant = filter.tenant.id();
        let found = transaction
            .query_typed(
                PAGE_OF_IDS,
                &[
                    (&tenant, Type::UUID),
                    (&last_id, Type::INT8),
                    (&certain_id, Type::INT8),
                    (&i64::from(PAGE), Type::INT8),
                ],
            )
            .await
            .map_err(|error| filter.tenant.explain(error))?;
        let Some((ids, since, until, end)) = found.first().and_then(|row| {
            let ids: Vec<i64> = row.get::<_, Option<_>>(0)?;
            Some((ids, row.get::<_, String>(1), row.get::<_, String>(2), row.get(3)))
        }) else {
            return Ok((Vec::new(), certain_id));
        };
        let end: Option<i64> = end;
        let lines = self
            .events(
                &transaction,
                EVENTS_OF_PAGE,
                &[
                    (&since, Type::TEXT),
                    (&filter.since, Type::TEXT),
                    (&until, Type::TEXT),
                    (&filter.until, Type::TEXT),
                    (&ids, Type::INT8_ARRAY),
                    (&PAGE, Type::INT4),
                ],
            )
            .await?;
        Ok((lines, end.unwrap_or(certain_id)))
    }

    /// Reads events; `values` are those after the arguments that every query has.
    async fn events(
        &self,
        transaction: &Transaction<'_>,
        from: &str,
        values: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Vec<Line>, Failure> {
        let filter = &self.filter;
        let list = |list: &[String]| (!list.is_empty()).then(|| list.to_vec());
        let times = match self.form.form() {
            Form::Json => "json",
            Form::Table => "line",
            form if form.is_for_people() => "people",
            _ => "programs",
        };
        let (tenant, names) = (filter.tenant.id(), filter.names());
        let (actors, subjects) = (list(&self.actors), list(&self.subjects));
        let mut all: Vec<(&(dyn ToSql + Sync), Type)> = vec![
            (&times, Type::TEXT),
            (&tenant, Type::UUID),
            (&names, Type::TEXT_ARRAY),
            (&actors, Type::TEXT_ARRAY),
            (&subjects, Type::TEXT_ARRAY),
            (&self.contains, Type::TEXT),
        ];
        all.extend(values.iter().cloned());
        let found = transaction.query_typed(&format!("{COLUMNS}{from}"), &all).await;
        let found = found.map_err(|error| filter.tenant.explain(error))?;
        Ok(found.iter().map(Line::of).collect())
    }
}
