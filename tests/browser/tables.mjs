// The figures of the tables of a page, and what a person does to its controls.

import { after, settled } from './browser.mjs';

/** All tables of the page and its dialogs, as the values behind their cells. */
export const tables = (page) => page.evaluate(() => Object.fromEntries([...document.querySelectorAll('table[id]')].map((table) => [
  table.id.replace('table-', ''),
  [...table.querySelectorAll('tbody tr')].map((row) => [...row.children].map((cell) => cell.dataset.value ?? '')),
])));

/** The span that the page shows. */
export const span = (page) => page.$eval('#page', ({ dataset: { since, until } }) => ({ since, until }));

/** The parameters of the address. */
export const address = (page) => new URL(page.url()).searchParams;

/** Chooses a value of a select, and waits until the page shows what it gives. */
export const select = (page, id, value) => after(page, () => page.select(`#${id}`, value));

/** Presses keys one after another. */
export async function press(page, ...keys) {
  for (const key of keys) await page.keyboard.press(key);
}

/** What has the focus. */
export const focused = (page) => page.evaluate(() => {
  const { id, textContent } = document.activeElement;
  return document.activeElement.getAttribute('aria-label') ?? (id || textContent.trim());
});

export const text = (page, selector) => page.$eval(selector, (element) => element.textContent);

/** Clicks what opens a dialog, and waits until it shows all that it has. */
export async function open(page, selector, dialog) {
  await page.click(selector);
  await page.waitForSelector(dialog);
  await settled(page);
}

/** Closes the dialog that is open. */
export async function close(page, dialog) {
  await page.keyboard.press('Escape');
  await page.waitForFunction((selector) => !document.querySelector(selector), {}, dialog);
}
