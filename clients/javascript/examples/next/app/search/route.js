import { after } from "next/server";
import { log } from "../../log.js";

export async function GET(request) {
  log.track("tool_used", { toolName: "search" }, { actor: request.headers.get("X-User") });
  // A function of a cloud may be frozen once it has answered: there the events are sent before.
  after(() => log.flush());
  return Response.json({ found: 3 });
}
