//! `eventlog import`: loads files with the columns of `eventlog export` into a log.

mod csv;
mod foreign;
mod input;
mod json;
mod row;
mod source;
mod target;
mod timed_import;

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use uuid::Uuid;

use self::foreign::{Mapping, Names, Tool};
use self::row::Batch;
use self::source::Source;
use self::target::{Outcome, Target};
use super::filter::{Format, is_standard};
use super::progress::{BYTES, Progress};
use crate::connection::Server;
use crate::output::{Failure, print, print_json};
use crate::tenant;

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
have actor, subject, occurred_at and weight. Exit code 1 if rows were rejected.\n\n\
--from reads what Segment, PostHog, Mixpanel and ahoy export, one JSON object a line:\n\n\
eventlog import export.jsonl --from mixpanel --tenant acme --define";

#[derive(Args)]
#[command(after_help = HELP)]
pub(crate) struct Arguments {
    /// File to read; - is standard input
    #[arg(default_value = "-")]
    file: PathBuf,
    /// Format of the file. Default: by its name, or NDJSON for standard input
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Read events of another tool. They get negative ids, made from the tool's own
    #[arg(long, value_enum, value_name = "TOOL")]
    from: Option<Tool>,
    /// With --from: tenant of the events: a uuid, or a name, which means eventlog.tenant('NAME')
    #[arg(long, env = "EVENTLOG_TENANT", value_name = "UUID|NAME", value_parser = tenant::parse)]
    tenant: Option<Uuid>,
    /// With --from: key of the payload that names the tenant of an event
    #[arg(long, value_name = "KEY", requires = "from")]
    tenant_key: Option<String>,
    /// With --from: file with a JSON object of names, such as {"Order Completed": "order_completed"}; null
    /// leaves events out. Aliases of event types stay; other names become lower case, with _ for blanks
    /// and signs
    #[arg(long, value_name = "FILE", requires = "from")]
    map: Option<PathBuf>,
    /// With --from: define names that the log does not have, instead of quarantining their events
    #[arg(long, requires = "from")]
    define: bool,
    /// Print the counts as JSON
    #[arg(long)]
    json: bool,
}

impl Arguments {
    /// Returns how events of another tool are read, if they are.
    fn mapping(&self) -> Result<Option<Mapping>, Failure> {
        let Some(tool) = self.from else { return Ok(None) };
        if self.tenant.is_none() && self.tenant_key.is_none() {
            return Err(Failure::usage("--from needs a tenant")
                .hint("--tenant acme, or --tenant-key KEY for a key of the payload"));
        }
        Ok(Some(Mapping {
            tool,
            tenant: self.tenant.map(|tenant| tenant.to_string()),
            tenant_key: self.tenant_key.clone(),
            names: self.map.as_deref().map(Names::read).transpose()?.unwrap_or_default(),
            left_out: 0,
            seen: BTreeSet::new(),
        }))
    }
}

/// The result of the import.
#[derive(Default, Serialize)]
struct Counts {
    rows: u64,
    imported: u64,
    already_there: u64,
    rejected: u64,
    /// Events of another tool that were left out.
    left_out: u64,
}

pub(crate) async fn run(server: &Server, arguments: Arguments) -> Result<(), Failure> {
    let format = Format::of(arguments.format, &arguments.file)?;
    let mut mapping = arguments.mapping()?;
    if let Some(mapping) = &mut mapping {
        mapping.names.keep(aliases(server).await?);
    }
    let mut source = Source::open(&arguments.file, format, mapping)?;
    let mut target = Target::new(server.connect().await?, &arguments.file);
    let progress = Progress::new(BYTES);
    if let Some(bytes) = source.bytes {
        progress.expect(bytes);
    }
    let mut counts = Counts::default();
    let done = import(&mut source, &mut target, &progress, &mut counts, arguments.define).await;
    counts.left_out = source.left_out();
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
        let Counts { rows, imported, already_there, rejected, left_out } = counts;
        let left_out = match left_out {
            0 => String::new(),
            events => format!("; {events} others left out"),
        };
        print(&format!(
            "{rows} rows: {imported} imported, {already_there} already there, {rejected} rejected{left_out}"
        ))?;
    }
    match counts.rejected {
        0 => Ok(()),
        _ => Err(Failure::said()),
    }
}

/// Returns the aliases of the log's event types: none if there is no log, or one of layout 1.
async fn aliases(server: &Server) -> Result<Vec<String>, Failure> {
    let client = server.connect().await?;
    let sql = "SELECT pg_catalog.jsonb_array_elements_text(pg_catalog.to_jsonb(t) OPERATOR(pg_catalog.->) 'aliases')
                 FROM eventlog.event_types t";
    let rows = client.query_typed(sql, &[]).await.unwrap_or_default();
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

async fn import(
    source: &mut Source,
    target: &mut Target,
    progress: &Progress,
    counts: &mut Counts,
    defines: bool,
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
        if defines {
            target.define(source.take_names()).await?;
        }
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
