// Uses that do not compile. Run all the same, each is refused by the log, with this SQLSTATE.

import { typed } from "./events.js";
import { EventLog } from "./log.js";

const log = new EventLog();
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

await log.close();
