// The table of an experiment's variants, and what is to be known of them.

import { NONE, number, plural } from './format.js';
import { Table, html } from './ui.js';

const shares = new Intl.NumberFormat('en', { style: 'percent', maximumFractionDigits: 2 });
const means = new Intl.NumberFormat('en', { maximumSignificantDigits: 4 });
const points = new Intl.NumberFormat('en', { maximumFractionDigits: 2, signDisplay: 'exceptZero' });
const changes = new Intl.NumberFormat('en', { maximumSignificantDigits: 3, signDisplay: 'exceptZero' });
const tiny = new Intl.NumberFormat('en', { maximumSignificantDigits: 2 });

const isNothing = (value) => value === null || value === undefined;
const pOf = (value) => (isNothing(value) ? NONE : value < 0.001 ? '< 0.001' : tiny.format(value));
const pIs = (value) => (value < 0.001 ? 'p < 0.001' : `p = ${tiny.format(value)}`);

const VERDICTS = {
  better: html`<span class="delta good">Better</span>`,
  worse: html`<span class="delta bad">Worse</span>`,
  undecided: 'Undecided',
};
const REASONS = {
  control: 'Control',
  'split mismatch': 'No verdict: broken split',
  'too few actors': 'No verdict: too few people',
  'too few conversions': 'No verdict: too few conversions',
  'no variance': 'No verdict: nothing varies',
};

const isBroken = ([{ mismatch_p: mismatch }]) => !isNothing(mismatch) && mismatch < 0.001;

/** The warning of a broken split. */
function Mismatch({ rows: [{ mismatch_p: mismatch }] }) {
  return html`<div class="notice bad" role="status"><p><strong>The split is broken.</strong> A split as uneven as this comes by chance less than
      once in a thousand times (${pIs(mismatch)}): some people were lost, or counted twice, in one of the variants. Find out why before you trust any of the differences.</p></div>`;
}

function Notes({ rows, isMean }) {
  const [{ mismatch_p: mismatch, multi_exposed: several, without_actor: nobody, is_complete: isComplete }] = rows;
  return html`<p class="note" id="experiment-notes">
      ${several > 0 && `${plural(several, 'person was', 'people were')} exposed to several variants and left out. `}
      ${nobody > 0 && `${plural(nobody, 'exposure', 'exposures')} without a person ${nobody === 1 ? 'was' : 'were'} left out. `}
      ${!isBroken(rows) && !isNothing(mismatch) && `The split is as it should be (${pIs(mismatch)}). `}
      ${!isComplete && 'The time of some people is not over: the figures will still change. '}
      ${isMean ? 'Means are of all people of a variant, those without an event count 0; the intervals are Welch’s.' : 'The intervals are Wald’s.'}
      ${' Read the verdict once, at the end that was planned: who looks every day finds differences that are none.'}</p>`;
}

/** @param {{definition: object, rows: object[]}} props rows of `experiment_results` */
export function Results({ definition, rows }) {
  const isMean = Boolean(definition.valueKey);
  const value = (name) => (row) => row[name];
  const difference = isMean ? (found) => changes.format(found) : (found) => `${points.format(found * 100)} pt`;
  const columns = [
    { title: 'Variant', class: 'long', text: value('variant'), value: value('variant') },
    { title: 'People', number: true, text: (row) => number(row.actors), value: value('actors') },
    { title: 'Converted', number: true, text: (row) => number(row.converted), value: value('converted') },
    isMean
      ? { title: 'Mean', number: true, text: (row) => (isNothing(row.mean) ? NONE : means.format(row.mean)), value: value('mean') }
      : { title: 'Rate', number: true, text: (row) => (isNothing(row.rate) ? NONE : shares.format(row.rate)), value: value('rate') },
    { title: 'Difference', number: true, text: (row) => (isNothing(row.difference) ? NONE : difference(row.difference)), value: value('difference') },
    {
      title: '95 % interval', number: true, csv: 'difference_low',
      text: (row) => (isNothing(row.difference_low) ? NONE : `${difference(row.difference_low)} to ${difference(row.difference_high)}`),
      value: value('difference_low'),
    },
    { title: 'p', number: true, text: (row) => pOf(row.p_value), value: value('p_value') },
    { title: 'Verdict', text: (row) => VERDICTS[row.verdict] ?? REASONS[row.no_verdict] ?? NONE, value: (row) => row.verdict ?? row.no_verdict },
  ];
  return html`${isBroken(rows) && html`<${Mismatch} rows=${rows} />`}
    <${Table} id="experiment" csv caption="Experiment: its variants" rows=${rows} columns=${columns} />
    <${Notes} rows=${rows} isMean=${isMean} />`;
}
