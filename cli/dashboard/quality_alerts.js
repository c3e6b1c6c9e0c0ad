// Alerts: how each stands, its last value beside its threshold, and what was raised and resolved lately.

import { Body, Card, Table, html, useReport } from './ui.js';
import { NONE, ago, cut, moment, number, span } from './format.js';
import { nameOf } from './session.js';

const MINUTE = 60;
const DAY = 86400;
/** The tenant that stands for all of them. */
const ALL = 'ffffffff-ffff-ffff-ffff-ffffffffffff';

/** Returns the seconds of an interval as PostgreSQL writes it, such as `1 day 02:30:00`. */
function secondsOf(interval) {
  const days = Number(/(\d+) days?/.exec(interval)?.[1] ?? 0);
  const [, hours = 0, minutes = 0, seconds = 0] = /(\d+):(\d+):(\d+)/.exec(interval) ?? [];
  return days * DAY + Number(hours) * 3600 + Number(minutes) * MINUTE + Number(seconds);
}

/** Writes the length of a window in the largest unit that fits, such as `an hour` or `25 minutes`. */
function lengthOf(interval) {
  const seconds = secondsOf(interval);
  const [size, name, one] = [[7 * DAY, 'weeks', 'a week'], [DAY, 'days', 'a day'], [3600, 'hours', 'an hour'], [MINUTE, 'minutes', 'a minute']].find(([unit]) => seconds % unit === 0) ?? [1, 'seconds', 'a second'];
  return seconds === size ? one : `${number(seconds / size)} ${name}`;
}

/** Writes a figure with one decimal at most, whatever the unit of the condition is. */
function figure(condition, value) {
  if (value === null || value === undefined) return NONE;
  if (value === 'Infinity') return 'from none';
  if (condition === 'stopped_consumers') return span(value);
  const text = number(Math.round(value * 10) / 10);
  return condition === 'changed' || condition === 'error_rate' ? `${text} %` : text;
}

const WATCHES = {
  above: (limit) => `more than ${limit} events`,
  below: (limit) => `fewer than ${limit} events`,
  changed: (limit) => `a change of more than ${limit}`,
  not_received: () => 'no event',
  error_rate: (limit) => `more than ${limit} failed`,
  refused: (limit) => `more than ${limit} refused`,
  quota: (limit) => `more than ${limit} over the quota`,
  stopped_consumers: (limit) => `a consumer behind by more than ${limit}`,
  findings: (limit) => `more than ${limit} findings of the doctor`,
};

function watches({ condition, threshold, names, time_window: window }) {
  const what = WATCHES[condition]?.(figure(condition, threshold)) ?? condition;
  const of = names ? ` of ${names.map((name) => cut(name, 40)).join(', ')}` : '';
  return `${what}${of} in ${lengthOf(window)}`;
}

/** The state in which a person would call it. */
function stateOf({ is_raised: isRaised, is_enabled: isEnabled, failure, evaluated_until: until }) {
  if (failure !== null) return 'failing';
  if (!isEnabled) return 'off';
  if (isRaised) return 'raised';
  return until === null ? 'new' : 'quiet';
}

const STATES = { raised: 'Raised', failing: 'Cannot be evaluated', quiet: 'Not raised', new: 'Not evaluated yet', off: 'Switched off' };

const time = (at) => html`<time datetime=${at} title=${moment(at)}>${ago(at)}</time>`;

function State({ row }) {
  const state = stateOf(row);
  return html`<span class="alert-state" data-state=${state}><strong>${STATES[state]}</strong>
    ${state === 'raised' && html` ${time(row.raised_since)}`}
    ${state === 'failing' && html` <span>${cut(row.failure, 160)}</span>`}</span>`;
}

/** @param {{ask: Function, state: object, session: object}} props */
export function Alerts({ ask, state, session }) {
  const answer = useReport(ask, 'alerts');
  const history = useReport(ask, 'alert_changes');
  const isAll = state.tenant === 'all';
  const ofTenant = { title: 'Tenant', class: 'long', text: (row) => cut(nameOf(session, row.tenant_id === ALL ? 'all' : row.tenant_id), 40), value: (row) => row.tenant_id };
  const columns = [
    { title: 'Alert', class: 'long', text: (row) => cut(row.alert, 60), value: (row) => row.alert },
    ...(isAll ? [ofTenant] : []),
    { title: 'State', class: 'wide', text: (row) => html`<${State} row=${row} />`, value: stateOf },
    { title: 'Watches for', class: 'wide', text: watches, value: (row) => row.condition },
    { title: 'Last value', number: true, text: (row) => figure(row.condition, row.value), value: (row) => row.value },
    { title: 'Threshold', number: true, text: (row) => figure(row.condition, row.threshold), value: (row) => row.threshold },
    { title: 'Until', class: 'when', text: (row) => (row.evaluated_until === null ? NONE : time(row.evaluated_until)), value: (row) => row.evaluated_until },
  ];
  const changes = [
    { title: 'When', class: 'when', text: (row) => time(row.changed_at), value: (row) => row.changed_at },
    { title: 'Alert', class: 'long', text: (row) => cut(row.alert, 60), value: (row) => row.alert },
    ...(isAll ? [ofTenant] : []),
    { title: 'Became', text: (row) => html`<span class="alert-state" data-state=${row.is_raised ? 'raised' : 'quiet'}><strong>${row.is_raised ? 'Raised' : 'Resolved'}</strong></span>`, value: (row) => row.is_raised },
    { title: 'Value', number: true, text: ({ details }) => figure(details.condition, details.value), value: ({ details }) => details.value },
    { title: 'Window', class: 'when', text: ({ details }) => moment(details.since), value: ({ details }) => details.since },
  ];
  const none = html`No alerts. In psql: <code>SELECT eventlog.create_alert('no_checkouts', 'not_received', names => '{checkout_completed}');</code>`;
  return html`<${Card} id="alerts" title="Alerts" note="on closed windows">
    <${Body} report=${answer} none=${none}>
      ${(rows) => html`<${Table} id="alerts" caption="Alerts: how they stand" rows=${rows} columns=${columns} rowClass=${(row) => (stateOf(row) === 'raised' ? 'raised' : '')} />
        ${history.rows?.length > 0 && html`<details class="more"><summary>What was raised and resolved lately</summary>
          <${Table} id="alert-changes" csv caption="Changes of alerts" rows=${history.rows} columns=${changes} /></details>`}`}
    <//>
  <//>`;
}
