//! The options of `eventlog verify`.

use std::path::PathBuf;

use clap::Args;

use crate::command::filter::Tenant;
use crate::command::time_zone::TimeZone;

const HELP: &str = "\
Without --export or --proof, checks the log with eventlog.verify_seals(), with the caller's own \
rights: a reader checks its tenant, the log's owner and services all tenants, or the one of --tenant. \
It prints what differs, and how much was checked.\n\n\
--export checks a file of `eventlog export --proofs` without a server: the events against the blocks \
and the roots of their seals, the seals against each other, and against the digests of their days. \
Only NDJSON; it needs 64 bytes of memory an event. An export of some tenants or days is checked \
against the seals in its proofs. If these are not all that a digest covers, the last line says so: \
then other days or tenants are left out, by the options of the export or by somebody.\n\n\
--proof checks a file with the answer of eventlog.event_proof(), without a server:\n\n\
psql -Atc 'SELECT eventlog.event_proof(42)' > proof.json; eventlog verify --proof proof.json\n\n\
--anchors compares the digests with a file of `eventlog anchor`, that must come from where the log's \
owner cannot change it. Without it, an owner who changed events and made all seals anew goes \
unnoticed. Time stamps in it must be of their digests; who signed them is for openssl to say:\n\n\
jq -j 'select(.number == 42).digest' FILE > digest\n\
jq -r 'select(.number == 42).timestamp.response' FILE | base64 -d > stamp.tsr\n\
openssl ts -verify -data digest -in stamp.tsr -CAfile AUTHORITY.pem\n\n\
Exit code 1 if anything differs, or if there are no seals; the first that differs is named on standard \
error.";

#[derive(Args)]
#[command(after_help = HELP)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(super) tenant: Tenant,
    /// Only days from this time on: 2026-01-31, '2026-01-31 12:00+01', yesterday
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(super) since: Option<String>,
    /// Only days before this time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(super) until: Option<String>,
    #[command(flatten)]
    pub(super) time_zone: TimeZone,
    /// Check this export instead of a log; needs --proofs
    #[arg(long, value_name = "FILE", requires = "proofs")]
    #[arg(conflicts_with_all = ["since", "until", "time_zone", "all_tenants"])]
    pub(super) export: Option<PathBuf>,
    /// The proofs that `eventlog export --proofs` wrote with the export
    #[arg(long, value_name = "FILE", requires = "export")]
    pub(super) proofs: Option<PathBuf>,
    /// Check this answer of event_proof() instead of a log; - is standard input
    #[arg(long, value_name = "FILE")]
    #[arg(conflicts_with_all = ["export", "since", "until", "time_zone", "all_tenants"])]
    pub(super) proof: Option<PathBuf>,
    /// Compare the digests with this file of `eventlog anchor`
    #[arg(long, value_name = "FILE")]
    pub(super) anchors: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}
