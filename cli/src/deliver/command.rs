//! `eventlog deliver`, and the same within `eventlog serve --deliver`.

use std::time::{Duration, Instant};

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_postgres::Client;

use super::address::Network;
use super::alerts;
use super::database;
use super::engine::Engine;
use super::send::{Sender, SenderOptions};
use crate::connection::{Server, Target};
use crate::output::{Failure, log_to_stderr, with_sources};

const HELP: &str = "\
Sends events to the webhooks of create_webhook(), signed as Standard Webhooks asks, until it is \
told to stop by SIGTERM or Ctrl-C. Connect as the log's owner or as a service; as the owner, it \
also evaluates alerts. Several may run: they share the webhooks out.";

/// Pauses between attempts to connect again.
const RECONNECT: [Duration; 4] = [
    Duration::from_millis(200),
    Duration::from_secs(1),
    Duration::from_secs(3),
    Duration::from_secs(10),
];

/// A connection that lasted so long was a good one.
const STEADY: Duration = Duration::from_secs(30);

#[derive(Args)]
#[command(after_help = HELP)]
pub(crate) struct Arguments {
    #[command(flatten)]
    options: Options,
}

/// How webhooks are sent.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// Private network that webhooks may reach, such as 10.1.0.0/16; repeat for several. Default: none
    #[arg(
        long = "allow-network",
        env = "EVENTLOG_ALLOW_NETWORKS",
        value_name = "NETWORK",
        value_delimiter = ','
    )]
    allow_networks: Vec<Network>,
    /// How long a receiver of a webhook may take to answer
    #[arg(long, env = "EVENTLOG_WEBHOOK_TIMEOUT", default_value = "15s", value_parser = time_limit)]
    webhook_timeout: Duration,
}

impl Options {
    /// Returns how requests are sent.
    pub(crate) fn sender(&self) -> SenderOptions {
        SenderOptions {
            allow_private: self.allow_networks.clone(),
            time_limit: self.webhook_timeout,
        }
    }
}

fn time_limit(text: &str) -> Result<Duration, String> {
    let span = text.parse::<jiff::SignedDuration>().ok().and_then(|span| span.try_into().ok());
    span.filter(|span: &Duration| (1..=60_000).contains(&span.as_millis()))
        .ok_or_else(|| "must be a duration from 1ms to 1m, such as 15s".to_owned())
}

/// Delivers until a signal.
pub(crate) async fn run(server: &Server, arguments: Arguments) -> Result<(), Failure> {
    log_to_stderr();
    let target = server.target()?;
    let client = target.connect().await?;
    // Whoever may not deliver hears of it at once.
    database::prepare(&client).await?;
    database::deliverable_until(&client, 0).await?;
    let (stop, stopped) = watch::channel(false);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stop.send_replace(true);
        // The receiver is dropped with the sender.
        stop.closed().await;
    });
    eprintln!("eventlog: delivering");
    deliver(target, arguments.options, stopped, Some(client)).await?;
    eprintln!("eventlog: stopped");
    Ok(())
}

/// Delivers until it is told to stop, and connects again whenever the connection fails.
pub(crate) async fn deliver(
    target: Target,
    options: Options,
    mut stop: watch::Receiver<bool>,
    mut client: Option<Client>,
) -> Result<(), Failure> {
    let time_limit = options.webhook_timeout;
    let mut engine = Engine::new(Sender::new(options.sender()).map_err(Failure::new)?);
    tokio::spawn(alerts::evaluate(target.clone(), stop.clone()));
    let mut failures = 0;
    loop {
        let began = Instant::now();
        let connected = match client.take() {
            Some(client) => Ok(client),
            None => connect(&target).await,
        };
        let reason = match connected {
            Ok(client) => match engine.serve(&client, &mut stop).await {
                Ok(()) => {
                    let patience = time_limit + Duration::from_secs(1);
                    return Ok(engine.finish(&client, patience).await?);
                }
                Err(error) => {
                    if error.as_db_error().is_some() && !client.is_closed() {
                        engine.begin_again();
                    }
                    message(&error)
                }
            },
            Err(failure) => failure,
        };
        tracing::warn!("cannot deliver: {reason}");
        // After it has worked for a while, it is tried at once.
        failures = if began.elapsed() > STEADY { 0 } else { failures + 1 };
        let pause = RECONNECT[failures.min(RECONNECT.len() - 1)];
        if tokio::time::timeout(pause, stop.wait_for(|stop| *stop)).await.is_ok() {
            return Ok(());
        }
    }
}

/// Returns what the server says, without its details.
fn message(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(server) => server.message().to_owned(),
        None => with_sources(error),
    }
}

async fn connect(target: &Target) -> Result<Client, String> {
    let client = target.connect().await.map_err(|error| error.to_string())?;
    database::prepare(&client).await.map_err(|error| message(&error))?;
    Ok(client)
}
