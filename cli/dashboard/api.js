// Requests to the gateway. The key is sent in a header, never in an address.

export class Refusal extends Error {
  constructor(status, message, retryAfter, code) {
    super(message);
    this.status = status;
    this.code = code;
    this.retryAfter = retryAfter;
  }
}

export const bearer = (key) => ({ Authorization: `Bearer ${key}` });

/** Reads the error of an answer. */
export async function refusal(answer) {
  let code = null;
  let message = `the gateway answered ${answer.status}`;
  try {
    ({ code, message } = (await answer.json()).error);
  } catch {
    // A proxy answered instead of the gateway.
  }
  return new Refusal(answer.status, message, Number(answer.headers.get('Retry-After')) || null, code);
}

/** Fetches a report: its rows and its tenant. */
export async function ask(key, report, parameters = {}, signal) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    for (const one of [value].flat()) if (one !== null && one !== undefined) query.append(name, one);
  }
  let answer;
  try {
    answer = await fetch(`/api/analytics/${report}?${query}`, { headers: bearer(key), signal, cache: 'no-store' });
  } catch (fault) {
    if (signal?.aborted) throw fault;
    throw new Refusal(0, 'the gateway does not answer', null);
  }
  if (!answer.ok) throw await refusal(answer);
  const { tenant_id: tenant, rows } = await answer.json();
  return { tenant, rows };
}
