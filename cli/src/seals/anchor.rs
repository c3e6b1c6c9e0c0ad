//! `eventlog anchor`: writes the digests of the log's days to where its owner cannot change them.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, IsolationLevel};
use uuid::Uuid;

use super::anchors::{Anchor, AnchorFile, Stamped, stamped_text};
use super::digests;
use super::document::DigestDocument;
use super::timestamp::{self, TimeStamp};
use crate::connection::{Server, as_owner};
use crate::deliver::Options;
use crate::deliver::send::{Message, Outcome, Sender, SenderOptions};
use crate::deliver::signature::Secret;
use crate::output::{Failure, print, warn};

const HELP: &str = "\
Appends to FILE a line for each digest of eventlog.seal_digests that is not in it yet. The digests \
are a chain: each one fixes all seals before it. Keep FILE where the log's owner cannot change it, \
and run this after maintain(), once a day or more often. What FILE has is checked first: if the log's \
digests are not those that were anchored, nothing is appended, and the exit code is 1.\n\n\
--webhook sends the new lines to a webhook of create_webhook(), in one message of type \
eventlog.digests, signed with the webhook's secret; for the log's owner. --tsa has the newest digest \
stamped by a time-stamping authority (RFC 3161), and so all before it: the authority signs that the \
digest was there at that time. What it stamps are the 64 hexadecimal digits of the digest. If one of \
them refuses, nothing is appended; run the command again.\n\n\
eventlog verify --anchors FILE compares a log with FILE. To check who signed a time stamp:\n\n\
jq -j 'select(.number == 42).digest' FILE > digest\n\
jq -r 'select(.number == 42).timestamp.response' FILE | base64 -d > stamp.tsr\n\
openssl ts -verify -data digest -in stamp.tsr -CAfile AUTHORITY.pem";

#[derive(Args)]
#[command(after_help = HELP)]
pub(crate) struct Arguments {
    /// File to append to, one JSON object a line; it is made if it is not there
    file: PathBuf,
    /// Send the new digests to this webhook as well
    #[arg(long, value_name = "UUID")]
    webhook: Option<Uuid>,
    /// Have the newest digest stamped by the time-stamping authority at this URL
    #[arg(long, value_name = "URL")]
    tsa: Option<String>,
    #[command(flatten)]
    options: Options,
}

pub(crate) async fn run(server: &Server, arguments: Arguments) -> Result<(), Failure> {
    let Arguments { file: path, webhook, tsa, options } = arguments;
    let mut file = AnchorFile::open(&path)?;
    if file.known.is_cut {
        warn("the last line was half written: it is written anew", None);
    }
    if let Some((_, fault)) = file.known.chain_fault() {
        return Err(Failure::new(fault).at(path.display()));
    }
    let mut client = server.connect().await?;
    let new = new_digests(&mut client, file.known.last()).await?;
    let Some(newest) = new.last() else {
        return print(&match file.known.last() {
            Some(last) => format!("nothing new: all digests up to {last} are anchored"),
            None => digests::NONE_YET.to_owned(),
        });
    };
    let stamped = match &tsa {
        Some(url) => Some(stamp(url, newest, &options).await?),
        None => None,
    };
    let anchored_at = now();
    let mut lines: Vec<Anchor> = new
        .iter()
        .map(|digest| Anchor {
            digest: digest.clone(),
            anchored_at: anchored_at.clone(),
            timestamp: None,
        })
        .collect();
    let stamp_time = stamped.map(|(stamped, at)| {
        lines.last_mut().expect("there is a newest").timestamp = Some(stamped);
        format!(", stamped at {at}")
    });
    if let Some(webhook) = webhook {
        send(&mut client, webhook, &lines, &anchored_at, &options).await?;
    }
    file.append(&lines)?;
    let digests = if lines.len() == 1 { "digest" } else { "digests" };
    let stamp_time = stamp_time.unwrap_or_default();
    print(&format!("{} {digests} anchored, up to {newest}{stamp_time}", lines.len()))
}

/// Returns the time in UTC, to the second.
fn now() -> String {
    let now = jiff::Timestamp::now().as_second();
    jiff::Timestamp::from_second(now).map_or_else(|_| String::new(), |now| now.to_string())
}

/// Reads the digests after the last that was anchored, which must still be the log's.
async fn new_digests(
    client: &mut Client,
    last: Option<&DigestDocument>,
) -> Result<Vec<DigestDocument>, Failure> {
    let transaction = client.build_transaction().read_only(true);
    let transaction = transaction.isolation_level(IsolationLevel::RepeatableRead).start().await?;
    transaction.batch_execute("SET LOCAL search_path = pg_catalog, pg_temp").await?;
    if last.is_none() && !digests::has_seals(&transaction).await? {
        return Ok(Vec::new());
    }
    let mut found = digests::read(&transaction, last.map_or(1, |last| last.number)).await?;
    let differs = |what: String| {
        Failure::new(format!("the log's digests differ from the anchored ones: {what}")).hint(
            "somebody changed the log's seals, or this is another log; eventlog verify --anchors \
             shows more",
        )
    };
    if let Some(last) = last {
        match found.first() {
            Some(first) if first == last => drop(found.remove(0)),
            Some(first) if first.number == last.number => {
                return Err(differs(format!("{last} is another in the log")));
            }
            _ => return Err(differs(format!("{last} is not in the log"))),
        }
    }
    let mut before = last;
    for digest in &found {
        if let Some(fault) = digest.fault(before) {
            return Err(differs(fault));
        }
        before = Some(digest);
    }
    Ok(found)
}

/// Has an authority stamp a digest. Returns its answer, and the time that it says.
async fn stamp(
    url: &str,
    digest: &DigestDocument,
    options: &Options,
) -> Result<(Stamped, String), Failure> {
    // The one who types the command may reach what the machine may.
    let everywhere = ["0.0.0.0/0", "::/0"].map(|all| all.parse().expect("a network"));
    let options = SenderOptions { allow_private: everywhere.to_vec(), ..options.sender() };
    let sender = Sender::new(options).map_err(Failure::new)?;
    let endpoint = sender.endpoint(url).map_err(|error| Failure::usage(error).at("--tsa"))?;
    let failed = |reason: String| Failure::new(format!("{url} gave no time stamp: {reason}"));
    let mut nonce = [0; 8];
    getrandom::fill(&mut nonce).map_err(|error| failed(error.to_string()))?;
    // A positive number whose first byte is none too many.
    nonce[0] = nonce[0] & 0x7F | 0x40;
    let text = stamped_text(digest);
    let request = timestamp::request(text.as_bytes(), &nonce);
    let answer = sender.post(&endpoint, "application/timestamp-query", &request).await;
    let (status, body) = answer.map_err(failed)?;
    if !(200..300).contains(&status) {
        return Err(failed(format!("it answered {status}")));
    }
    let stamp = TimeStamp::read(&body).map_err(failed)?;
    if !stamp.is_of(text.as_bytes()) || !stamp.answers(&nonce) {
        return Err(failed("it answered another request".to_owned()));
    }
    Ok((Stamped::new(url, &body), stamp.at))
}

#[derive(Serialize)]
struct Body<'a> {
    r#type: &'a str,
    timestamp: &'a str,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    digests: &'a [Anchor],
}

/// Sends digests to a webhook, in one message. Its id is the same if they are sent again.
async fn send(
    client: &mut Client,
    webhook: Uuid,
    digests: &[Anchor],
    timestamp: &str,
    options: &Options,
) -> Result<(), Failure> {
    let (url, secrets) = registered(client, webhook).await?;
    let secrets = secrets.iter().map(|secret| Secret::parse(secret));
    let secrets: Vec<Secret> = secrets.collect::<Result<_, _>>().map_err(Failure::new)?;
    let sender = Sender::new(options.sender()).map_err(Failure::new)?;
    let failed = |reason: String| {
        Failure::new(format!("webhook {webhook} did not take the digests: {reason}"))
    };
    let endpoint = sender.endpoint(&url).map_err(failed)?;
    let body = Body { r#type: "eventlog.digests", timestamp, data: Data { digests } };
    let body = serde_json::to_vec(&body).expect("keys are text");
    let newest = digests.last().map_or(0, |anchor| anchor.digest.number);
    let id = format!("digests_{webhook}_{newest}");
    let message = Message { id: &id, timestamp: jiff::Timestamp::now().as_second(), body: &body };
    match sender.send(&endpoint, &secrets, &message).await {
        Outcome::Delivered { .. } => Ok(()),
        Outcome::Gone => Err(failed("the receiver answered 410".to_owned())),
        Outcome::Refused { status, .. } => Err(failed(format!("the receiver answered {status}"))),
        Outcome::Failed { reason } => Err(failed(reason)),
    }
}

/// Reads the URL and the secrets of a webhook, as the log's owner.
async fn registered(client: &mut Client, webhook: Uuid) -> Result<(String, Vec<String>), Failure> {
    let transaction = as_owner(client, "webhook_secrets").await?;
    let sql = "SELECT w.url, CASE WHEN s.old_secrets_until > now() THEN s.secrets ELSE s.secrets[1:1] END, w.is_enabled
                 FROM eventlog.webhooks w JOIN eventlog.webhook_secrets s USING (webhook_id)
                WHERE w.webhook_id = $1";
    let rows = transaction.query_typed(sql, &[(&webhook, Type::UUID)]).await?;
    match rows.first() {
        None => Err(Failure::new(format!("there is no webhook {webhook}"))
            .hint("SELECT webhook_id, url FROM eventlog.webhooks;")),
        Some(row) if !row.get::<_, bool>(2) => {
            Err(Failure::new(format!("the webhook {webhook} is disabled"))
                .hint(format!("SELECT eventlog.enable_webhook('{webhook}');")))
        }
        Some(row) => Ok((row.get(0), row.get(1))),
    }
}
