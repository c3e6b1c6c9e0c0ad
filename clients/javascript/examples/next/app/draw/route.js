import { after } from "next/server";
import { log } from "../../log.js";

export async function GET(request) {
  const draw = async () => "a circle";
  const actor = request.headers.get("X-User");
  const picture = await log.trackExecution("skill_executed", draw, { skillName: "canvas" }, { actor });
  after(() => log.flush());
  return Response.json({ picture });
}
