//! Logs the callback of a tool's hook as it came: the log looks up the skill's name (an enrichment),
//! takes the client's clock, and adds `source`. Reads the callback from standard input; runs against
//! the database of the `PG*` variables.

use std::io::Read;
use std::time::Duration;

use eventlog_writer::sync::Writer;
use eventlog_writer::{Event, EventName, Options, Outcome};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Callback {
    tenant_id: Uuid,
    user_id: Option<String>,
    #[serde(flatten)]
    hook: Hook,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Hook {
    tool_name: String,
    skill_id: Option<String>,
    hook_event: Option<String>,
    client_timestamp: Option<Value>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    metadata: Map<String, Value>,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    let callback: Callback = serde_json::from_str(&text)?;

    let writer = Writer::from_env(Options::new())?;
    let mut event = Event::new(EventName::ToolUsed)
        .tenant(callback.tenant_id)
        .data(&callback.hook)
        .clock_in_payload();
    if let Some(user) = callback.user_id {
        event = event.actor(user);
    }
    match writer.log_and_wait(event)? {
        Outcome::Written(Some(id)) => println!("event {id}"),
        outcome => println!("{outcome:?}"),
    }
    let _ = writer.close(Duration::from_secs(5));
    Ok(())
}
