//! The statistics of experiments beside those of scipy, statsmodels and gbstats
//! (`tests/experiments/oracle.py`), from the same random events.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use eventlog_tests::random::Random;
use eventlog_tests::{Db, TENANT_A, scaled, text};
use postgres::Client;
use serde_json::{Value, json};

/// An event: name, actor, variant, minute and amount.
type Event = (&'static str, Option<String>, Option<&'static str>, usize, Option<f64>);

/// How the events of a data set come about.
struct Design {
    variants: Vec<&'static str>,
    /// How many of a hundred actors get which variant; the rest gets the last.
    shares: Vec<usize>,
    actors: usize,
    /// Of a thousand actors so many convert, by variant.
    rates: Vec<usize>,
    /// Amounts of a thousandth to this, with a long tail.
    amount: f64,
    has_negative: bool,
}

impl Design {
    fn random(random: &mut Random) -> Self {
        let variants = random
            .pick(&[
                vec!["control", "treatment"],
                vec!["b", "a"],
                vec!["control", "one", "two"],
                vec!["x", "y", "z", "control"],
            ])
            .clone();
        let even = 100 / variants.len();
        // Every fourth split is not what it should be.
        let off = if random.one_in(4) { 15 } else { 0 };
        let shares = (1..variants.len()).map(|nth| even + off * usize::from(nth == 1)).collect();
        let usual = *random.pick(&[0, 5, 50, 200, 600, 900]);
        let rates = variants.iter().map(|_| usual + random.below(60)).collect();
        Design {
            variants,
            shares,
            actors: *random.pick(&[3, 40, 300, 900, 2000]),
            rates,
            amount: *random.pick(&[1.0, 50.0, 1e6]),
            has_negative: random.one_in(3),
        }
    }

    fn variant(&self, random: &mut Random) -> usize {
        let mut drawn = random.below(100);
        for (place, share) in self.shares.iter().enumerate() {
            if drawn < *share {
                return place;
            }
            drawn -= share;
        }
        self.variants.len() - 1
    }

    fn events(&self, random: &mut Random) -> Vec<Event> {
        let mut events = Vec::new();
        for actor in 0..self.actors {
            let actor = format!("actor {actor}");
            let place = self.variant(random);
            let variant = Some(self.variants[place]);
            let minute = random.below(20_000);
            events.push(("seen", Some(actor.clone()), variant, minute, None));
            if random.one_in(5) {
                events.push(("seen", Some(actor.clone()), variant, random.below(30_000), None));
            }
            if random.one_in(40) {
                let other = Some(*random.pick(&self.variants));
                events.push(("seen", Some(actor.clone()), other, random.below(30_000), None));
            }
            while random.below(1000) < self.rates[place] {
                let at = if random.one_in(5) {
                    random.below(30_000)
                } else {
                    minute + random.below(9_000)
                };
                let unit = (random.below(1_000_000) + 1) as f64 / 1e6;
                let sign = if self.has_negative && random.one_in(4) { -1.0 } else { 1.0 };
                // As the log stores a number: to a thousandth.
                let amount = (sign * self.amount * unit / (1.02 - unit) * 1e3).round() / 1e3;
                events.push(("bought", Some(actor.clone()), None, at, Some(amount)));
            }
        }
        for _ in 0..5 {
            events.push(("seen", None, Some(self.variants[0]), random.below(30_000), None));
            events.push((
                "bought",
                Some("stranger".to_owned()),
                None,
                random.below(30_000),
                Some(1.0),
            ));
        }
        events
    }
}

/// Writes the events of a set, each name for itself.
fn write(owner: &mut Client, set: usize, events: &[Event]) {
    let mut lines = String::new();
    for (name, actor, variant, minute, amount) in events {
        let actor = actor.as_deref().unwrap_or("\\N");
        let data = json!({ "variant": variant, "amount": amount });
        let (day, hour, minute) = (1 + minute / 1440, minute / 60 % 24, minute % 60);
        let _ = writeln!(
            lines,
            "{TENANT_A}\t{name}_{set}\t{actor}\t2026-01-{day:02} {hour:02}:{minute:02}+00\t{data}"
        );
    }
    let mut copy = owner
        .copy_in("COPY eventlog.events (tenant_id, name, actor, created_at, data) FROM STDIN")
        .unwrap();
    copy.write_all(lines.as_bytes()).unwrap();
    copy.finish().unwrap();
}

/// Asks for a set in one way, and returns what the oracle is to check.
fn ask(
    owner: &mut Client,
    random: &mut Random,
    set: usize,
    design: &Design,
    events: &[Event],
) -> Value {
    let is_mean = random.one_in(2);
    let within = *random.pick(&[None, Some(1440), Some(4000)]);
    let confidence = *random.pick(&[0.95, 0.95, 0.9, 0.99]);
    let min_actors = *random.pick(&[100, 2]);
    // The ratios of a split that is not even, and of one that is.
    let ratios = random.one_in(3).then(|| {
        let given = design.variants.iter().enumerate();
        let even = 100 / design.variants.len();
        given
            .map(|(nth, name)| ((*name).to_owned(), json!(design.shares.get(nth).unwrap_or(&even))))
            .collect()
    });
    let ratios = ratios.map(Value::Object);
    let mut more = format!("confidence => {confidence}, min_actors => {min_actors}, ");
    if is_mean {
        more.push_str("value_key => 'amount', ");
    }
    if let Some(minutes) = within {
        let _ = write!(more, "within => '{minutes} minutes', ");
    }
    if let Some(ratios) = &ratios {
        let _ = write!(more, "ratios => '{ratios}', ");
    }
    let found = text(
        owner,
        &format!(
            "SELECT coalesce(json_agg(row_to_json(r)), '[]') FROM eventlog.experiment_results('seen_{set}', 'variant', 'bought_{set}',
                {more}since => '2026-01-01', until => '2026-02-01', tenant_id => '{TENANT_A}') AS r"
        ),
    );
    let found: Value = serde_json::from_str(&found).unwrap();
    json!({
        "events": events,
        "asked": { "is_mean": is_mean, "within": within, "confidence": confidence, "min_actors": min_actors, "ratios": ratios },
        "found": found,
    })
}

/// The figures of two variants of any size, and what the function makes of them.
fn figures(client: &mut Client, random: &mut Random) -> Value {
    let mut sample = || {
        let actors = *random.pick(&[2, 3, 10, 1000, 200_000, 3_000_000, 1_000_000_000]);
        let mean = random.below(1_000_000) as f64 / 1e3;
        // About as far apart as their errors are large.
        let deviations = (random.below(1000) + 1) as f64 * mean.max(1.0) * actors as f64;
        (actors, if actors > 1000 { 500.0 + mean / 1e4 } else { mean }, deviations)
    };
    let ((n, mean, deviations), (m, other, of_other)) = (sample(), sample());
    let confidence = *random.pick(&[0.5, 0.9, 0.95, 0.999, 0.9999]);
    let found = text(
        client,
        &format!(
            "SELECT to_json(eventlog._difference_of_means({n}, {mean}, {deviations}, {m}, {other}, {of_other}, {confidence}))"
        ),
    );
    let found: Value = serde_json::from_str(&found).unwrap();
    json!({ "figures": [n, mean, deviations, m, other, of_other, confidence], "found": found })
}

#[test]
fn experiments_equal_scipy_statsmodels_and_gbstats_and_a_broken_split_gets_no_verdict() {
    let db = Db::new();
    let mut owner = db.connect("log_owner");
    owner
        .batch_execute(
            "SELECT eventlog.create_log(retention => '50 years');
             SELECT eventlog._make_partition('2026-01-01');
             SET client_min_messages = error",
        )
        .unwrap();
    let mut random = Random::new();
    let mut asked = String::new();
    for set in 0..scaled(20, 200) {
        let design = Design::random(&mut random);
        let events = design.events(&mut random);
        write(&mut owner, set, &events);
        for _ in 0..2 {
            let _ = writeln!(asked, "{}", ask(&mut owner, &mut random, set, &design, &events));
        }
    }
    for _ in 0..scaled(50, 1000) {
        let _ = writeln!(asked, "{}", figures(&mut owner, &mut random));
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("../target/experiments/bin/python3");
    let mut child = Command::new(&python)
        .arg(root.join("experiments/oracle.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}; make setup-tests", python.display()));
    // One that cannot begin closes the pipe, and says why.
    let _ = child.stdin.take().expect("piped").write_all(asked.as_bytes());
    let output = child.wait_with_output().expect("it is ours");
    let (said, faults) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{faults}");
    println!("{said}");
    assert!(said.contains("figures agree"), "{said}{faults}");
}
