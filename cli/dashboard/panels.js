// The panels: which reports each needs, and how it shows them. The page only sums over names or days; all
// else is computed by the log's report functions.

import * as charts from './charts.js';
import { h, table } from './dom.js';
import { NONE, ago, cut, date, day, hour, moment, number, percent, plural, span as spanText } from './format.js';
import { form, stepsOf } from './funnel.js';

const MOST_BARS = 8;
const MOST_SHARES = 6;
const sum = (rows, column) => rows.reduce((total, row) => total + row[column], 0);

/** Sums rows by `key`, most events first. */
function grouped(rows, key) {
  const groups = new Map();
  for (const row of rows) {
    const name = key(row);
    const group = groups.get(name) ?? { name, events: 0, failures: 0 };
    group.events += row.events;
    group.failures += row.failures ?? 0;
    groups.set(name, group);
  }
  return [...groups.values()].sort((a, b) => b.events - a.events || (a.name < b.name ? -1 : 1));
}

export const byName = (rows) => grouped(rows, (row) => row.name);

const events = { title: 'Events', number: true, text: (row) => number(row.events), value: (row) => row.events };
const none = (text = 'No events in this range.') => h('p', { class: 'none' }, text);

/** Shows a change, coloured by whether it is good: more errors are bad. */
function delta(now, before, { isRate = false, isBad = false } = {}) {
  if (now === null || before === null || (!isRate && before === 0)) return h('span', { class: 'delta' }, 'no data before');
  const change = isRate ? now - before : now / before - 1;
  const size = isRate ? `${Math.abs(change * 100).toFixed(1)} points` : percent(Math.abs(change));
  const sense = Math.abs(change) < 0.0005 ? '' : (change > 0) === isBad ? ' bad' : ' good';
  const [sign, word] = sense === '' ? ['', 'no change'] : change > 0 ? ['▲ ', 'more'] : ['▼ ', 'less'];
  return h('span', { class: `delta${sense}`, 'data-value': String(change) }, h('span', { 'aria-hidden': 'true' }, sign), sense === '' ? word : size, sense === '' ? '' : h('span', { class: 'vh' }, ` ${word}`));
}

const cards = {
  id: 'cards',
  needs: ['now', 'before'],
  show(body, { now: [now], before: [before] }, { span }) {
    const card = (id, title, text, value, change) => h('div', { class: 'card', id: `card-${id}`, 'data-value': value === null ? '' : String(value) },
      h('dt', {}, title), h('dd', { class: 'value' }, text), h('dd', { class: 'change' }, change));
    body.append(h('dl', { class: 'cards' },
      card('events', 'Events', number(now.events), now.events, delta(now.events, before.events)),
      card('actors', 'Actors', number(now.actors), now.actors, delta(now.actors, before.actors)),
      card('success', 'Success rate', percent(now.success_rate), now.success_rate, delta(now.success_rate, before.success_rate, { isRate: true })),
      card('errors', 'Errors', number(now.failures), now.failures, delta(now.failures, before.failures, { isBad: true }))));
    body.append(h('p', { class: 'than' }, `Compared with the previous ${span.days === 1 ? 'day' : `${span.days} days`}.`));
  },
};

const time = {
  id: 'time',
  title: 'Events over time',
  needs: ['time'],
  isChart: true,
  show(body, { time: rows }, { span, note }) {
    const at = span.unit === 'hour' ? 'hour' : 'day';
    const label = span.unit === 'hour' ? (text) => (span.days > 1 ? moment(text) : hour(text)) : day;
    const points = new Map();
    for (const row of rows) {
      const point = points.get(row[at]) ?? { at: row[at], events: 0, failures: 0 };
      point.events += row.events;
      point.failures += row.failures;
      points.set(row[at], point);
    }
    const list = [...points.values()];
    if (sum(list, 'events') === 0) return body.append(none());
    const most = list.reduce((best, point) => (point.events > best.events ? point : best));
    note(`${plural(sum(list, 'events'), 'event')}, at most ${number(most.events)} ${at === 'day' ? 'on' : 'at'} ${label(most.at)}`);
    body.append(h('p', { class: 'legend', 'aria-hidden': 'true' }, h('span', { class: 'key accent' }, 'Events'), h('span', { class: 'key bad' }, 'Errors')));
    return {
      draw: (box) => charts.lines(box, `Events by ${at}, and errors among them`, list.map((point) => label(point.at)), [
        { label: 'Events', values: list.map((point) => point.events), colour: 'accent', fill: true },
        { label: 'Errors', values: list.map((point) => point.failures), colour: 'bad' },
      ]),
      table: {
        caption: `Events by ${at}`,
        rows: list,
        columns: [
          { title: at === 'day' ? 'Day' : 'Hour', text: (row) => (at === 'day' ? date(row.at) : moment(row.at)), value: (row) => row.at },
          events,
          { title: 'Errors', number: true, text: (row) => number(row.failures), value: (row) => row.failures },
        ],
      },
    };
  },
};

const share = {
  id: 'share',
  title: 'Share by domain',
  needs: ['time', 'names'],
  isChart: true,
  isBoth: true,
  show(body, { time: rows, names }) {
    const domains = new Map(names.map(({ name, domain }) => [name, domain]));
    let list = grouped(rows, (row) => domains.get(row.name) ?? 'undeclared').filter((row) => row.events > 0);
    if (list.length === 0) return body.append(none());
    if (list.length > MOST_SHARES + 1) {
      const others = list.slice(MOST_SHARES);
      list = [...list.slice(0, MOST_SHARES), { name: `${others.length} others`, events: sum(others, 'events') }];
    }
    const all = sum(list, 'events');
    return {
      draw: (box) => charts.doughnut(box, 'Share of events by domain', list.map((row) => row.name), list.map((row) => row.events)),
      table: {
        caption: 'Share of events by domain',
        rows: list,
        columns: [
          {
            title: 'Domain',
            text: (row) => h('span', {}, h('span', { class: `swatch s${list.indexOf(row) + 1}`, 'aria-hidden': 'true' }), row.name),
            value: (row) => row.name,
          },
          { ...events },
          { title: 'Share', number: true, text: (row) => percent(row.events / all), value: (row) => row.events / all },
        ],
      },
    };
  },
};

function ranking(caption, list, first) {
  return {
    draw: (box) => charts.bars(box, caption, list.map((row) => row[first]), list.map((row) => row.events)),
    table: {
      caption,
      rows: list,
      columns: [{ title: first === 'name' ? 'Name' : 'Subject', class: 'long', text: (row) => row[first] }, events],
    },
  };
}

const names = {
  id: 'names',
  title: 'Top names',
  needs: ['time'],
  isChart: true,
  show(body, { time: rows }, { note }) {
    const all = byName(rows).filter((row) => row.events > 0);
    if (all.length === 0) return body.append(none());
    if (all.length > MOST_BARS) note(`${MOST_BARS} of ${all.length}`);
    return ranking('Names with the most events', all.slice(0, MOST_BARS), 'name');
  },
};

const subjects = {
  id: 'subjects',
  title: 'Top subjects',
  needs: ['subjects'],
  isChart: true,
  show(body, { subjects: rows }, { span, note }) {
    if (!span.isWholeDays) note('whole days');
    if (rows.length === 0) return body.append(none('No event in this range has a subject, such as a skill or a tool.'));
    return ranking('Subjects with the most events', rows, 'subject');
  },
};

const actors = {
  id: 'actors',
  title: 'Active actors',
  needs: ['actors'],
  isChart: true,
  show(body, { actors: rows }, { note, state }) {
    if (state.names.length > 1) note('all event types');
    if (sum(rows, 'monthly') === 0) return body.append(none('No event in this range has an actor.'));
    body.append(h('p', { class: 'legend', 'aria-hidden': 'true' }, h('span', { class: 'key accent' }, 'day'), h('span', { class: 'key series-2' }, '7 days'), h('span', { class: 'key series-3' }, '30 days')));
    const line = (label, column, colour) => ({ label, values: rows.map((row) => row[column]), colour });
    const column = (title, name) => ({ title, number: true, text: (row) => number(row[name]), value: (row) => row[name] });
    return {
      draw: (box) => charts.lines(box, 'Active actors per day, per 7 days and per 30 days', rows.map((row) => day(row.day)), [
        line('of the day', 'daily', 'accent'), line('of 7 days', 'weekly', 'series-2'), line('of 30 days', 'monthly', 'series-3'),
      ], 234),
      table: {
        caption: 'Active actors by day',
        rows,
        columns: [{ title: 'Day', text: (row) => date(row.day), value: (row) => row.day }, column('Day', 'daily'), column('7 days', 'weekly'), column('30 days', 'monthly')],
      },
    };
  },
};

const retention = {
  id: 'retention',
  title: 'Retention',
  needs: ['retention'],
  show(body, { retention: rows }, { span, note, state }) {
    const { period } = span.retention;
    note(`by ${period}${state.names.length > 1 ? ', all event types' : ''}`);
    const cohorts = new Map();
    for (const row of rows) {
      const cohort = cohorts.get(row.cohort) ?? { cohort: row.cohort, actors: row.actors, periods: [] };
      cohort.periods[row.period_number] = row;
      cohorts.set(row.cohort, cohort);
    }
    const list = [...cohorts.values()].filter((cohort) => cohort.actors > 0);
    if (list.length === 0) return body.append(none('No new actors in this range.'));
    const width = Math.max(...list.map((cohort) => cohort.periods.length));
    const made = table({
      id: 'table-retention',
      caption: `Of the actors who came first in a ${period}: how many came again`,
      rows: list,
      columns: [
        { title: period === 'day' ? 'First day' : 'First week', text: (row) => day(row.cohort), value: (row) => row.cohort },
        { title: 'Actors', number: true, text: (row) => number(row.actors), value: (row) => row.actors },
        ...Array.from({ length: width }, (_, n) => ({
          title: n === 0 ? `Same ${period}` : `+${n}`,
          class: 'heat',
          text: (row) => (row.periods[n] ? percent(row.periods[n].share).replace(/\.\d+/, '') : ''),
          value: (row) => row.periods[n]?.returned ?? '',
        })),
      ],
    });
    for (const [position, tr] of [...made.querySelectorAll('tbody tr')].entries()) {
      for (const [n, cell] of [...tr.querySelectorAll('.heat')].entries()) {
        const found = list[position].periods[n];
        if (!found) continue;
        cell.style.setProperty('--share', String(found.share ?? 0));
        cell.title = `${number(found.returned)} of ${number(found.actors)} actors${found.is_complete ? '' : `, ${period} not over yet`}`;
      if (!found.is_complete) cell.classList.add('unfinished');
        cell.classList.add('full');
      }
    }
    made.querySelector('table').classList.add('heatmap');
    return body.append(made);
  },
};

const funnel = {
  id: 'funnel',
  title: 'Funnel',
  needs: ['funnel', 'time', 'names'],
  show(body, { funnel: rows, time: counted, names: declared }, { note, state, choose }) {
    const steps = stepsOf(state, byName(counted));
    note('actors, within 7 days');
    if (rows.length === 0) body.append(none());
    else {
      const column = (title, name, text) => ({ title, number: true, text: (row) => text(row[name]), value: (row) => row[name] });
      const made = table({
        id: 'table-funnel',
        caption: 'Actors who reached each step',
        rows,
        columns: [
          { title: 'Step', class: 'long', text: (row) => h('span', { class: 'stage' }, row.name, h('span', { class: 'track', 'aria-hidden': 'true' }, h('span', { class: 'fill' }))), value: (row) => row.name },
          column('Actors', 'reached', number),
          column('Of first', 'conversion', percent),
          column('Of previous', 'conversion_from_previous', percent),
          column('Median time', 'median_seconds', spanText),
        ],
      });
      for (const [position, fill] of [...made.querySelectorAll('.fill')].entries()) {
        fill.style.width = `${(rows[position].conversion ?? 0) * 100}%`;
      }
      body.append(made);
    }
    const known = [...new Set([...declared.filter(({ status }) => status !== 'retired').map(({ name }) => name), ...counted.map(({ name }) => name)])].sort();
    body.append(h('details', { class: 'more' }, h('summary', {}, 'Choose steps'), form(steps, known, choose)));
    return undefined;
  },
};

const errors = {
  id: 'errors',
  title: 'Recent errors',
  needs: ['errors'],
  show(body, { errors: rows }) {
    if (rows.length === 0) return body.append(none('No event in this range failed.'));
    const code = (text) => (text === null || text === '' ? NONE : h('code', {}, cut(text, 80)));
    return body.append(table({
      id: 'table-errors',
      caption: 'Failed events by name and error type, most recent first',
      rows,
      columns: [
        { title: 'Name', text: (row) => row.name },
        { title: 'Type', class: 'long', text: (row) => code(row.error_type), value: (row) => row.error_type },
        events,
        { title: 'Actors', number: true, text: (row) => number(row.actors), value: (row) => row.actors },
        { title: 'Last subject', class: 'long', text: (row) => code(row.last_subject), value: (row) => row.last_subject },
        { title: 'Last', class: 'when', text: (row) => h('time', { datetime: row.last_at, title: `${moment(row.last_at)} UTC` }, ago(row.last_at)), value: (row) => row.last_at },
      ],
    }));
  },
};

const rejected = {
  id: 'rejected',
  title: 'Quarantine',
  needs: ['rejected'],
  show(body, { rejected: rows }, { note }) {
    if (rows.length === 0) return body.append(none('No event was rejected.'));
    note(`${plural(sum(rows, 'events'), 'event')} rejected, all time`);
    return body.append(table({
      id: 'table-rejected',
      caption: 'Rejected events by reason',
      rows: rows.slice(0, 20),
      columns: [
        { title: 'Name', class: 'long', text: (row) => (row.name === null ? NONE : cut(row.name, 40)), value: (row) => row.name },
        { title: 'Reason', class: 'long', text: (row) => cut(row.reason, 120), value: (row) => row.reason },
        events,
        { title: 'Last', class: 'when', text: (row) => h('time', { datetime: row.last_at, title: `${moment(row.last_at)} UTC` }, ago(row.last_at)), value: (row) => row.last_at },
      ],
    }), h('p', { class: 'hint' }, 'Fix the rule or the sender. Then the log’s owner can log these events again: ', h('code', {}, 'SELECT eventlog.replay_rejected();')));
  },
};

const STATES = {
  active: 'declared and logged',
  unused: 'declared, never logged',
  undeclared: 'logged, no longer declared',
  deprecated: 'deprecated, still logged',
  retired: 'retired',
};

const taxonomy = {
  id: 'taxonomy',
  title: 'Taxonomy',
  needs: ['taxonomy'],
  slow: () => ['This report reads every event of the tenant and took too long. In psql: ', h('code', {}, 'SELECT * FROM eventlog.stat_taxonomy;')],
  show(body, { taxonomy: rows }, { note }) {
    note('all time');
    const states = Object.keys(STATES).map((state) => ({ state, count: rows.filter((row) => row.state === state).length }));
    body.append(h('ul', { class: 'states' }, states.filter(({ count }) => count > 0).map(({ state, count }) =>
      h('li', { 'data-state': state, 'data-value': String(count) }, h('strong', {}, number(count)), ` ${STATES[state]}`))));
    const keys = (list) => (list.length === 0 ? NONE : h('span', { class: 'keys' }, list.slice(0, 6).map((key) => h('code', {}, cut(key))), list.length > 6 ? ` and ${list.length - 6} more` : null));
    const drifting = rows.filter((row) => row.state === 'undeclared' || row.missing_keys.length > 0 || (row.rows > 0 && row.undeclared_keys.length > 0));
    if (drifting.length === 0) return body.append(none('All events have exactly the keys that their types declare.'));
    return body.append(table({
      id: 'table-taxonomy',
      caption: 'Event types whose events differ from their declaration',
      rows: drifting,
      columns: [
        { title: 'Name', text: (row) => row.name },
        { title: 'Events', number: true, text: (row) => number(row.rows), value: (row) => row.rows },
        { title: 'Undeclared keys', class: 'long', text: (row) => keys(row.undeclared_keys), value: (row) => row.undeclared_keys.join(' ') },
        { title: 'Missing required keys', class: 'long', text: (row) => keys(row.missing_keys), value: (row) => row.missing_keys.join(' ') },
      ],
    }), h('p', { class: 'hint' }, 'Declare keys that belong there: ', h('code', {}, 'SELECT eventlog.define_event(\'name\', optional_keys => \'{…}\');')));
  },
};

export const PANELS = [cards, time, share, names, subjects, actors, retention, funnel, errors, rejected, taxonomy];
