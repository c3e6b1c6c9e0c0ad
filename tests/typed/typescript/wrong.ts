// Uses that do not compile. Run all the same, each is refused by the log, with this SQLSTATE.

import { EventLog } from "pg-eventlog";
import { typed } from "./events.js";

declare const process: { env: Record<string, string | undefined> };

const log = new EventLog({ url: process.env.EVENTLOG_URL, key: process.env.EVENTLOG_KEY, onDrop: null });
const events = typed(log);

events.orderPlaced({ orderId: "A-1", channel: "web", total: 1, chanel: "web" }); // refused 23514
events.orderPlaced({ orderId: "A-1", channel: "web" }); // refused 23514
events.orderPlaced({ orderId: "A-1", channel: "phone", total: 1 }); // refused 23514
events.orderPlaced({ orderId: 17, channel: "web", total: 1 }); // refused 23514
events.orderPlaced({ orderId: "A-1", channel: "web", total: "1" }); // refused 23514
events.orderPlaced({ orderId: "A-1", channel: "web", total: null }); // refused 23514
events.orderPlaced({ orderId: "A-1", channel: "web", total: 1, priority: 4 }); // refused 23514
events.orderPlaced({ orderId: "A-1", channel: "web", total: 1, isGift: "yes" }); // refused 23514
events.orderPlaced({ orderId: "A-1", channel: "web", total: 1, items: { id: 7 } }); // refused 23514
events.orderPlaced({ orderId: "A-1", channel: "web", total: 1, address: ["Graz"] }); // refused 23514
events.track("order_placd", { orderId: "A-1", channel: "web", total: 1 }); // refused 42704
events.track("page_viewed", {}); // refused 23514
events.pageViewed({ path: 1 }); // refused 23514
events.pageViewed(); // refused 23514
events.ping({ x: 1 }); // refused 23514
events.orderCancelled({ orderId: ["A-1"] }); // refused 23514

console.log(JSON.stringify(await log.close({ timeoutMs: 60_000 })));
