"""The reports of one carrier's flights, computed from the file by other means than the log's.

python3 oracle.py FILE.csv.gz CARRIER

Prints, for each check of reports_flights.rs, `= label` and its rows, fields between bars. A field
that begins with ~ is a percentile, which the log may have off by 2 %.
"""

import csv
import gzip
import sys
from collections import defaultdict
from datetime import date, datetime, timedelta, timezone
from decimal import ROUND_HALF_UP, Decimal
from math import ceil
from zoneinfo import ZoneInfo

NULL = "∅"
UTC = timezone.utc
DAY = timedelta(days=1)


# No flight is left out.
IS_SAMPLED = False


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


class Event:
    """A flight as reports_flights.rs logs it."""

    def __init__(self, number, row):
        def number_of(column):
            return None if row[column] in ("", "NA") else int(row[column])

        self.id = number
        self.created_at = at(row["time_hour"].rstrip("Z")) + timedelta(minutes=int(row["minute"]))
        self.occurred_at = None
        self.actor = None if row["tailnum"] in ("", "NA") else row["tailnum"]
        self.subject = row["origin"] + "/" + row["dest"]
        self.flight = row["carrier"] + row["flight"]
        self.duration = self.error = self.has_failed = None
        if number_of("dep_time") is None:
            self.name = "flight_cancelled"
            self.error = "cancelled at " + row["origin"]
            self.has_failed = True
            return
        self.name = "departed_" + row["origin"].lower()
        self.occurred_at = self.created_at + timedelta(minutes=number_of("dep_delay"))
        self.duration = number_of("air_time")
        late = number_of("arr_delay")
        if late is None:
            self.error = "diverted"
        elif late > 15:
            self.error = "very late" if late > 60 else "late"
        self.has_failed = self.error is not None

    @property
    def at(self):
        return self.occurred_at or self.created_at

    @property
    def day(self):
        return self.created_at.date()


def rounded(numerator, denominator, digits):
    if not denominator:
        return NULL
    exact = Decimal(numerator) / Decimal(denominator)
    return str(exact.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP))


def percentile(values, share):
    values = sorted(values)
    return "~%s" % values[max(ceil(len(values) * share), 1) - 1] if values else NULL


def shown(value):
    if value is None:
        return NULL
    if isinstance(value, bool):
        return str(value)[0].lower()
    return value.strftime("%Y-%m-%d %H:%M:%S+00") if isinstance(value, datetime) else str(value)


def check(label, rows):
    print("=", label)
    for row in rows:
        print("|".join(shown(value) for value in row))


def measures(events):
    """Successes, failures, their rate; durations: the mean, and all."""
    failures = sum(e.has_failed is True for e in events)
    successes = sum(e.has_failed is False for e in events)
    durations = [e.duration for e in events if e.duration is not None]
    rate = rounded(successes, successes + failures, 4)
    return successes, failures, rate, rounded(sum(durations), len(durations), 1), durations


def between(events, since, until, names=None):
    since, until = at(since), at(until)
    return [e for e in events if since <= e.created_at < until and (not names or e.name in names)]


def on_days(events, since, until, names=None):
    since, until = date.fromisoformat(since), date.fromisoformat(until)
    return [e for e in events if since <= e.day < until and (not names or e.name in names)]


def grouped(events, key):
    groups = defaultdict(list)
    for event in events:
        groups[key(event)].append(event)
    return groups


def per_day(events, zone, since, until, names=None):
    zone = ZoneInfo(zone)

    def local(moment):
        return moment.astimezone(zone).date()

    first, last = local(at(since)), local(at(until) - timedelta(microseconds=1))
    events = [e for e in events if e.created_at < at(until) and first <= local(e.created_at)]
    events = [e for e in events if not names or e.name in names]
    groups = grouped(events, lambda e: (local(e.created_at), e.name))
    for n in range((last - first).days + 1):
        for name in sorted(set(names or ()) | {e.name for e in events}):
            group = groups[first + n * DAY, name]
            yield first + n * DAY, name, len(group), measures(group)[1]


def per_hour(events, since, until, names):
    first = at(since).replace(minute=0)
    groups = grouped(
        [e for e in events if first <= e.created_at < at(until)],
        lambda e: (e.created_at.replace(minute=0), e.name),
    )
    hour = first
    while hour < at(until):
        for name in sorted(names):
            yield hour, name, len(groups[hour, name]), measures(groups[hour, name])[1]
        hour += timedelta(hours=1)


def summary(events, since, until, names=None):
    here = between(events, since, until, names)
    # Actors are those of whole days.
    until_day = (at(until) + DAY - timedelta(microseconds=1)).date().isoformat()
    actors = {e.actor for e in on_days(events, since[:10], until_day, names) if e.actor}
    successes, failures, rate, mean, durations = measures(here)
    yield (len(here), len({e.name for e in here}), len(actors), successes, failures, rate, mean,
           percentile(durations, 0.5), percentile(durations, 0.95), IS_SAMPLED)


def success_rate(events, succeeded, failed, since, until):
    rows = []
    for subject, group in grouped(on_days(events, since, until, [succeeded, failed]), lambda e: e.subject).items():
        failures = [e for e in group if e.name == failed]
        rows.append((subject, len(group) - len(failures), len(failures), rounded(len(group) - len(failures), len(group), 4),
                     max((e.created_at for e in failures), default=None)))
    return sorted(rows, key=lambda row: (-row[2], row[0]))


def subject_stats(events, since, until, names=None):
    groups = grouped(on_days(events, since, until, names), lambda e: (e.name, e.subject))
    for (name, subject), group in sorted(groups.items(), key=lambda item: (-len(item[1]), item[0])):
        successes, failures, rate, mean, durations = measures(group)
        times = [e.created_at for e in group]
        yield (name, subject, len(group), successes, failures, rate, mean, percentile(durations, 0.5),
               percentile(durations, 0.95), percentile(durations, 0.99), min(times), max(times))


def top_subjects(events, since, until, prefix, limit, names=None):
    events = [e for e in on_days(events, since, until, names) if e.subject.startswith(prefix)]
    groups = sorted(grouped(events, lambda e: e.subject).items(), key=lambda item: (-len(item[1]), item[0]))
    for rank, (subject, group) in enumerate(groups[:limit], 1):
        yield rank, subject, len(group), rounded(len(group), len(events), 4), max(e.created_at for e in group)


def usage_summary(events, since, until, prefix):
    events = [e for e in on_days(events, since, until) if e.subject.startswith(prefix)]
    for subject, group in sorted(grouped(events, lambda e: e.subject).items(), key=lambda item: (-len(item[1]), item[0])):
        by_name = sorted(grouped(group, lambda e: e.name).items(), key=lambda item: (len(item[0]), item[0]))
        times = [e.created_at for e in group]
        operations = ", ".join('"%s": %d' % (name, len(some)) for name, some in by_name)
        yield subject, min(times), max(times), len(group), "{%s}" % operations


def unused_subjects(events, used_before, prefix, removed_by):
    rows = []
    for subject, group in grouped(events, lambda e: e.subject).items():
        used = [e.created_at for e in group if e.name != removed_by]
        removed = [e.created_at for e in group if e.name == removed_by]
        if subject.startswith(prefix) and used and max(used) < at(used_before) and not (removed and max(removed) >= max(used)):
            hint = "remove: hardly ever used" if len(used) <= 3 else "review: no longer used"
            rows.append((subject, max(used), len(used), hint))
    return sorted(rows, key=lambda row: (row[1], row[0]))


def active_actors(events, since, until, names=None):
    days = grouped([e for e in events if e.actor and (not names or e.name in names)], lambda e: e.day)

    def actors(last, count):
        return len({e.actor for n in range(count) for e in days.get(last - n * DAY, ())})

    day = date.fromisoformat(since)
    while day < date.fromisoformat(until):
        yield day, actors(day, 1), actors(day, 7), actors(day, 30), IS_SAMPLED
        day += DAY


def cohort_retention(events, first_name, returning_name, period, since, until):
    def begin(day):
        if period == "week":
            return day - day.weekday() * DAY
        return day.replace(day=1) if period == "month" else day

    starts = []
    begins = begin(date.fromisoformat(since))
    for n in range((date.fromisoformat(until) - begins).days):
        if begin(begins + n * DAY) not in starts:
            starts.append(begin(begins + n * DAY))
    cohorts, active = {}, defaultdict(set)
    # The first ever, which may be before the span.
    for event in sorted((e for e in events if e.actor), key=lambda e: e.day):
        if first_name in (None, event.name):
            cohorts.setdefault(event.actor, starts.index(begin(event.day)) if begin(event.day) in starts else None)
    for event in on_days([e for e in events if e.actor], begins.isoformat(), until):
        if returning_name in (None, event.name):
            active[event.actor].add(starts.index(begin(event.day)))
    for c, start in enumerate(starts):
        members = [actor for actor, cohort in cohorts.items() if cohort == c]
        for p in range(len(starts) - c):
            came = sum(c + p in active[actor] for actor in members)
            # The last period is over where the next one begins.
            is_complete = c + p < len(starts) - 1 or begin(date.fromisoformat(until)) == date.fromisoformat(until)
            yield start, len(members), p, came, rounded(came, len(members), 4), is_complete, IS_SAMPLED


def funnel(events, steps, within, by, since, until):
    paths = grouped([e for e in events if by(e) and e.created_at >= at(since)], by)
    seconds = [[] for _ in steps]
    reached = [0] * len(steps)
    for path in paths.values():
        path = sorted((e for e in path if e.created_at < at(until) + within), key=lambda e: (e.at, e.id))
        attempts = []
        for first in (e for e in path if e.name == steps[0] and e.created_at < at(until)):
            attempt = [first]
            for step in steps[1:]:
                following = (e for e in path if e.name == step and (e.at, e.id) > (attempt[-1].at, attempt[-1].id)
                             and e.at < first.at + within)
                found = next(following, None)
                if not found:
                    break
                attempt.append(found)
            attempts.append(attempt)
        # The furthest; the first to get there; the latest to begin.
        attempts.sort(key=lambda a: (-len(a), a[-1].at, a[-1].id, -a[0].at.timestamp(), a[0].id))
        for n, event in enumerate(attempts[0] if attempts else []):
            reached[n] += 1
            if n:
                seconds[n].append((event.at - attempts[0][n - 1].at).total_seconds())
    for n, step in enumerate(steps):
        some = sorted(seconds[n])
        middle = [some[(len(some) - 1) // 2], some[len(some) // 2]] if some else []
        yield (n + 1, step, reached[n], rounded(reached[n], reached[0], 4),
               rounded(reached[n], reached[n - 1], 4) if n else NULL,
               rounded(Decimal(sum(middle)), 2, 3) if some else NULL, IS_SAMPLED)


def recent_errors(events, since, until, limit, names=None):
    failed = [e for e in between(events, since, until, names) if e.has_failed]
    rows = []
    for (name, error), group in grouped(failed, lambda e: (e.name, e.error)).items():
        last = max(group, key=lambda e: (e.created_at, e.id))
        rows.append((name, error, len(group), len({e.actor for e in group if e.actor}),
                     min(e.created_at for e in group), last.created_at, last.id, last.subject, IS_SAMPLED))
    rows.sort(key=lambda row: (row[0], row[1]))
    rows.sort(key=lambda row: row[5], reverse=True)
    return rows[:limit]


def get_events(label, events):
    """The ids, newest first."""
    check("get_events " + label, [[e.id] for e in sorted(events, key=lambda e: (e.created_at, e.id), reverse=True)])


def main(path, carrier):
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        events = [Event(n, row) for n, row in enumerate(csv.DictReader(file), 1) if row["carrier"] == carrier]
    whole = ("2013-01-01", "2013-02-02")
    odd = ("2013-01-05 07:20", "2013-01-25 19:40:30")
    jfk, lost = "departed_jfk", "flight_cancelled"

    check("events_per_day utc", per_day(events, "UTC", *whole))
    check("events_per_day new york", per_day(events, "America/New_York", *odd))
    check("events_per_day kolkata", per_day(events, "Asia/Kolkata", *odd, names=[jfk, "never_logged"]))
    check("events_per_hour", per_hour(events, "2013-01-03 05:30", "2013-01-06 12:15", [jfk, lost]))
    check("summary", summary(events, *whole))
    check("summary odd", summary(events, *odd))
    check("summary names", summary(events, *odd, names=[jfk, lost]))
    check("success_rate", success_rate(events, "departed_ewr", lost, *whole))
    check("subject_stats", subject_stats(events, *whole))
    check("subject_stats names", subject_stats(events, "2013-01-10", "2013-01-20", [jfk, lost]))
    check("top_subjects", top_subjects(events, *whole, "", 10))
    check("top_subjects prefix", top_subjects(events, "2013-01-10", "2013-01-20", "EWR/", 3, ["departed_ewr"]))
    check("usage_summary", usage_summary(events, *whole, "LGA/"))
    check("unused_subjects", unused_subjects(events, "2013-01-25", "", "no_such_name"))
    check("unused_subjects removed", unused_subjects(events, "2013-01-31 12:00", "EWR/", lost))
    check("active_actors", active_actors(events, *whole))
    check("active_actors name", active_actors(events, "2013-01-20", "2013-02-05", [jfk]))
    check("cohort_retention day", cohort_retention(events, None, None, "day", "2013-01-10", "2013-01-20"))
    check("cohort_retention week", cohort_retention(events, jfk, lost, "week", "2013-01-09", "2013-02-02"))
    check("cohort_retention month", cohort_retention(events, "departed_ewr", None, "month", *whole))
    by_actor = ["departed_ewr", "departed_lga", "departed_jfk"]
    check("funnel actor", funnel(events, by_actor, timedelta(days=2), lambda e: e.actor, "2013-01-03", "2013-01-20"))
    check("funnel subject", funnel(events, ["departed_ewr", lost, "departed_ewr", lost], timedelta(days=9),
                                   lambda e: e.subject, *whole))
    check("funnel flight", funnel(events, [lost, jfk], timedelta(hours=30), lambda e: e.flight, *odd))
    check("recent_errors", recent_errors(events, *whole, 100))
    check("recent_errors names", recent_errors(events, *odd, 2, ["departed_ewr", jfk]))

    get_events("all", events)
    get_events("names and time", between(events, *odd, names=[jfk, lost]))
    actor = min(e.actor for e in events if e.actor)
    get_events("actors", [e for e in events if e.actor in (actor, "N14228")])
    get_events("subjects", [e for e in events if e.subject in ("EWR/SFO", "JFK/HNL")])
    get_events("contains", [e for e in events if e.error == "late"])
    get_events("ids", [e for e in events if e.id in (1, 2, 3, 27000)])
    get_events("occurred", [e for e in events if e.occurred_at and at(odd[0]) <= e.occurred_at < at(odd[1])])


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8")
    main(sys.argv[1], sys.argv[2])
