// The theme: light, dark, or that of the system.

const PLACE = 'eventlog.theme';
const THEMES = ['auto', 'light', 'dark'];
const listeners = new Set();

const chosen = () => (THEMES.includes(localStorage.getItem(PLACE)) ? localStorage.getItem(PLACE) : 'auto');

function apply() {
  const theme = chosen();
  if (theme === 'auto') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  colours.clear();
  for (const changed of listeners) changed(theme);
}

/** Calls `changed` whenever the colours change. Returns a function that stops it. */
export function onTheme(changed) {
  listeners.add(changed);
  return () => listeners.delete(changed);
}

/** Returns the chosen theme. */
export const theme = chosen;

/** Chooses the theme after the present one. */
export function nextTheme() {
  localStorage.setItem(PLACE, THEMES[(THEMES.indexOf(chosen()) + 1) % THEMES.length]);
  apply();
}

const colours = new Map();

/** Returns a colour of the style sheet in the current theme. */
export function colour(name) {
  if (!colours.has(name)) {
    const probe = document.createElement('span');
    probe.style.color = `var(--${name})`;
    document.body.append(probe);
    colours.set(name, getComputedStyle(probe).color);
    probe.remove();
  }
  return colours.get(name);
}

matchMedia('(prefers-color-scheme: dark)').addEventListener('change', apply);
apply();
