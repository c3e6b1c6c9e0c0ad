// A hook that asks for a report and asks again whenever the state changes or there are new events.

import { useEffect, useRef, useState } from './hooks.js';
import { Refusal, addressOf, parametersOf } from './api.js';

/** What a question is, apart from the moment at which it is asked. */
function signatureOf(ask, report, parameters) {
  const { until, ...others } = parametersOf(report, parameters, ask.state, ask.span);
  const isNow = ask.span.isOpen && (until === ask.span.until || until === ask.span.before?.until);
  return addressOf(report, isNow ? others : { ...others, until });
}

/**
 * Asks for a report.
 * @param {Function} ask the page's `ask`
 * @param {string | null} report null to ask nothing
 * @param {object} parameters as those of `ask`
 * @param {{every?: number, keep?: number}} options `every`: the least milliseconds between updates because of new events;
 *   `keep`: how long an answer is good in any case
 * @returns {{rows?: object[], fault?: Refusal, isOld: boolean, isOther: boolean, at: number, reload: () => void}} while an
 *   answer is on its way, and after a failure of the same question, `rows` are the last ones, and `isOld` says so;
 *   `isOther` if they answer another question
 */
export function useReport(ask, report, parameters = {}, { every = 0, keep = 0 } = {}) {
  const [, redraw] = useState(0);
  const [turn, setTurn] = useState(0);
  const last = useRef({ signature: null, rows: undefined, fault: undefined, at: 0 });
  const signature = report ? signatureOf(ask, report, parameters) : null;
  useEffect(() => {
    if (!report) {
      last.current = { signature: null, rows: undefined, fault: undefined, at: 0 };
      return undefined;
    }
    const known = last.current;
    const isSame = known.signature === signature;
    if (isSame && known.rows && !known.fault && Date.now() - known.at < (ask.isNews ? Math.max(every, keep) : keep)) return undefined;
    let isWanted = true;
    ask(report, parameters).then((rows) => {
      if (!isWanted) return;
      last.current = { signature, rows, fault: undefined, at: Date.now() };
      redraw((count) => count + 1);
    }, (fault) => {
      if (!isWanted) return;
      if (!(fault instanceof Refusal)) throw fault;
      // What was there stays, unless it answers another question.
      last.current = { signature, rows: isSame ? known.rows : undefined, fault, at: isSame ? known.at : 0 };
      redraw((count) => count + 1);
    });
    return () => { isWanted = false; };
  }, [ask, signature, turn]);
  const { rows, fault, at } = last.current;
  const isOther = last.current.signature !== signature;
  const isOld = Boolean(rows) && (Boolean(fault) || isOther);
  return { rows: report ? rows : undefined, fault, isOld, isOther, at, reload: () => setTurn((count) => count + 1) };
}
