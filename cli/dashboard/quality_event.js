// One event in its drawer, found by its id.

import { EventDrawer } from './event_drawer.js';
import { Body, Drawer, html, useReport, useState } from './ui.js';

/** @param {{id: string, at: string, onClose: () => void}} props `at` says in which partition the event is */
export function EventById(props) {
  const { ask, state, id, at, onClose } = props;
  const [other, setOther] = useState(null);
  const around = (change) => new Date(Date.parse(at) + change).toISOString();
  const report = useReport(ask, 'get_events', { ids: [id], since: around(-1000), until: around(1000), only: [], tenant: state.tenant });
  const event = other ?? report.rows?.[0];
  if (event) return html`<${EventDrawer} ...${props} key=${event.id} event=${event} onOpen=${setOther} onClose=${onClose} />`;
  // Opens once it is there: a dialog that takes the place of another loses where the focus was.
  if (!report.rows && !report.fault) return null;
  return html`<${Drawer} id="event" title="Event ${id}" onClose=${onClose}>
    <${Body} report=${report} none="The log does not have this event any more.">${() => null}<//>
  <//>`;
}
