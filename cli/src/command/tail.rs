//! `eventlog tail`: shows the newest events and follows new ones.

use std::collections::HashSet;
use std::io::{self, IsTerminal};
use std::time::Duration;

use clap::Args;
use comfy_table::Table;
use tokio_postgres::types::Type;
use tokio_postgres::{Row, Transaction};

use super::filter::{Filter, warn_of_unknown};
use crate::connection::Server;
use crate::output::{Colours, Failure, Style, print, printable};

/// Rows of a page: the most that get_events returns at once.
const PAGE: u32 = 10_000;
/// How far back each poll reads. An event has the time at which its transaction began, so the events of a
/// long transaction appear after younger ones.
const LOOK_BACK: &str = "30 seconds";

const HELP: &str = "\
Prints a line for each event: time of creation, name, actor, subject and payload. Lines \
are cut to the terminal's width. With --follow, events of transactions that took more than \
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
    /// Print JSON, one object per line
    #[arg(long)]
    json: bool,
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.05..=3600.0).contains(&seconds) => Ok(seconds),
        _ => Err("must be a number from 0.05 to 3600".to_owned()),
    }
}

/// An event as it is printed.
struct Line {
    id: i64,
    created_at: String,
    /// The JSON object, or the time for the text output.
    shown: String,
    name: String,
    actor: Option<String>,
    subject: Option<String>,
    data: String,
}

impl Line {
    fn of(row: &Row) -> Self {
        Line {
            id: row.get(0),
            created_at: row.get(1),
            shown: row.get(2),
            name: row.get(3),
            actor: row.get(4),
            subject: row.get(5),
            data: row.get(6),
        }
    }
}

/// created_at has microseconds, since it is passed back for the next page.
const EVENTS: &str = "
    SELECT r.id, r.created_at::text,
           CASE WHEN $1 THEN row_to_json(r)::text
                ELSE to_char(r.created_at, 'YYYY-MM-DD HH24:MI:SS.MSTZH') END,
           r.name, r.actor, r.subject, CASE WHEN $1 THEN '' ELSE r.data::text END
      FROM eventlog.get_events(
               tenant_id => $2, names => $3, actors => $4, subjects => $5, contains => $6::jsonb,
               since => greatest($7::timestamptz, $8::timestamptz, '-infinity'),
               until => coalesce($9::timestamptz, now() + interval '1 day'),
               before_created_at => $10::timestamptz, before_id => $11, row_limit => $12) r";

pub(crate) async fn run(server: &Server, arguments: Arguments) -> Result<(), Failure> {
    let mut client = server.connect().await?;
    let printer = Printer::new(arguments.json);
    let (newest, mut last) = {
        let transaction = arguments.filter.tenant.begin(&mut client).await?;
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
        (newest, last)
    };
    newest.iter().rev().try_for_each(|line| printer.print(line))?;
    if !arguments.follow {
        return Ok(());
    }
    loop {
        tokio::time::sleep(Duration::from_secs_f64(arguments.every)).await;
        let transaction = arguments.filter.tenant.begin(&mut client).await?;
        let look = arguments.look(&transaction, last.again_from.as_deref()).await?;
        drop(transaction);
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
        let found = transaction
            .query_typed(
                EVENTS,
                &[
                    (&self.json, Type::BOOL),
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

/// Prints lines one by one, so that a pipe gets them at once.
struct Printer {
    is_json: bool,
    colours: Colours,
    /// Width of the terminal.
    width: Option<usize>,
}

impl Printer {
    fn new(is_json: bool) -> Self {
        let width = io::stdout().is_terminal().then(|| Table::new().width()).flatten();
        Printer { is_json, colours: Colours::of_stdout(), width: width.map(usize::from) }
    }

    fn print(&self, line: &Line) -> Result<(), Failure> {
        match self.is_json {
            true => print(&line.shown),
            false => print(&self.line(line)),
        }
    }

    fn line(&self, line: &Line) -> String {
        let is_shown = |text: &&String| !text.is_empty();
        let label = |text: &Option<String>| {
            text.iter().find(is_shown).map_or("-".into(), |text| one_line(text))
        };
        let fields = [
            (Some(Style::Dim), one_line(&line.shown)),
            (Some(Style::Name), one_line(&line.name)),
            (None, label(&line.actor)),
            (None, label(&line.subject)),
            (Some(Style::Dim), one_line(&line.data)),
        ];
        let mut left = self.width.unwrap_or(usize::MAX);
        let mut shown = String::new();
        for (style, text) in fields {
            if !shown.is_empty() {
                shown.push_str("  ");
                left = left.saturating_sub(2);
            }
            // Each character counts as one column; wide ones make a line too long, which does no harm.
            let text: String = text.chars().take(left).collect();
            left -= text.chars().count();
            shown += &style.map_or(text.clone(), |style| self.colours.paint(style, &text));
        }
        shown
    }
}

fn one_line(text: &str) -> String {
    printable(text).replace('\n', " ")
}
