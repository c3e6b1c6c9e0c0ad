//! `eventlog tail`: shows the newest events and follows new ones.

mod line;
mod printer;

use std::collections::HashSet;
use std::time::Duration;

use clap::Args;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Transaction};

use self::line::Line;
use self::printer::Printer;
use super::filter::{Filter, seconds, warn_of_unknown};
use super::time_zone;
use crate::connection::Server;
use crate::output::{Failure, Form, FormOptions};

/// Rows of a page: the most that get_events returns at once.
const PAGE: u32 = 10_000;
/// How far back each poll reads. An event has the time at which its transaction began, so the events of a
/// long transaction appear after younger ones.
const LOOK_BACK: &str = "30 seconds";

const HELP: &str = "\
Prints a line for each event: time of creation, name, actor, subject and payload. On a \
terminal, lines are cut to its width, the subject first; -x and --json show everything. In a \
pipe, all is there, separated by tabs. With --follow, events of transactions that took more than \
30 seconds may be missed.";

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

/// created_at has microseconds, since it is passed back for the next page.
const EVENTS: &str = "
    SELECT r.id, r.created_at::text,
           CASE $1 WHEN 'json' THEN row_to_json(r)::text
                   WHEN 'line' THEN to_char(r.created_at, 'YYYY-MM-DD HH24:MI:SS.MS')
                   WHEN 'people' THEN r.created_at::text
                   ELSE to_json(r.created_at) #>> '{}' END,
           r.name, r.actor, r.subject, CASE $1 WHEN 'json' THEN '' ELSE r.data::text END
      FROM eventlog.get_events(
               tenant_id => $2, names => $3, actors => $4, subjects => $5, contains => $6::jsonb,
               since => greatest($7::timestamptz, $8::timestamptz, '-infinity'),
               until => coalesce($9::timestamptz, now() + interval '1 day'),
               before_created_at => $10::timestamptz, before_id => $11, row_limit => $12) r";

pub(crate) async fn run(server: &Server, mut arguments: Arguments) -> Result<(), Failure> {
    let mut client = server.connect().await?;
    let form = arguments.form.form();
    let (newest, mut last, zone) = {
        let transaction = arguments.filter.tenant.begin(&mut client).await?;
        let zone = arguments.filter.time_zone.set(&transaction).await?;
        arguments.filter.resolve_times(&transaction).await?;
        time_zone::set_for_output(&transaction, form).await?;
        let newest = match arguments.lines {
            0 => Vec::new(),
            lines => arguments.page(&transaction, None, None, lines).await?,
        };
        let last = if arguments.follow {
            arguments.look(&transaction, None).await?
        } else {
            Look::default()
        };
        warn_of_unknown(&transaction, arguments.filter.names().unwrap_or_default()).await;
        (newest, last, zone)
    };
    let mut printer = Printer::new(&arguments.form, zone.clone());
    printer.begin()?;
    newest.iter().rev().try_for_each(|line| printer.print(line))?;
    if !arguments.follow {
        return Ok(());
    }
    loop {
        tokio::time::sleep(Duration::from_secs_f64(arguments.every)).await;
        let look = arguments.look_again(&mut client, &zone, last.again_from.as_deref()).await?;
        let seen: HashSet<i64> = last.lines.iter().map(|line| line.id).collect();
        let new = look.lines.iter().rev().filter(|line| !seen.contains(&line.id));
        new.into_iter().try_for_each(|line| printer.print(line))?;
        last = look;
    }
}

/// Reads the events of a span, newest first.
#[derive(Default)]
struct Look {
    lines: Vec<Line>,
    /// Where the next poll begins.
    again_from: Option<String>,
}

impl Arguments {
    async fn look_again(
        &self,
        client: &mut Client,
        zone: &str,
        from: Option<&str>,
    ) -> Result<Look, Failure> {
        let transaction = self.filter.tenant.begin(client).await?;
        if self.form.form().is_for_people() {
            let sql = "SELECT set_config('TimeZone', $1, true)";
            transaction.query_typed(sql, &[(&zone, Type::TEXT)]).await?;
        }
        time_zone::set_for_output(&transaction, self.form.form()).await?;
        self.look(&transaction, from).await
    }

    /// Reads the events created since then; the first time, those of [`LOOK_BACK`].
    async fn look(
        &self,
        transaction: &Transaction<'_>,
        from: Option<&str>,
    ) -> Result<Look, Failure> {
        let sql = "SELECT (now() - $1::interval)::text";
        let row = transaction.query_typed(sql, &[(&LOOK_BACK, Type::TEXT)]).await?;
        let again_from: Option<String> = row.first().map(|row| row.get(0));
        let from = from.or(again_from.as_deref());
        let mut lines = self.page(transaction, from, None, PAGE).await?;
        let mut of_page = lines.len();
        while of_page == PAGE as usize {
            let page = self.page(transaction, from, lines.last(), PAGE).await?;
            of_page = page.len();
            lines.extend(page);
        }
        Ok(Look { lines, again_from })
    }

    /// Reads the events before one, newest first.
    async fn page(
        &self,
        transaction: &Transaction<'_>,
        from: Option<&str>,
        before: Option<&Line>,
        rows: u32,
    ) -> Result<Vec<Line>, Failure> {
        let filter = &self.filter;
        let list = |list: &[String]| (!list.is_empty()).then(|| list.to_vec());
        let rows = i32::try_from(rows).unwrap_or(i32::MAX);
        let times = match self.form.form() {
            Form::Json => "json",
            Form::Table => "line",
            form if form.is_for_people() => "people",
            _ => "programs",
        };
        let found = transaction
            .query_typed(
                EVENTS,
                &[
                    (&times, Type::TEXT),
                    (&filter.tenant.id(), Type::UUID),
                    (&filter.names(), Type::TEXT_ARRAY),
                    (&list(&self.actors), Type::TEXT_ARRAY),
                    (&list(&self.subjects), Type::TEXT_ARRAY),
                    (&self.contains, Type::TEXT),
                    (&filter.since, Type::TEXT),
                    (&from, Type::TEXT),
                    (&filter.until, Type::TEXT),
                    (&before.map(|line| &line.created_at), Type::TEXT),
                    (&before.map(|line| line.id), Type::INT8),
                    (&rows, Type::INT4),
                ],
            )
            .await;
        let found = found.map_err(|error| filter.tenant.explain(error))?;
        Ok(found.iter().map(Line::of).collect())
    }
}
