// Programs that log a first event. They are those of the manual, with this gateway's address and the tenant.

const KEY = 'el_w_…';

/**
 * Returns the programs, each with what comes before it.
 * @param {{origin: string, tenant: string}} about
 * @returns {{id: string, title: string, before: string | null, code: string}[]}
 */
export function programs({ origin, tenant }) {
  const variables = `export EVENTLOG_URL=${origin} EVENTLOG_KEY=${KEY}`;
  return [
    {
      id: 'curl',
      title: 'curl',
      before: `KEY=${KEY}`,
      code: String.raw`curl -H "Authorization: Bearer $KEY" -H 'Content-Type: application/json' \
     -d '{"name": "tool_used", "data": {"toolName": "search"}, "actor": "user-17"}' \
     '${origin}/api/track?wait=true'`,
    },
    {
      id: 'javascript',
      title: 'JavaScript',
      before: variables,
      code: `const { EVENTLOG_URL, EVENTLOG_KEY } = process.env;

/** Hands events over; the gateway writes them within a second. */
async function logEvents(...events) {
  const response = await fetch(\`\${EVENTLOG_URL}/api/track\`, {
    method: 'POST',
    headers: { Authorization: \`Bearer \${EVENTLOG_KEY}\`, 'Content-Type': 'application/json' },
    body: JSON.stringify(events),
    keepalive: true, // goes out even if the page is left
  });
  if (!response.ok) throw new Error((await response.json()).error.message);
}

await logEvents(
  { name: 'tool_used', data: { toolName: 'canvas' }, actor: 'user-18' },
  { name: 'message_sent', data: { conversationId: 'c1', role: 'user' }, actor: 'user-18' },
);`,
    },
    {
      id: 'python',
      title: 'Python',
      before: variables,
      code: `import json
import os
import urllib.error
import urllib.request


def log_event(name, data, actor=None, key=None):
    """Logs an event, and returns when the log has it. The same key again is the same event."""
    event = {"name": name, "data": data, "actor": actor, "idempotencyKey": key}
    request = urllib.request.Request(
        os.environ["EVENTLOG_URL"] + "/api/track?wait=true",
        data=json.dumps({k: v for k, v in event.items() if v is not None}).encode(),
        headers={
            "Authorization": "Bearer " + os.environ["EVENTLOG_KEY"],
            "Content-Type": "application/json",
        },
    )
    try:
        with urllib.request.urlopen(request, timeout=15) as response:
            answer = json.load(response)
    except urllib.error.HTTPError as refusal:
        raise ValueError(json.load(refusal)["error"]["message"]) from None
    if answer.get("rejected"):
        raise ValueError(answer["verdicts"][0]["message"])


log_event("tool_used", {"toolName": "search"}, actor="user-17", key="run-1")`,
    },
    {
      id: 'rust',
      title: 'Rust',
      before: 'cargo add eventlog-writer serde_json uuid',
      code: `use std::time::Duration;
use eventlog_writer::{Event, EventName, Options, sync::Writer};

let writer = Writer::from_env(Options::new())?; // PGHOST, PGUSER, PGDATABASE and their like
writer.log(
    Event::new(EventName::ToolUsed)
        .tenant(tenant)
        .actor("user-17")
        .data(&serde_json::json!({ "toolName": "search" })),
);
writer.close(Duration::from_secs(5));`,
    },
    {
      id: 'sql',
      title: 'SQL',
      before: null,
      code: `SELECT eventlog.log_event('${tenant}', 'conversation_started',
    '{"sessionId": "s1", "conversationId": "c1", "referrer": null}');`,
    },
  ];
}

/** The command that makes a key that can log. */
export const keyCommand = (tenant) => `eventlog key create --tenant ${tenant}`;
