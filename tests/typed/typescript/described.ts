// Bodies that types made from the gateway's description take.

import type { components } from "./api.js";

type Event = components["schemas"]["Event"];

export const event: Event = {
  name: "order_placed",
  data: { orderId: "A-1", channel: "web", total: 12.5, items: [{ id: 7 }] },
  actor: "ada",
};
export const hook: components["schemas"]["HookCallback"] = {
  toolName: "search",
  metadata: { query: { words: 2 } },
};
export const skill: components["schemas"]["SkillExecution"] = {
  skill: "canvas",
  durationMs: 12,
  success: true,
  metadata: { pages: [1, 2] },
};
// @ts-expect-error: a payload is an object
export const text: Event = { name: "order_placed", data: "web" };
// @ts-expect-error: a key that no event has
export const other: Event = { name: "order_placed", payload: {} };
