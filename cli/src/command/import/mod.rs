//! `eventlog import`: loads files with the columns of `eventlog export` into a log.

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

/// Rows and bytes of one transaction, roughly. This much is held in memory.
const BATCH_ROWS: usize = 10_000;
const BATCH_BYTES: usize = 8 << 20;

const HELP: &str = "\
Imports events as the log's owner, through eventlog.import_events(): ids and times are \
kept, and the rules of the event types apply. A row that breaks one is reported with its \
line and goes to the quarantine. A transaction has up to ten thousand rows; if it takes \
longer than statement_timeout, it is split in halves until the slow row is found and \
reported. Events that are in the log already are left alone, so you can run the same \
command again after an error.\n\n\
A file must have the columns or keys id, tenant_id, name, data and created_at, and may \
have actor, subject, occurred_at and weight. Exit code 1 if rows were rejected.";

#[derive(Args)]
#[command(after_help = HELP)]
pub(crate) struct Arguments {
    /// File to read; - is standard input
    #[arg(default_value = "-")]
    file: PathBuf,
    /// Format of the file. Default: by its name, or NDJSON for standard input
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Print the counts as JSON
    #[arg(long)]
    json: bool,
}

/// The result of the import.
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
                "{there} earlier events are in the log; run the same command again for the rest"
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
