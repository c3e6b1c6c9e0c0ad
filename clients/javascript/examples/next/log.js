import { EventLog } from "pg-eventlog";

// One client in a process, also when the development server loads this file anew.
export const log = (globalThis.eventLog ??= new EventLog({
  url: process.env.EVENTLOG_URL,
  key: process.env.EVENTLOG_KEY,
}));
