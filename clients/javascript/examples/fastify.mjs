// Fastify: node fastify.mjs

import Fastify from "fastify";
import { EventLog } from "pg-eventlog";

const log = new EventLog({ url: process.env.EVENTLOG_URL, key: process.env.EVENTLOG_KEY });
const app = Fastify();
app.addHook("onClose", () => log.close());

app.get("/search", async (request) => {
  log.track("tool_used", { toolName: "search" }, { actor: request.headers["x-user"] });
  return { found: 3 };
});

app.get("/draw", async (request) => {
  const draw = async () => "a circle";
  const picture = await log.trackExecution("skill_executed", draw, { skillName: "canvas" }, { actor: request.headers["x-user"] });
  return { picture };
});

await app.listen({ port: Number(process.env.PORT ?? 3000), host: "127.0.0.1" });
process.on("SIGTERM", () => app.close());
