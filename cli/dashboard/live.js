// Notifications of new events: a stream of server-sent events, read with fetch since a key goes into a
// header. Without a stream, the page polls once a minute.

import { send } from './api.js';

const EVERY = 60e3;
const AGAIN = 1e3;

/**
 * Calls `news` when there are new events of a tenant, and `state` with 'live' or 'poll'.
 * @returns {() => void} a function that stops it
 */
export function watch(tenant, news, state) {
  const stop = new AbortController();
  run(tenant, news, state, stop.signal);
  return () => stop.abort();
}

async function run(tenant, news, state, signal) {
  while (!signal.aborted) {
    const began = Date.now();
    const wasLive = await listen(tenant, news, state, signal);
    if (signal.aborted) return;
    if (wasLive && Date.now() - began > 2 * AGAIN) {
      // Streams end after a while; the next one starts at once.
      await pause(AGAIN, signal);
    } else {
      state('poll');
      await pause(EVERY, signal);
    }
    if (!signal.aborted) news();
  }
}

/** Returns true if there was a stream. */
async function listen(tenant, news, state, signal) {
  let wasLive = false;
  try {
    const answer = await send(`/api/analytics/live${tenant ? `?tenant=${tenant}` : ''}`, { signal });
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = '';
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return wasLive;
      const parts = (rest + value).split('\n\n');
      rest = parts.pop();
      for (const part of parts) {
        if (part.includes('event: open')) {
          wasLive = true;
          state('live');
        }
        if (part.includes('event: tick')) news();
      }
    }
  } catch {
    return wasLive;
  }
}

function pause(time, signal) {
  return new Promise((done) => {
    const timer = setTimeout(done, time);
    signal.addEventListener('abort', () => { clearTimeout(timer); done(); }, { once: true });
  });
}
