// Express: node express.mjs

import express from "express";
import { EventLog } from "pg-eventlog";

const log = new EventLog({ url: process.env.EVENTLOG_URL, key: process.env.EVENTLOG_KEY });
const app = express();

app.get("/search", (request, response) => {
  log.track("tool_used", { toolName: "search" }, { actor: request.get("X-User") });
  response.json({ found: 3 });
});

app.get("/draw", async (request, response) => {
  const draw = async () => "a circle";
  const picture = await log.trackExecution("skill_executed", draw, { skillName: "canvas" }, { actor: request.get("X-User") });
  response.json({ picture });
});

const server = app.listen(process.env.PORT ?? 3000, "127.0.0.1");
// What waits is sent before the process ends.
process.on("SIGTERM", () => server.close(() => log.close()));
