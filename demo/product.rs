//! The demo's application, alive: sessions of its users, logged with `eventlog-writer`.
//!
//! `product SESSIONS PAUSE` plays so many sessions with so many milliseconds between them, or until
//! it is stopped (SIGTERM), against the database of the `PG*` variables. At the end it prints what
//! became of its events.

use std::collections::HashMap;
use std::error::Error;
use std::time::Duration;

use eventlog_writer::asynchronous::{Writer, config_from_env, connect};
use eventlog_writer::{Event, EventName, Options};
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio_postgres::Client;
use uuid::Uuid;

/// Chance, from 0 to 1.
fn chance() -> f64 {
    // The upper bits of a random uuid are all random.
    (Uuid::new_v4().as_u128() >> 80) as f64 / (1_u64 << 48) as f64
}

fn one_of<T>(all: &[T]) -> &T {
    &all[(chance() * all.len() as f64) as usize]
}

struct Product {
    writer: Writer,
    database: Client,
    accounts: Vec<(Uuid, u32)>,
    in_transactions: u64,
}

impl Product {
    /// A visit of one user: what it tells is fired and forgotten.
    async fn session(&mut self, number: u64) -> Result<(), Box<dyn Error + Send + Sync>> {
        let (tenant, people) = *one_of(&self.accounts);
        let actor = format!("user-{}", 1 + (chance() * f64::from(people)) as u32);
        let conversation = Uuid::new_v4();
        let log = |name: EventName, data: Value| {
            self.writer.log(Event::new(name).tenant(tenant).actor(actor.clone()).data(&data));
        };
        let session = json!({ "sessionId": Uuid::new_v4(), "conversationId": conversation });
        log(EventName::ConversationStarted, session);
        for turn in 0..1 + (3.0 * chance()) as usize {
            for role in ["user", "assistant"] {
                let message = json!({ "conversationId": conversation, "role": role });
                log(EventName::MessageSent, message);
            }
            log(
                EventName::ToolUsed,
                json!({ "toolName": one_of(&["Read", "Bash", "Edit"]), "hookEvent": "PostToolUse" }),
            );
            let success = chance() > 0.06;
            log(
                EventName::SkillExecuted,
                json!({
                    "skillName": one_of(&["search", "summarize", "canvas", "export"]),
                    "success": success,
                    "durationMs": (200.0 + 2000.0 * chance() * chance()) as u32,
                    // `None` is never sent.
                    "errorType": (!success).then_some("timeout"),
                }),
            );
            if turn == 0 && number % 10 == 5 {
                // A typing error in a release: the log puts these into quarantine.
                log(EventName::from("skil_executed"), json!({ "skillName": "search" }));
            }
        }
        if chance() < 0.1 {
            log(
                EventName::EscalationTriggered,
                json!({ "conversationId": conversation, "reason": "asked for a person" }),
            );
        }
        if number % 10 == 7 {
            self.change_plan(tenant, actor).await?;
        }
        Ok(())
    }

    /// A business write and its event: both are there, or neither is.
    async fn change_plan(
        &mut self,
        tenant: Uuid,
        actor: String,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        let transaction = self.database.transaction().await?;
        let row = transaction
            .query_one("SELECT plan FROM accounts WHERE id = $1 FOR UPDATE", &[&tenant])
            .await?;
        let previous: String = row.get(0);
        let new = if previous == "pro" { "team" } else { "pro" };
        let change = "UPDATE accounts SET plan = $1 WHERE id = $2";
        transaction.execute(change, &[&new, &tenant]).await?;
        let event = Event::new(EventName::PlanUpdated).tenant(tenant).actor(actor).data(&json!({
            "previousPlan": previous, "newPlan": new, "status": "active",
        }));
        self.writer.log_in(&transaction, event).await?;
        transaction.commit().await?;
        self.in_transactions += 1;
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let numbers: Vec<u64> =
        std::env::args().skip(1).map(|text| text.parse()).collect::<Result<_, _>>()?;
    let [sessions, pause] = numbers[..] else { return Err("usage: product SESSIONS PAUSE".into()) };
    let mut stop = signal(SignalKind::terminate())?;

    let database = connect(config_from_env()?).await?;
    let people = HashMap::from([("Northwind", 330), ("Globex", 180), ("Initech", 75)]);
    let accounts = database.query("SELECT id, name FROM accounts ORDER BY name", &[]).await?;
    let accounts = accounts.iter().map(|row| (row.get(0), people[row.get::<_, &str>(1)])).collect();
    let writer = Writer::from_env(Options::new().enabled(true))?;
    let mut product = Product { writer, database, accounts, in_transactions: 0 };
    for number in 0..sessions {
        product.session(number).await?;
        tokio::select! {
            _ = stop.recv() => break,
            () = tokio::time::sleep(Duration::from_millis(pause)) => {}
        }
    }

    // What is queued is sent before it ends.
    let report = product.writer.close(Duration::from_secs(10)).await;
    let stats = report.stats;
    println!(
        "{} {} {} {}",
        stats.submitted, stats.written, stats.rejected, product.in_transactions
    );
    if report.is_complete() { Ok(()) } else { Err("not all of it was written".into()) }
}
