// Uses that compile, and that the log takes.

import { EventLog } from "pg-eventlog";
import { typed, type EventName, type OrderPlaced } from "./events.js";

declare const process: { env: Record<string, string | undefined> };

const log = new EventLog({ url: process.env.EVENTLOG_URL, key: process.env.EVENTLOG_KEY, onDrop: null });
const events = typed(log);

const order: OrderPlaced = { orderId: "A-1", channel: "web", total: 12.5 };
events.orderPlaced(order, { actor: "ada", idempotencyKey: "A-1" });
events.track("order_placed", {
  orderId: "A-2",
  channel: "app",
  total: 0,
  coupon: null,
  priority: 3,
  isGift: true,
  items: [{ id: 7 }],
  address: { city: "Graz" },
  "2nd": "x",
});
events.pageViewed({ path: "/", referrer: "https://example.com", depth: 2 });
events.ping();
events.ping({});
events.orderCancelled({ orderId: "A-2", reason: null });

const name: EventName = "ping";
events.track(name, {});

console.log(JSON.stringify(await log.close({ timeoutMs: 60_000 })));
