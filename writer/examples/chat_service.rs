//! A chat service, instrumented at the points where a SaaS application has something to log.
//!
//! Events that belong to a business write are logged in its transaction (`log_in`): a conversation,
//! a plan, a checkout. All other events are queued (`log`).
//!
//! Runs against the database of the `PG*` variables; ends when its standard input does.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use eventlog_writer::asynchronous::Writer;
use eventlog_writer::{Event, EventName, Options};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::sync::Mutex;
use tokio_postgres::{Client, NoTls};
use uuid::Uuid;

/// State of the handlers. In a real service the tenant comes from authentication.
#[derive(Clone)]
struct App {
    writer: Writer,
    database: Arc<Mutex<Client>>,
    tenant: Uuid,
}

type Answer = Result<Json<Value>, (StatusCode, String)>;

fn failed(error: impl std::fmt::Display) -> (StatusCode, String) {
    (StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
}

impl App {
    fn event(&self, name: EventName) -> Event {
        Event::new(name).tenant(self.tenant)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bootstrap {
    session_id: String,
    user_id: Option<String>,
}

/// Stores the conversation and its event in one transaction: both, or neither.
async fn start_conversation(State(app): State<App>, Json(body): Json<Bootstrap>) -> Answer {
    let conversation = Uuid::new_v4();
    let mut database = app.database.lock().await;
    let transaction = database.transaction().await.map_err(failed)?;
    transaction
        .execute("INSERT INTO conversations (id) VALUES ($1)", &[&conversation])
        .await
        .map_err(failed)?;
    let mut event = app
        .event(EventName::ConversationStarted)
        .data(&json!({ "sessionId": body.session_id, "conversationId": conversation }));
    if let Some(user) = body.user_id {
        event = event.actor(user);
    }
    app.writer.log_in(&transaction, event).await.map_err(failed)?;
    transaction.commit().await.map_err(failed)?;
    Ok(Json(json!({ "conversationId": conversation })))
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message {
    role: String,
    /// `None`, if it is not known, is not sent.
    confidence: Option<f64>,
    text: Option<String>,
}

/// Logs each message without its text, which belongs elsewhere. The log samples messages by
/// conversation if its owner set a rate.
async fn send_message(
    State(app): State<App>,
    Path(conversation): Path<Uuid>,
    Json(message): Json<Message>,
) -> Answer {
    if message.text.as_ref().is_some_and(|text| text.len() > 1_000) {
        // The usage limiter.
        app.writer.log(app.event(EventName::QuotaExceeded).data(&json!({
            "quotaType": "messageLength", "limit": 1_000, "attempted": message.text.map(|text| text.len())
        })));
        return Err((StatusCode::PAYLOAD_TOO_LARGE, "too long".to_owned()));
    }
    app.writer.log(app.event(EventName::MessageSent).data(&json!({
        "conversationId": conversation, "role": message.role, "confidence": message.confidence
    })));
    Ok(Json(json!({})))
}

async fn escalate(
    State(app): State<App>,
    Path(conversation): Path<Uuid>,
    Json(body): Json<Value>,
) -> Answer {
    app.writer.log(
        app.event(EventName::EscalationTriggered)
            .data(&json!({ "conversationId": conversation, "reason": body["reason"] })),
    );
    // The integration that takes over may fail; both results are events.
    let outcome = dispatch(&body["reason"]);
    let event = match outcome {
        Ok(()) => app
            .event(EventName::IntegrationSucceeded)
            .data(&json!({ "integrationId": "helpdesk-1", "type": "helpdesk" })),
        Err(code) => app
            .event(EventName::IntegrationFailed)
            .data(&json!({ "integrationId": "helpdesk-1", "type": "helpdesk", "errorCode": code })),
    };
    app.writer.log(event);
    Ok(Json(json!({})))
}

fn dispatch(reason: &Value) -> Result<(), &'static str> {
    if reason == "unreachable" { Err("timeout") } else { Ok(()) }
}

/// Handles a webhook, which the payment provider repeats until it is answered: its id is the
/// idempotency key. The plan and its event change in one transaction.
async fn billing_webhook(State(app): State<App>, Json(hook): Json<Value>) -> Answer {
    let mut database = app.database.lock().await;
    let transaction = database.transaction().await.map_err(failed)?;
    let event = match hook["type"].as_str() {
        Some("checkout.session.completed") => app
            .event(EventName::CheckoutCompleted)
            .data(&json!({ "plan": hook["plan"], "stripeSessionId": hook["session"] })),
        Some("customer.subscription.updated") => {
            let plan = hook["plan"].as_str().unwrap_or_default();
            let row = transaction
                .query_one("SELECT plan FROM accounts WHERE id = $1 FOR UPDATE", &[&app.tenant])
                .await
                .map_err(failed)?;
            let previous: String = row.get(0);
            transaction
                .execute("UPDATE accounts SET plan = $1 WHERE id = $2", &[&plan, &app.tenant])
                .await
                .map_err(failed)?;
            app.event(EventName::PlanUpdated).data(
                &json!({ "previousPlan": previous, "newPlan": plan, "status": hook["status"] }),
            )
        }
        _ => return Err((StatusCode::BAD_REQUEST, "an unknown hook".to_owned())),
    };
    let event = event.idempotency_key(hook["id"].as_str().unwrap_or_default());
    app.writer.log_in(&transaction, event).await.map_err(failed)?;
    transaction.commit().await.map_err(failed)?;
    Ok(Json(json!({})))
}

/// Logs the start of a long job, and whether it succeeded.
async fn ingest(State(app): State<App>, Json(body): Json<Value>) -> Answer {
    let url = body["url"].clone();
    let event = |name, more: Value| {
        let mut data = json!({ "sourceType": "web", "url": url });
        data.as_object_mut().expect("one").extend(more.as_object().cloned().unwrap_or_default());
        app.event(name).data(&data)
    };
    app.writer.log(event(EventName::IngestStarted, json!({})));
    tokio::time::sleep(Duration::from_millis(5)).await;
    match url.as_str().is_some_and(|url| url.starts_with("https://")) {
        true => {
            app.writer.log(event(EventName::IngestCompleted, json!({ "docs": 3, "chunks": 17 })))
        }
        false => app.writer.log(event(EventName::IngestFailed, json!({ "errorCode": "scheme" }))),
    };
    Ok(Json(json!({})))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let variable = |name: &str| std::env::var(name).map_err(|_| format!("{name} is not set"));
    let conninfo = format!(
        "host={} port={} user={} dbname={}",
        variable("PGHOST")?,
        variable("PGPORT")?,
        variable("PGUSER")?,
        variable("PGDATABASE")?
    );
    let (client, connection) = tokio_postgres::connect(&conninfo, NoTls).await?;
    tokio::spawn(connection);
    let app = App {
        writer: Writer::from_env(Options::new())?,
        database: Arc::new(Mutex::new(client)),
        tenant: variable("TENANT")?.parse()?,
    };
    let writer = app.writer.clone();
    let routes = Router::new()
        .route("/conversations", post(start_conversation))
        .route("/conversations/{id}/messages", post(send_message))
        .route("/conversations/{id}/escalate", post(escalate))
        .route("/webhooks/billing", post(billing_webhook))
        .route("/ingest", post(ingest))
        .with_state(app);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("listening on {}", listener.local_addr()?);
    let end_of_input = async {
        let _ = tokio::io::stdin().read_to_end(&mut Vec::new()).await;
    };
    axum::serve(listener, routes).with_graceful_shutdown(end_of_input).await?;
    // Sends what is queued before the service ends.
    let report = writer.close(Duration::from_secs(5)).await;
    println!("{}", report.stats);
    Ok(())
}
