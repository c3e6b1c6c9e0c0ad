// The theme: light, dark, or that of the system.

const PLACE = 'eventlog.theme';
const THEMES = ['auto', 'light', 'dark'];

export function start(button, changed) {
  let theme = THEMES.includes(localStorage.getItem(PLACE)) ? localStorage.getItem(PLACE) : 'auto';
  const apply = () => {
    if (theme === 'auto') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    button.textContent = `Theme: ${theme}`;
    changed();
  };
  button.addEventListener('click', () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    localStorage.setItem(PLACE, theme);
    apply();
  });
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', apply);
  apply();
}

/** Returns a colour of the style sheet in the current theme. */
export function colour(name) {
  const probe = document.createElement('span');
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}
