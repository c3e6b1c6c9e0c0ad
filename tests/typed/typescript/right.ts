// Uses that compile, and that the log takes.

import { typed, type EventName, type OrderPlaced } from "./events.js";
import { EventLog } from "./log.js";

const log = new EventLog();
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

await log.close();
