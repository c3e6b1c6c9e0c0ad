//! The deliverer: leases webhooks, reads the log once for all of them, and notes what was delivered. One
//! task does all of this on one connection; a worker sends to each webhook.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;
use tokio_postgres::{Client, Error};
use uuid::Uuid;

use super::database::{self, Leased};
use super::notes::Notes;
use super::schedule::ASIDE_AFTER;
use super::send::{Outcome, Sender};
use super::serving::Serving;
use super::signature::Secret;
use super::worker::{Attempt, Report, What};

/// How often the rest is done.
const TICK: Duration = Duration::from_millis(50);
/// How often what was delivered is noted.
const NOTE: Duration = Duration::from_millis(150);
/// How often leases and webhooks are looked at.
const TAKE: Duration = Duration::from_secs(1);
/// How often new events are looked for.
const LOOK: Duration = Duration::from_millis(250);
/// Reports that wait until they are noted.
const REPORTS: usize = 4096;

/// A deliverer and what it serves.
pub(super) struct Engine {
    pub(super) me: String,
    pub(super) sender: Arc<Sender>,
    pub(super) serving: HashMap<Uuid, Serving>,
    pub(super) notes: Notes,
    /// Events can be delivered up to this id.
    pub(super) certain: i64,
    /// What is read for all was read up to this id.
    pub(super) head: i64,
    /// How many events at a time slow webhooks can use.
    batches: HashMap<Uuid, usize>,
    reports: mpsc::Sender<Report>,
    reported: mpsc::Receiver<Report>,
    last_note: Instant,
    last_take: Option<Instant>,
    last_look: Option<Instant>,
}

impl Engine {
    pub(super) fn new(sender: Sender) -> Self {
        let (reports, reported) = mpsc::channel(REPORTS);
        Engine {
            me: format!("{}-{:08x}", std::process::id(), getrandom::u32().unwrap_or_default()),
            sender: Arc::new(sender),
            serving: HashMap::new(),
            notes: Notes::default(),
            certain: 0,
            head: 0,
            batches: HashMap::new(),
            reports,
            reported,
            last_note: Instant::now(),
            last_take: None,
            last_look: None,
        }
    }

    /// Works until it is told to stop, or until the connection fails.
    pub(super) async fn serve(
        &mut self,
        client: &Client,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<(), Error> {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.last_take = None;
        while !*stop.borrow() {
            tokio::select! {
                _ = stop.changed() => break,
                _ = tick.tick() => {}
            }
            self.take_reports();
            if self.last_note.elapsed() >= NOTE {
                self.note(client).await?;
            }
            if self.last_take.is_none_or(|last| last.elapsed() >= TAKE) {
                self.note(client).await?;
                self.take(client).await?;
                self.last_take = Some(Instant::now());
                self.feed_alerts(client).await?;
            }
            let is_look_due = self.last_look.is_none_or(|last| last.elapsed() >= LOOK);
            if is_look_due && !self.serving.is_empty() {
                self.certain = database::deliverable_until(client, self.certain).await?;
                self.last_look = Some(Instant::now());
            }
            self.feed(client).await?;
        }
        Ok(())
    }

    /// Gives up what could not be noted, and begins again where the webhooks stand in the database. Otherwise
    /// one faulty note would hold up all.
    pub(super) fn begin_again(&mut self) {
        self.notes.clear();
        for serving in self.serving.values_mut() {
            serving.is_lost = true;
            serving.stop();
        }
    }

    /// Waits for what is on the way, notes it, and gives the leases back.
    pub(super) async fn finish(
        &mut self,
        client: &Client,
        patience: Duration,
    ) -> Result<(), Error> {
        self.serving.values_mut().for_each(Serving::stop);
        let deadline = tokio::time::Instant::now() + patience;
        while !self.serving.is_empty() {
            match tokio::time::timeout_at(deadline, self.reported.recv()).await {
                Ok(Some(report)) => self.take_report(report),
                _ => break,
            }
        }
        self.note(client).await?;
        database::release(client, &self.me, None).await
    }

    fn take_reports(&mut self) {
        while let Ok(report) = self.reported.try_recv() {
            self.take_report(report);
        }
    }

    fn take_report(&mut self, report: Report) {
        let (id, _) = report.key;
        match report.what {
            What::Attempted(attempt) => {
                let Some(serving) = self.serving.get_mut(&id) else { return };
                if serving.is_lost {
                    return;
                }
                say(id, serving.failures >= ASIDE_AFTER, &attempt);
                serving.reported(&attempt);
                if serving.is_probing && serving.retries_out == 0 {
                    // More may be waiting.
                    self.last_take = None;
                }
                self.notes.attempt(report.key, attempt);
            }
            What::Ended { is_stale } => {
                let Some(mut serving) = self.serving.remove(&id) else { return };
                if is_stale {
                    self.batches.insert(id, serving.smaller_batch());
                }
                if !serving.is_lost
                    && let Some(until) = serving.take_position(true)
                {
                    self.notes.advance(report.key, until);
                }
                if serving.is_stopping || is_stale {
                    // It may go on at once.
                    self.last_take = None;
                }
            }
        }
    }

    /// Notes what was reported. What cannot be noted now stays.
    async fn note(&mut self, client: &Client) -> Result<(), Error> {
        self.last_note = Instant::now();
        if self.notes.is_empty() {
            return Ok(());
        }
        for (id, reason) in database::note(client, &self.me, &self.notes.json()).await? {
            tracing::warn!(webhook = %id, "the webhook is disabled: {reason}");
        }
        self.notes.clear();
        Ok(())
    }

    /// Takes webhooks, starts and stops workers, and gives them what is to be sent again.
    async fn take(&mut self, client: &Client) -> Result<(), Error> {
        let leased = database::take(client, &self.me).await?;
        let rows: HashMap<Uuid, &Leased> = leased.iter().map(|row| (row.id, row)).collect();
        for (id, serving) in &mut self.serving {
            let stays = rows.get(id).is_some_and(|row| {
                row.lease == serving.lease && row.config == serving.config && !row.is_excess
            });
            if !stays && !serving.is_stopping {
                serving.stop();
            }
            if let Some(until) = serving.take_position(false) {
                self.notes.advance(serving.key(*id), until);
            }
        }
        self.batches.retain(|id, _| rows.contains_key(id));
        let idle = leased.iter().filter(|row| !self.serving.contains_key(&row.id));
        let (excess, startable): (Vec<&Leased>, Vec<&Leased>) = idle.partition(|row| row.is_excess);
        for row in startable.into_iter().filter(|row| row.wait.is_none_or(|wait| wait <= 0.0)) {
            self.start(row);
        }
        if !excess.is_empty() {
            let ids = excess.iter().map(|row| row.id).collect();
            database::release(client, &self.me, Some(ids)).await?;
        }
        if leased.iter().any(|row| row.has_retries) {
            self.retry(client).await?;
        }
        for row in &leased {
            if let Some(serving) = self.serving.get_mut(&row.id) {
                serving.go_on(row.has_retries);
            }
        }
        Ok(())
    }

    fn start(&mut self, row: &Leased) {
        let secrets: Result<Vec<Secret>, String> =
            row.config.secrets.iter().map(|secret| Secret::parse(secret)).collect();
        let secrets = match secrets {
            Ok(secrets) if !secrets.is_empty() => secrets,
            _ => {
                let reason =
                    format!("it has no secret: SELECT eventlog.rotate_secret('{}');", row.id);
                return self.notes.disable((row.id, row.lease), &reason);
            }
        };
        let batch = self.batches.get(&row.id).copied();
        let serving = Serving::start(row, secrets, batch, &self.sender, &self.reports);
        self.serving.insert(row.id, serving);
    }

    async fn retry(&mut self, client: &Client) -> Result<(), Error> {
        let is_busy = |serving: &Serving| serving.retries_out > 0 || serving.is_stopping;
        let busy = self.serving.iter().filter(|(_, serving)| is_busy(serving));
        let busy: Vec<Uuid> = busy.map(|(id, _)| *id).collect();
        for retry in database::due_retries(client, &self.me, &busy).await? {
            let Some(serving) = self.serving.get_mut(&retry.webhook) else { continue };
            match retry.event {
                Some(event) => serving.retry(event, retry.attempts),
                None => {
                    let key = serving.key(retry.webhook);
                    self.notes.gone(key, retry.is_alert, retry.event_id);
                }
            }
        }
        Ok(())
    }
}

/// Says when a receiver is put aside, and when it is back.
fn say(id: Uuid, was_aside: bool, attempt: &Attempt) {
    match &attempt.outcome {
        Outcome::Delivered { .. } if was_aside => {
            tracing::info!(webhook = %id, "the receiver is back");
        }
        Outcome::Refused { status, .. } if attempt.verdict.failures == ASIDE_AFTER => {
            tracing::warn!(webhook = %id, "the webhook is put aside: the receiver answered {status}");
        }
        Outcome::Failed { reason } if attempt.verdict.failures == ASIDE_AFTER => {
            tracing::warn!(webhook = %id, "the webhook is put aside: {reason}");
        }
        _ => {}
    }
}
