//! Receives webhooks into a table, and passes them on by e-mail.

use std::env;
use std::io::{Error, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use standardwebhooks::Webhook;
use tokio_postgres::{Client, NoTls};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

struct Receiver {
    webhook: Webhook,
    database: Client,
}

async fn receive(
    State(receiver): State<Arc<Receiver>>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    if receiver.webhook.verify(&body, &headers).is_err() {
        return StatusCode::UNAUTHORIZED;
    }
    let id = headers.get("webhook-id").and_then(|id| id.to_str().ok());
    let (Some(id), Ok(body)) = (id, std::str::from_utf8(&body)) else {
        return StatusCode::BAD_REQUEST;
    };
    let sql = "INSERT INTO inbox (id, body) VALUES ($1, $2::text::jsonb) ON CONFLICT DO NOTHING";
    match receiver.database.execute(sql, &[&id, &body]).await {
        Ok(_) => StatusCode::NO_CONTENT,
        Err(error) => {
            eprintln!("{error}");
            StatusCode::INTERNAL_SERVER_ERROR
        }
    }
}

/// Passes the oldest message on. Returns false if there is none.
async fn pass_on(database: &mut Client, to: &str) -> Result<bool> {
    let transaction = database.transaction().await?;
    let sql =
        "SELECT id, body->>'type', body#>>'{data,actor}' FROM inbox WHERE passed_on_at IS NULL
                ORDER BY number LIMIT 1 FOR UPDATE SKIP LOCKED";
    let Some(row) = transaction.query_opt(sql, &[]).await? else {
        return Ok(false);
    };
    let (id, name, actor): (String, String, Option<String>) = (row.get(0), row.get(1), row.get(2));
    let text = format!("{name} by {}", actor.as_deref().unwrap_or("nobody"));
    let to = to.to_owned();
    tokio::task::spawn_blocking(move || mail(&to, &text)).await??;
    transaction.execute("UPDATE inbox SET passed_on_at = now() WHERE id = $1", &[&id]).await?;
    transaction.commit().await?;
    Ok(true)
}

fn mail(to: &str, text: &str) -> std::io::Result<()> {
    let mut sendmail = Command::new("sendmail").args(["-i", "-t"]).stdin(Stdio::piped()).spawn()?;
    let mut mail = sendmail.stdin.take().expect("piped");
    let head = "Subject: An event was logged\nContent-Type: text/plain; charset=utf-8";
    write!(mail, "To: {to}\n{head}\n\n{text}\n")?;
    drop(mail);
    let status = sendmail.wait()?;
    if status.success() { Ok(()) } else { Err(Error::other(format!("sendmail: {status}"))) }
}

async fn connect() -> Result<Client> {
    let (client, connection) = tokio_postgres::connect(&env::var("DATABASE_URL")?, NoTls).await?;
    tokio::spawn(async move {
        let _ = connection.await;
        // The supervisor starts us again.
        std::process::exit(1);
    });
    Ok(client)
}

#[tokio::main]
async fn main() -> Result<()> {
    let webhook = Webhook::new(&env::var("WEBHOOK_SECRET")?)?;
    let receiver = Arc::new(Receiver { webhook, database: connect().await? });
    let (mut database, to) = (connect().await?, env::var("MAIL_TO")?);
    tokio::spawn(async move {
        loop {
            match pass_on(&mut database, &to).await {
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) => eprintln!("{error}"),
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    let port: u16 = env::var("PORT").map_or(Ok(8000), |port| port.parse())?;
    let listener = tokio::net::TcpListener::bind(("0.0.0.0", port)).await?;
    axum::serve(listener, Router::new().fallback(post(receive)).with_state(receiver)).await?;
    Ok(())
}
