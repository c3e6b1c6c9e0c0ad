//! Funnels: what people do again and again, split and filtered, beside brute force.

use std::collections::BTreeMap;
use std::fmt::Write;

use eventlog_tests::random::Random;
use eventlog_tests::{Db, TENANT_A, TENANT_B, assert_refused, rows, scaled, text};

const NAMES: [&str; 3] = ["alpha", "beta", "gamma"];

/// An event; times are minutes after the start of the log.
#[derive(Clone, Debug)]
struct Event {
    id: i64,
    name: &'static str,
    created: i64,
    occurred: Option<i64>,
    actor: Option<&'static str>,
    subject: Option<&'static str>,
    plan: Option<&'static str>,
    is_sampled: bool,
}

impl Event {
    fn at(&self) -> i64 {
        self.occurred.unwrap_or(self.created)
    }

    fn who(&self, by: &str) -> Option<&'static str> {
        let who = match by {
            "actor" => self.actor,
            "subject" => self.subject,
            _ => return self.plan,
        };
        who.filter(|who| !who.is_empty())
    }
}

/// A question, and what answers it by going through every start of everybody.
#[derive(Debug)]
struct Question {
    steps: Vec<&'static str>,
    within: i64,
    by: &'static str,
    since: i64,
    until: i64,
    breakdown: Option<&'static str>,
    plan: Option<&'static str>,
    top: usize,
    any_attempt: bool,
}

/// The events of an attempt.
type Attempt<'a> = Vec<&'a Event>;

impl Question {
    fn random(random: &mut Random) -> Self {
        let since = random.below(200) as i64;
        Question {
            steps: (0..=random.below(4)).map(|_| *random.pick(&NAMES)).collect(),
            within: *random.pick(&[10, 30, 120, 400]),
            by: random.pick::<&str>(&["actor", "actor", "subject", "data.plan", "plan"]),
            since,
            until: since + random.below(400) as i64,
            breakdown: *random.pick(&[
                None,
                None,
                Some("data.plan"),
                Some("subject"),
                Some("name"),
            ]),
            plan: if random.one_in(3) { Some("pro") } else { None },
            top: 1 + random.below(3),
            any_attempt: !random.one_in(4),
        }
    }

    fn arguments(&self, tenant: &str) -> String {
        let base = "timestamptz '2026-01-01 00:00:00+00'";
        let mut sql = format!(
            "steps => '{{{}}}', within => interval '{} minutes', by => '{}', any_attempt => {}, tenant_id => '{tenant}',
             since => {base} + interval '{} minutes', until => {base} + interval '{} minutes'",
            self.steps.join(","),
            self.within,
            self.by,
            self.any_attempt,
            self.since,
            self.until
        );
        if let Some(plan) = self.plan {
            let _ = write!(sql, r#", filters => '{{"data.plan": "{plan}"}}'"#);
        }
        sql
    }

    /// The events of each, in order.
    fn people<'a>(&self, events: &'a [Event]) -> BTreeMap<&'static str, Vec<&'a Event>> {
        let mut people: BTreeMap<&'static str, Vec<&Event>> = BTreeMap::new();
        for event in events {
            let is_counted = self.steps.contains(&event.name)
                && (self.since..self.until + self.within).contains(&event.created)
                && (self.plan.is_none() || event.plan == self.plan);
            if let (true, Some(who)) = (is_counted, event.who(self.by)) {
                people.entry(who).or_default().push(event);
            }
        }
        for events in people.values_mut() {
            events.sort_by_key(|event| (event.at(), event.id));
        }
        people
    }

    /// Follows each start as far as it goes, and takes the best: the furthest, then the first to get
    /// there, then the latest start.
    fn best<'a>(&self, events: &[&'a Event]) -> Option<Attempt<'a>> {
        let mut attempts: Vec<Attempt<'a>> = Vec::new();
        for (place, start) in events.iter().enumerate() {
            if start.name != self.steps[0] || start.created >= self.until {
                continue;
            }
            let mut attempt = vec![*start];
            for event in &events[place + 1..] {
                if attempt.len() < self.steps.len()
                    && event.name == self.steps[attempt.len()]
                    && event.at() < start.at() + self.within
                {
                    attempt.push(event);
                }
            }
            attempts.push(attempt);
            if !self.any_attempt {
                break;
            }
        }
        let furthest = attempts.iter().map(Vec::len).max()?;
        attempts.retain(|attempt| attempt.len() == furthest);
        let end = |attempt: &Attempt<'_>| (attempt[furthest - 1].at(), attempt[furthest - 1].id);
        let first = attempts.iter().map(end).min()?;
        attempts.retain(|attempt| end(attempt) == first);
        attempts.into_iter().max_by_key(|attempt| (attempt[0].at(), -attempt[0].id))
    }

    fn answer(&self, events: &[Event]) -> Vec<String> {
        let mut groups: BTreeMap<Option<&str>, Vec<Attempt<'_>>> = BTreeMap::new();
        for events in self.people(events).values() {
            if let Some(best) = self.best(events) {
                let value = match self.breakdown {
                    None => None,
                    Some("name") => Some(best[0].name),
                    Some("subject") => best[0].subject.filter(|subject| !subject.is_empty()),
                    Some(_) => best[0].plan,
                };
                groups.entry(value).or_default().push(best);
            }
        }
        if self.breakdown.is_none() {
            groups.entry(None).or_default();
        }
        let mut groups: Vec<(Option<&str>, Vec<Attempt<'_>>)> = groups.into_iter().collect();
        groups.sort_by_key(|(value, attempts)| {
            (usize::MAX - attempts.len(), value.is_none(), *value)
        });
        let others: Vec<Attempt<'_>> =
            groups.iter().skip(self.top).flat_map(|(_, attempts)| attempts.clone()).collect();
        groups.truncate(self.top);
        let mut lines: Vec<String> = groups
            .iter()
            .flat_map(|(value, attempts)| self.lines(*value, false, attempts))
            .collect();
        if !others.is_empty() {
            lines.extend(self.lines(None, true, &others));
        }
        lines
    }

    fn lines(&self, value: Option<&str>, is_others: bool, attempts: &[Attempt<'_>]) -> Vec<String> {
        let reached = |step: usize| attempts.iter().filter(|a| a.len() > step).count();
        (0..self.steps.len())
            .map(|step| {
                let mut minutes: Vec<i64> = attempts
                    .iter()
                    .filter(|attempt| step > 0 && attempt.len() > step)
                    .map(|attempt| attempt[step].at() - attempt[step - 1].at())
                    .collect();
                minutes.sort_unstable();
                let median = minutes.len().checked_sub(1).map_or("∅".to_owned(), |last| {
                    let both = minutes[last / 2] + minutes[last.div_ceil(2)];
                    format!("{}.000", both * 30)
                });
                let is_sampled = attempts
                    .iter()
                    .any(|a| a.len() > step && a[..=step].iter().any(|event| event.is_sampled));
                format!(
                    "{}|{}|{}|{}|{}|{median}|{}|{}|{}",
                    step + 1,
                    self.steps[step],
                    reached(step),
                    share(reached(step), reached(0)),
                    if step > 0 { share(reached(step), reached(step - 1)) } else { "∅".into() },
                    if is_sampled { "t" } else { "f" },
                    value.unwrap_or("∅"),
                    if is_others { "t" } else { "f" }
                )
            })
            .collect()
    }

    fn dropouts(&self, events: &[Event], step: usize) -> Vec<String> {
        let mut found: Vec<(i64, &str, &str)> = self
            .people(events)
            .into_iter()
            .filter(|(_, events)| self.best(events).map_or(0, |best| best.len()) == step)
            .filter_map(|(who, events)| events.last().map(|last| (-last.at(), who, last.name)))
            .collect();
        found.sort_unstable();
        found.into_iter().map(|(at, who, name)| format!("{who}|{name}|{}", -at)).collect()
    }
}

/// A share to four digits, as `round` gives it.
fn share(part: usize, whole: usize) -> String {
    if whole == 0 {
        return "∅".into();
    }
    let digits = (part * 20_000 + whole) / (2 * whole);
    format!("{}.{:04}", digits / 10_000, digits % 10_000)
}

fn random_log(random: &mut Random, first_id: i64) -> Vec<Event> {
    // Few times, so that many events come at once.
    let step = *random.pick(&[1, 10, 60]);
    (0..random.below(70) as i64)
        .map(|n| Event {
            id: first_id + n,
            name: random.pick::<&str>(&NAMES),
            created: random.below(600 / step) as i64 * step as i64,
            occurred: random.one_in(3).then(|| random.below(600 / step) as i64 * step as i64),
            actor: *random.pick(&[Some("ann"), Some("bob"), Some("cy \"x\" \\"), Some(""), None]),
            subject: *random.pick(&[Some("s1"), Some("s2"), None]),
            plan: *random.pick(&[Some("pro"), Some("free"), Some("tab\there"), None]),
            is_sampled: random.one_in(20),
        })
        .collect()
}

fn insert(tenant: &str, events: &[Event]) -> String {
    let quoted = |value: Option<&str>| match value {
        Some(value) => format!("'{value}'"),
        None => "NULL".to_owned(),
    };
    let base = "timestamptz '2026-01-01 00:00:00+00'";
    let mut sql = String::from(
        "INSERT INTO eventlog.events (id, tenant_id, name, data, actor, subject, occurred_at, created_at, weight) OVERRIDING SYSTEM VALUE VALUES ",
    );
    for (place, event) in events.iter().enumerate() {
        let comma = if place > 0 { "," } else { "" };
        let occurred = event
            .occurred
            .map_or("NULL".to_owned(), |at| format!("{base} + interval '{at} minutes'"));
        let _ = write!(
            sql,
            "{comma}({}, '{tenant}', '{}', jsonb_strip_nulls(jsonb_build_object('plan', {}::text)), {}, {}, {occurred}, {base} + interval '{} minutes', {})",
            event.id,
            event.name,
            quoted(event.plan),
            quoted(event.actor),
            quoted(event.subject),
            event.created,
            if event.is_sampled { "4" } else { "NULL" }
        );
    }
    sql
}

#[test]
fn a_funnel_counts_any_attempt_as_brute_force_does() {
    let db = Db::new();
    let mut owner = db.connect("log_owner");
    owner
        .batch_execute(
            "SELECT eventlog.create_log(retention => '50 years');
             SELECT eventlog.define_event(name) FROM unnest('{alpha,beta,gamma}'::text[]) AS name;
             SELECT eventlog._make_partition('2026-01-01')",
        )
        .unwrap();
    let mut random = Random::new();
    for log in 0..scaled(300, 3000) {
        let tenant = format!("00000000-0000-4000-8000-{log:012}");
        let events = random_log(&mut random, log as i64 * 1000 + 1);
        if !events.is_empty() {
            owner.batch_execute(&insert(&tenant, &events)).unwrap();
        }
        for _ in 0..3 {
            let question = Question::random(&mut random);
            let arguments = question.arguments(&tenant);
            let breakdown =
                question.breakdown.map_or("NULL".to_owned(), |value| format!("'{value}'"));
            let sql = format!(
                "SELECT step, name, reached, conversion, conversion_from_previous, median_seconds, is_sampled, breakdown_value, is_others
                   FROM eventlog.funnel({arguments}, breakdown => {breakdown}, top => {})",
                question.top
            );
            let found: Vec<String> =
                rows(&mut owner, &sql).into_iter().map(|row| row.join("|")).collect();
            assert_eq!(found, question.answer(&events), "{sql}\n{events:#?}");
            let step = 1 + random.below(question.steps.len());
            let sql = format!(
                "SELECT who, last_name, extract(epoch FROM last_at - '2026-01-01 00:00:00+00')::integer / 60
                   FROM eventlog.funnel_dropouts({arguments}, step => {step})"
            );
            let found: Vec<String> =
                rows(&mut owner, &sql).into_iter().map(|row| row.join("|")).collect();
            assert_eq!(found, question.dropouts(&events, step), "{sql}\n{events:#?}");
        }
    }
}

/// Who tries on Monday and gives up, and gets through on Friday.
#[test]
fn those_who_come_again_count_for_any_attempt_unless_the_first_is_asked_for() {
    let db = Db::new();
    let mut owner = db.connect("log_owner");
    owner
        .batch_execute(&format!(
            "SELECT eventlog.create_log(retention => '50 years');
             SELECT eventlog._make_partition('2026-01-01');
             INSERT INTO eventlog.events (tenant_id, name, actor, created_at, data)
             SELECT CASE actor WHEN 'other' THEN '{TENANT_B}'::uuid ELSE '{TENANT_A}' END, name, actor, at::timestamptz, '{{}}'
               FROM (VALUES ('checkout_completed', 'again', '2026-01-05 10:00+00'), ('checkout_completed', 'again', '2026-01-09 10:00+00'),
                            ('plan_updated', 'again', '2026-01-09 11:00+00'), ('checkout_completed', 'never', '2026-01-06 10:00+00'),
                            ('checkout_completed', 'at once', '2026-01-07 10:00+00'), ('plan_updated', 'at once', '2026-01-07 10:30+00'),
                            ('checkout_completed', 'other', '2026-01-07 10:00+00'), ('plan_updated', 'other', '2026-01-07 10:30+00'))
                    AS e (name, actor, at)"
        ))
        .unwrap();
    let mut reader = db.connect_as("reader", TENANT_A);
    let arguments = "'{checkout_completed,plan_updated}', within => '1 day', since => '2026-01-01', until => '2026-02-01'";
    let funnel = |more: &str| {
        format!("SELECT reached, median_seconds FROM eventlog.funnel({arguments}{more})")
    };
    assert_eq!(rows(&mut reader, &funnel("")), [["3", "∅"], ["2", "2700.000"]]);
    let first_only = rows(&mut reader, &funnel(", any_attempt => false"));
    assert_eq!(first_only, [["3", "∅"], ["1", "1800.000"]]);
    let left = |more: &str| {
        format!("SELECT who, last_name FROM eventlog.funnel_dropouts({arguments}, step => {more})")
    };
    assert_eq!(rows(&mut reader, &left("1")), [["never", "checkout_completed"]]);
    assert_eq!(
        rows(&mut reader, &left("2")),
        [["again", "plan_updated"], ["at once", "plan_updated"]]
    );
    assert_eq!(rows(&mut reader, &left("2, row_limit => 1")), [["again", "plan_updated"]]);
    let first_only = "1, any_attempt => false";
    assert_eq!(
        rows(&mut reader, &left(first_only)),
        [["again", "plan_updated"], ["never", "checkout_completed"]]
    );
    assert_eq!(text(&mut reader, "SELECT count(*) FROM eventlog.events"), "6");
}

#[test]
fn a_funnel_refuses_what_it_cannot_answer_with_a_hint() {
    let db = Db::new();
    let mut reader = db.connect_as("reader", TENANT_A);
    for (call, sqlstate, message) in [
        ("funnel('{a}', by => '')", "00000", ""),
        ("funnel('{a}', breakdown => 'plan')", "22023", "unknown breakdown \"plan\""),
        ("funnel('{a}', top => 0)", "22023", "top must be from 1 to 1000"),
        ("funnel('{a}', filters => '{\"plan\": 1}')", "22023", "unknown filter \"plan\""),
        ("funnel_dropouts('{a}', 0)", "22023", "step must be from 1 to 1, got 0"),
        ("funnel_dropouts('{a}', 2)", "22023", "step must be from 1 to 1, got 2"),
        ("funnel_dropouts('{a}', NULL)", "22023", "step must be from 1 to 1, got null"),
        ("funnel_dropouts('{a}', 1, row_limit => 0)", "22023", "row_limit must be from 1"),
        ("funnel_dropouts('{}', 1)", "22023", "1 to 20 steps"),
    ] {
        let sql = format!("SELECT * FROM eventlog.{call}");
        if sqlstate == "00000" {
            reader.batch_execute(&sql).unwrap();
        } else {
            assert_refused(&mut reader, &sql, sqlstate, message);
        }
    }
}
