//! `eventlog import`: files that `eventlog export` wrote, or others of the same columns, into a log.

mod csv;
mod input;
mod json;
mod row;
mod source;
mod target;
mod timed_import;

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use self::row::Batch;
use self::source::Source;
use self::target::{Outcome, Target};
use super::filter::{Format, is_standard};
use super::progress::{BYTES, Progress};
use crate::connection::Server;
use crate::output::{Failure, print, print_json};

/// Rows and bytes that are imported in one transaction, about: what is held in memory.
const BATCH_ROWS: usize = 10_000;
const BATCH_BYTES: usize = 8 << 20;

const HELP: &str = "\
Imports events as the log's owner, through eventlog.import_events(): ids and times are \
kept, the rules of the taxonomy hold, and a row that breaks one is reported with its \
line and goes into the quarantine. Each ten thousand rows are a transaction; where that \
takes longer than statement_timeout, each half of them, until the row that is to blame \
is alone and is reported likewise. What is in the log already stays as it is: after an \
error type the same again.\n\n\
A file has the columns or keys id, tenant_id, name, data, created_at, and may have \
actor, subject, occurred_at and weight. Exit code 1 where rows were rejected.";

#[derive(Args)]
#[command(after_help = HELP)]
pub(crate) struct Arguments {
    /// The file; - is standard input
    #[arg(default_value = "-")]
    file: PathBuf,
    /// How the file is written; by default what its name says, and NDJSON from standard input
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Print the counts as JSON
    #[arg(long)]
    json: bool,
}

/// What became of the rows.
#[derive(Default, Serialize)]
struct Counts {
    rows: u64,
    imported: u64,
    already_there: u64,
    rejected: u64,
}

pub(crate) async fn run(server: &Server, arguments: Arguments) -> Result<(), Failure> {
    let format = Format::of(arguments.format, &arguments.file)?;
    let mut source = Source::open(&arguments.file, format)?;
    let mut target = Target::new(server.connect().await?, &arguments.file);
    let progress = Progress::new(BYTES);
    if let Some(bytes) = source.bytes {
        progress.expect(bytes);
    }
    let mut counts = Counts::default();
    let done = import(&mut source, &mut target, &progress, &mut counts).await;
    progress.end();
    if let Err(failure) = done {
        let place = match is_standard(&arguments.file) {
            true => "standard input".to_owned(),
            false => arguments.file.display().to_string(),
        };
        return Err(match counts.imported + counts.already_there {
            0 => failure.at(place),
            there => failure.at(place).also_hint(format!(
                "{there} events before that are in the log; type the same again for the rest, \
                 what is there stays as it is"
            )),
        });
    }
    if arguments.json {
        print_json(&counts)?;
    } else {
        let Counts { rows, imported, already_there, rejected } = counts;
        print(&format!(
            "{rows} rows: {imported} imported, {already_there} already there, {rejected} rejected"
        ))?;
    }
    match counts.rejected {
        0 => Ok(()),
        _ => Err(Failure::said()),
    }
}

async fn import(
    source: &mut Source,
    target: &mut Target,
    progress: &Progress,
    counts: &mut Counts,
) -> Result<(), Failure> {
    let reject = |line: u64, why: &str, counts: &mut Counts| {
        counts.rejected += 1;
        progress.say(&crate::output::printable(&format!("eventlog: line {line}: {why}")));
    };
    loop {
        let mut batch = Batch::default();
        while batch.rows() < BATCH_ROWS && batch.bytes() < BATCH_BYTES {
            let Some((line, row)) = source.next()? else { break };
            counts.rows += 1;
            match row.and_then(|row| row.is_complete().map(|()| row)) {
                Ok(row) => batch.add(line, &row),
                Err(why) => reject(line, &why, counts),
            }
        }
        progress.advance(source.take_read());
        if batch.rows() > 0 {
            let mut told = |outcome: Outcome| {
                counts.imported += outcome.imported;
                counts.already_there += outcome.already_there;
                for (line, why) in outcome.rejected {
                    reject(line, &why, counts);
                }
            };
            target.import(batch, &mut told).await?;
        } else if source.is_at_end() {
            return Ok(());
        }
    }
}
