// Sends events with somebody else's client as it is published: node node.mjs CLIENT < TASK
//
// TASK is {"address", "key", "events"}; an event is {"name", "user", "time", "properties"}. Nothing here
// is about what a test wants: it is what an application writes. What comes back on standard output is
// {"answers", "errors"}: the statuses and the errors that the client told its application.

import { readFileSync } from 'node:fs';
import { Analytics } from '@segment/analytics-node';
import Rudder from '@rudderstack/rudder-sdk-node';
import { CloudEvent, HTTP } from 'cloudevents';
import { PostHog } from 'posthog-node';

const LONG = 120_000;
const answers = [];
const errors = [];
const text = (error) => [error?.reason ?? error, error?.cause].filter(Boolean).map((part) => `${part?.message ?? part}`).join(': ');

async function segment({ address, key, events }) {
    const analytics = new Analytics({ writeKey: key, host: address, flushAt: 50 });
    analytics.on('error', (error) => errors.push(text(error)));
    analytics.on('http_response', ({ status }) => answers.push(status));
    for (const { name, user, time, properties } of events) {
        analytics.track({ event: name, userId: user, timestamp: new Date(time), properties });
    }
    await analytics.closeAndFlush({ timeout: LONG });
}

async function rudderstack({ address, key, events }) {
    const client = new Rudder(key, {
        dataPlaneUrl: address, flushAt: 50, flushInterval: 100, retryCount: 10, logLevel: 'silly',
        errorHandler: (error) => errors.push(text(error)),
    });
    await Promise.all(events.map(({ name, user, time, properties }) => new Promise((done) => {
        client.track({ event: name, userId: user, timestamp: new Date(time), properties }, done);
    })));
}

async function posthog({ address, key, events }) {
    const client = new PostHog(key, { host: address, flushAt: 50, maxBatchSize: 50, flushInterval: 100, fetchRetryCount: 10, fetchRetryDelay: 500 });
    client.on('error', (error) => errors.push(text(error)));
    for (const { name, user, time, properties } of events) {
        client.capture({ event: name, distinctId: user, timestamp: new Date(time), properties });
    }
    await client.shutdown(LONG);
}

// Only makes messages: an application sends them itself, and again if need be.
async function cloudevents({ address, key, events }) {
    const sleep = (ms) => new Promise((done) => { setTimeout(done, ms); });
    async function send({ name, user, time, properties }, number) {
        const event = new CloudEvent({ source: '/shop', type: name, time, authtype: 'user', authid: user, data: properties });
        const { headers, body } = number % 2 ? HTTP.binary(event) : HTTP.structured(event);
        for (let tries = 0; tries < 20; tries += 1) {
            const answer = await fetch(`${address}/api/cloudevents?wait=true`, {
                method: 'POST', headers: { ...headers, authorization: `Bearer ${key}` }, body,
            }).catch(() => null);
            if (answer) answers.push(answer.status);
            if (answer?.ok) return;
            if (answer && answer.status !== 429 && answer.status < 500) {
                errors.push(await answer.text());
                return;
            }
            await sleep(1000 * (answer?.headers.get('retry-after') ?? 0.2));
        }
        errors.push('not sent');
    }
    const numbered = [...events.entries()];
    const sender = async () => {
        for (let next = numbered.shift(); next; next = numbered.shift()) await send(next[1], next[0]);
    };
    await Promise.all(Array.from({ length: 8 }, sender));
}

const clients = { segment, rudderstack, posthog, cloudevents };
// A server runs on; some clients wait by timers that do not keep a program alive.
setInterval(() => {}, 1000);
// A client's log goes where faults go.
console.log = console.info = console.debug = console.error;
await clients[process.argv[2]](JSON.parse(readFileSync(0, 'utf8')));
process.stdout.write(JSON.stringify({ answers, errors }), () => process.exit(0));
