// The rows of the report `cohort_retention` as a matrix: a row for each cohort, and their average.

/**
 * Returns `{ width, cohorts, average }`. A cohort is `{ cohort, actors, periods }`, where `periods` has a row of the
 * report by its number. The average of a period is over the cohorts for which it is over, each weighted by its
 * people: `{ returned, actors, share }`, or null if there is none.
 */
export function asMatrix(rows) {
  const found = new Map();
  for (const row of rows) {
    if (!found.has(row.cohort)) found.set(row.cohort, { cohort: row.cohort, actors: row.actors, periods: [] });
    found.get(row.cohort).periods[row.period_number] = row;
  }
  const cohorts = [...found.values()].filter(({ actors }) => actors > 0).sort((a, b) => (a.cohort < b.cohort ? -1 : 1));
  const width = Math.max(0, ...cohorts.map(({ periods }) => periods.length));
  const average = Array.from({ length: width }, (_, n) => {
    const over = cohorts.filter(({ periods }) => periods[n]?.is_complete);
    const actors = over.reduce((all, cohort) => all + cohort.actors, 0);
    const returned = over.reduce((all, cohort) => all + cohort.periods[n].returned, 0);
    return actors > 0 ? { returned, actors, share: returned / actors } : null;
  });
  return { width, cohorts, average, actors: cohorts.reduce((all, cohort) => all + cohort.actors, 0) };
}

/** Writes a share as a whole percentage. What is almost nothing or almost all is not rounded to it. */
export function rounded(share) {
  if (share === null || share === undefined) return '';
  if (share > 0 && share < 0.01) return '<1%';
  if (share < 1 && share > 0.99) return '>99%';
  return `${Math.round(share * 100)}%`;
}
