//! `eventlog export`: streams events from the server to a file.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use clap::Args;
use futures_util::TryStreamExt;
use tokio_postgres::Transaction;
use tokio_postgres::types::Type;

use super::filter::{Filter, Format, is_standard, warn_of_unknown};
use super::progress::Progress;
use crate::connection::{Server, require_log};
use crate::output::Failure;

const HELP: &str = "\
Writes the events that the role may read, in the order of their ids, with all their \
columns. An owner or a service exports all tenants, or the one that --tenant names. The file \
appears once it is complete. `eventlog import` reads it back.\n\n\
--proofs also writes the seals of these days, and what is kept of them, from the same snapshot: \
`eventlog verify --export FILE --proofs PROOFS` then checks the export without a server. Keep the \
proofs as you keep the export: they have salts, with which a guess of an event can be tested. A seal \
is over all events of a tenant's day in UTC, so --names does not go with it, and --since and --until \
must be at midnight in UTC.";

#[derive(Args)]
#[command(after_help = HELP)]
pub(crate) struct Arguments {
    /// File to write; - is standard output
    #[arg(default_value = "-")]
    file: PathBuf,
    /// Format of the file. Default: by its name, or NDJSON for standard output
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Same as --format json
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// Replace the file if it exists
    #[arg(long)]
    force: bool,
    /// Also write the proofs of the events to this file, for eventlog verify --export; only with NDJSON
    #[arg(long, value_name = "PROOFS")]
    proofs: Option<PathBuf>,
    #[command(flatten)]
    filter: Filter,
}

/// Builds the COPY statement, with each value quoted by the server. JSON rows contain no control
/// characters, so CSV with control characters as quote and delimiter leaves them as they are.
const STATEMENT: &str = r#"
    WITH filter AS (
        SELECT concat_ws(' AND ', 'true',
                   'e.created_at >= ' || quote_literal($1::timestamptz),
                   'e.created_at < ' || quote_literal($2::timestamptz),
                   'e.name = ANY (' || quote_literal($3::text[]) || ')',
                   'e.tenant_id = ' || quote_literal($4)) AS condition
    )
    SELECT format('SELECT count(*) FROM eventlog.events e WHERE %s', condition),
           format(CASE WHEN $5 THEN
               'COPY (SELECT %s FROM eventlog.events e WHERE %s ORDER BY e.id) TO STDOUT (FORMAT csv, HEADER)'
           ELSE
               'COPY (SELECT row_to_json(r) FROM (SELECT %s FROM eventlog.events e WHERE %s ORDER BY e.id) r)
                  TO STDOUT (FORMAT csv, QUOTE E''\x01'', DELIMITER E''\x02'')'
           END, 'e.id, e.tenant_id, e.name, e.data, e.actor, e.subject, e.occurred_at, e.created_at, e.weight', condition)
      FROM filter"#;

pub(crate) async fn run(server: &Server, mut arguments: Arguments) -> Result<(), Failure> {
    let asked = arguments.format.or(arguments.json.then_some(Format::Json));
    let format = Format::of(asked, &arguments.file)?;
    refuse_to_overwrite(&arguments.file, arguments.force)?;
    if let Some(proofs) = &arguments.proofs {
        refuse_to_prove(&arguments, format)?;
        refuse_to_overwrite(proofs, arguments.force)?;
    }
    let tenant = arguments.filter.tenant;
    let mut client = server.connect().await?;
    let transaction = tenant.begin(&mut client).await?;
    require_log(&transaction).await?;
    arguments.filter.time_zone.set(&transaction).await?;
    arguments.filter.resolve_times(&transaction).await?;
    arguments.filter.resolve_names(&transaction).await?;
    let filter = &arguments.filter;
    if arguments.proofs.is_some() {
        require_whole_days(&transaction, filter).await?;
    }
    // Unambiguous times, and numbers with all their digits.
    let settings = "SET LOCAL TimeZone = 'UTC'; SET LOCAL extra_float_digits = 1;
                    SET LOCAL statement_timeout = 0";
    transaction.batch_execute(settings).await?;
    let rows = transaction
        .query_typed(
            STATEMENT,
            &[
                (&filter.since, Type::TEXT),
                (&filter.until, Type::TEXT),
                (&filter.names(), Type::TEXT_ARRAY),
                (&filter.tenant.one().map(|tenant| tenant.to_string()), Type::TEXT),
                (&(format == Format::Csv), Type::BOOL),
            ],
        )
        .await?;
    let row = rows.first().ok_or_else(|| Failure::new("the server did not answer"))?;
    let (count, copy): (String, String) = (row.get(0), row.get(1));

    let progress = Progress::new("events");
    if progress.is_shown() {
        let rows = transaction.query_typed(&count, &[]).await;
        let rows = rows.map_err(|error| filter.tenant.explain(error))?;
        progress.expect(rows.first().map_or(0, |row| row.get::<_, i64>(0)).unsigned_abs());
    }
    let mut target = Target::open(&arguments.file)?;
    let written = tokio::select! {
        written = write(&transaction, &copy, format, &arguments, &mut target, &progress) => written,
        // Returning here removes the incomplete file.
        _ = tokio::signal::ctrl_c() => Err(Failure::new("interrupted")),
    };
    progress.end();
    let written = written?;
    let proofs = match &arguments.proofs {
        Some(path) => Some(write_proofs(&transaction, filter, path).await?),
        None => None,
    };
    warn_of_unknown(&transaction, filter.names().unwrap_or_default()).await;
    if let Some(proofs) = proofs {
        proofs.complete()?;
    }
    target.complete()?;
    if !is_standard(&arguments.file) {
        eprintln!("eventlog: {written} events in {}", arguments.file.display());
    }
    Ok(())
}

/// Fails if the events that are asked for could not be verified: a block of a seal cannot be checked
/// without all of its events.
fn refuse_to_prove(arguments: &Arguments, format: Format) -> Result<(), Failure> {
    if arguments.proofs.as_deref().is_some_and(is_standard) {
        return Err(Failure::usage("--proofs needs a file of its own"));
    }
    if arguments.filter.names().is_some() {
        return Err(Failure::usage(
            "--proofs needs the events of all names: a seal is over all of them",
        )
        .hint("leave --names out"));
    }
    if format != Format::Ndjson {
        return Err(Failure::usage("--proofs needs NDJSON, which eventlog verify reads")
            .hint("--format ndjson"));
    }
    Ok(())
}

/// Fails if the span begins or ends within a day in UTC.
async fn require_whole_days(transaction: &Transaction<'_>, filter: &Filter) -> Result<(), Failure> {
    let sql = "SELECT option FROM (VALUES ('--since', $1::timestamptz), ('--until', $2::timestamptz)) v (option, at)
                WHERE isfinite(at) AND date_trunc('day', at AT TIME ZONE 'UTC') <> at AT TIME ZONE 'UTC' LIMIT 1";
    let times = [(&filter.since as _, Type::TEXT), (&filter.until as _, Type::TEXT)];
    match transaction.query_typed(sql, &times).await?.first() {
        None => Ok(()),
        Some(row) => {
            let option: &str = row.get(0);
            let message = format!("with --proofs, {option} must be at midnight in UTC");
            Err(Failure::usage(message).hint("--time-zone UTC reads 2026-01-31 so"))
        }
    }
}

/// Writes the proofs of the same events, from the same snapshot.
async fn write_proofs(
    transaction: &Transaction<'_>,
    filter: &Filter,
    path: &Path,
) -> Result<Target, Failure> {
    let explain = |error| filter.tenant.explain(error);
    let tenant = filter.tenant.of_seals(transaction).await?;
    let sql = r#"
        SELECT format('COPY (SELECT p FROM eventlog.seal_proofs(%L, %L, %L) p) TO STDOUT (FORMAT csv, QUOTE E''\x01'', DELIMITER E''\x02'')',
                      $1, coalesce($2::timestamptz, '-infinity'), coalesce($3::timestamptz, 'infinity'))"#;
    let parameters = [
        (&tenant as _, Type::UUID),
        (&filter.since as _, Type::TEXT),
        (&filter.until as _, Type::TEXT),
    ];
    let rows = transaction.query_typed(sql, &parameters).await?;
    let copy: String = rows[0].get(0);
    let mut target = Target::open(path)?;
    let rows = transaction.copy_out(&copy).await.map_err(explain)?;
    let mut rows = std::pin::pin!(rows);
    while let Some(row) = rows.try_next().await.map_err(explain)? {
        target.write(&row)?;
    }
    Ok(target)
}

/// Fails if the file exists, unless --force is given. A pipe or a device is there to be written.
fn refuse_to_overwrite(path: &Path, force: bool) -> Result<(), Failure> {
    if force || is_standard(path) || !fs::metadata(path).is_ok_and(|it| it.is_file()) {
        return Ok(());
    }
    Err(Failure::usage(format!("{} exists", path.display())).hint("--force replaces it"))
}

async fn write(
    transaction: &Transaction<'_>,
    copy: &str,
    format: Format,
    arguments: &Arguments,
    target: &mut Target,
    progress: &Progress,
) -> Result<u64, Failure> {
    let explain = |error| arguments.filter.tenant.explain(error);
    let rows = transaction.copy_out(copy).await.map_err(explain)?;
    let mut rows = std::pin::pin!(rows);
    // Each message is one row; the first one of CSV is the header.
    let mut written = 0;
    let mut header = u64::from(format == Format::Csv);
    if format == Format::Json {
        target.write(b"[")?;
    }
    while let Some(row) = rows.try_next().await.map_err(explain)? {
        let row: Bytes = row;
        if format == Format::Json {
            target.write(if written == 0 { b"\n" } else { b",\n" })?;
            target.write(row.strip_suffix(b"\n").unwrap_or(&row))?;
        } else {
            target.write(&row)?;
        }
        if header > 0 {
            header -= 1;
            continue;
        }
        written += 1;
        progress.advance(1);
    }
    if format == Format::Json {
        target.write(if written == 0 { b"]\n" } else { b"\n]\n" })?;
    }
    Ok(written)
}

/// The destination. A file gets its name once it is complete, so that an incomplete one is never
/// mistaken for it.
struct Target {
    writer: Box<dyn Write>,
    /// The temporary name and the final one.
    renamed: Option<(PathBuf, PathBuf)>,
}

impl Target {
    fn open(path: &Path) -> Result<Self, Failure> {
        const BUFFER: usize = 1 << 16;
        if is_standard(path) {
            let writer = BufWriter::with_capacity(BUFFER, io::stdout().lock());
            return Ok(Target { writer: Box::new(writer), renamed: None });
        }
        let cannot =
            |error: io::Error| Failure::new(format!("cannot write {}: {error}", path.display()));
        // A pipe or a device is written directly.
        let is_special = fs::metadata(path).is_ok_and(|found| !found.is_file());
        let part = match path.file_name() {
            Some(name) if !is_special => {
                let name = format!(".{}.{}.part", name.to_string_lossy(), std::process::id());
                Some(path.with_file_name(name))
            }
            _ => None,
        };
        let file = match &part {
            Some(part) => File::create_new(part),
            None => File::create(path),
        };
        let writer = BufWriter::with_capacity(BUFFER, file.map_err(cannot)?);
        let renamed = part.map(|part| (part, path.to_owned()));
        Ok(Target { writer: Box::new(writer), renamed })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        Ok(self.writer.write_all(bytes)?)
    }

    fn complete(mut self) -> Result<(), Failure> {
        self.writer.flush()?;
        if let Some((part, path)) = &self.renamed {
            fs::rename(part, path)?;
            self.renamed = None;
        }
        Ok(())
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if let Some((part, _)) = &self.renamed {
            let _ = fs::remove_file(part);
        }
    }
}
