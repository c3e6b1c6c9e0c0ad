// pg-eventlog: events for eventlog, through its gateway.

export { EventLog } from "./client.js";
