// What logs here: it sends all events at once, and prints the gateway's verdict for each.

declare const process: { env: Record<string, string | undefined> };

export interface Options {
  actor?: string;
  idempotencyKey?: string;
}

export class EventLog {
  private readonly events: object[] = [];

  track(name: string, data?: Record<string, unknown>, options?: Options): void {
    this.events.push({ name, data, ...options });
  }

  async close(): Promise<void> {
    const { EVENTLOG_URL: url, EVENTLOG_KEY: key } = process.env;
    const answer = await fetch(`${url}/api/track?wait=true`, {
      method: "POST",
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      body: JSON.stringify(this.events),
    });
    console.log(await answer.text());
  }
}
