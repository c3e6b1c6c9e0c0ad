// Sends events with the browser build of somebody else's client, in a real Chromium, from a page of
// another origin than the gateway's: node browser.mjs CLIENT
//
// The first line of standard input is the TASK of node.mjs; where an event has no user, nobody has signed
// in yet, and those come first. The page stays open until standard input ends. What comes back is
// {"anonymous", "errors"}: the id of the visitor who had not signed in, and what the console and the network
// complained of.

import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const { default: puppeteer } = await import(createRequire(new URL('../browser/', import.meta.url)).resolve('puppeteer-core'));
const LONG = 240_000;
const library = (path) => new URL(`node_modules/${path}`, import.meta.url);

const segment = {
    script: library('@segment/analytics-next/dist/umd/index.js'),
    async send({ address, key, events }, deliveryStrategy) {
        const analytics = window.AnalyticsNext.AnalyticsBrowser.load(
            { writeKey: key, cdnURL: address },
            { integrations: { 'Segment.io': { apiHost: `${address.replace('http://', '')}/v1`, protocol: 'http', deliveryStrategy } } },
        );
        window.anonymous = (await analytics.user()).anonymousId();
        let signedIn = null;
        let calls = [];
        for (const { name, user, time, properties } of events) {
            if (user !== signedIn) {
                // Nobody signs in while a click before it is still looked at.
                await Promise.all(calls);
                calls = [];
                await analytics.identify(user);
                signedIn = user;
            }
            calls.push(analytics.track(name, properties, { timestamp: new Date(time) }));
        }
    },
};

const clients = {
    segment,
    // The same, several events a request.
    'segment-batches': { ...segment, options: { strategy: 'batching', config: { size: 20, timeout: 500 } } },
    posthog: {
        script: library('posthog-js/dist/array.full.js'),
        async send({ address, key, events }) {
            const { posthog } = window;
            posthog.init(key, {
                api_host: address, autocapture: false, capture_pageview: false, capture_pageleave: false,
                // A test is a robot that is in a hurry.
                opt_out_useragent_filter: true, rate_limiting: { events_per_second: 1000, events_burst_limit: 10_000 },
            });
            window.anonymous = posthog.get_distinct_id();
            let signedIn = null;
            for (const { name, user, time, properties } of events) {
                if (user !== signedIn) posthog.identify(user);
                signedIn = user;
                posthog.capture(name, properties, { timestamp: new Date(time) });
                // One request each, which a browser does not have without end.
                if (properties.n % 20 === 19) await new Promise((done) => { setTimeout(done, 50); });
            }
        },
    },
};

const client = clients[process.argv[2]];
const page = '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>shop</title><link rel="icon" href="data:,"></head><body><script src="/library.js"></script></body></html>';
const site = createServer((request, response) => {
    const isScript = request.url.startsWith('/library.js');
    response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html');
    response.end(isScript ? readFileSync(client.script) : page);
});
await new Promise((done) => { site.listen(0, '127.0.0.1', done); });
const origin = `http://127.0.0.1:${site.address().port}`;

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const task = JSON.parse((await lines.next()).value);
const browser = await puppeteer.launch({
    executablePath: process.env.EVENTLOG_CHROMIUM ?? '/usr/bin/chromium', headless: true, timeout: LONG, protocolTimeout: 2 * LONG,
    args: [
        // Root has no sandbox; containers have little shared memory.
        '--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu', '--no-first-run', '--disable-background-networking',
        '--disable-component-update', '--disable-sync',
        // No name is looked up: what is not the gateway fails.
        '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1',
    ],
});
const errors = [];
let anonymous;
try {
    const tab = await browser.newPage();
    tab.setDefaultTimeout(LONG);
    tab.on('console', (message) => {
        if (['error', 'warn'].includes(message.type())) errors.push(`${message.text()} ${message.location()?.url ?? ''}`);
    });
    tab.on('pageerror', (error) => errors.push(`script: ${error.stack ?? error}`));
    tab.on('requestfailed', (request) => errors.push(`${request.failure()?.errorText} ${request.url()}`));
    await tab.goto(origin);
    // A client that is not let in may wait for ever.
    tab.evaluate(client.send, task, client.options).catch((error) => errors.push(`${error}`));
    while (!(await lines.next()).done);
    // The gateway has counted an answer before the page has it, and the console what it says of it.
    await tab.waitForNetworkIdle({ idleTime: 1000, timeout: 30_000 }).catch(() => {});
    anonymous = await tab.evaluate(() => window.anonymous);
} finally {
    await browser.close();
}
process.stdout.write(JSON.stringify({ anonymous, errors }), () => process.exit(0));
