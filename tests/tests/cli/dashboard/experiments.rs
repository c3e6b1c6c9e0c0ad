//! Experiments: who has which variant and what came of it, from the raw rows. The statistics have their own
//! test (tests/tests/e2e/reports/experiment_oracle.rs).

use eventlog_tests::TENANT_A;
use postgres::Client;
use serde_json::Value;

use super::play;
use super::raw::{asked, quoted, table, words};

/// Logs an experiment: 600 people in each of two variants, ten in both.
pub(super) fn run(owner: &mut Client) {
    let sql = format!(
        "SELECT eventlog.define_event('checkout_seen', optional_keys => '{{variant,half}}'),
                eventlog.define_event('checkout_paid', optional_keys => '{{amount}}');
         INSERT INTO eventlog.events (tenant_id, name, actor, created_at, data)
         SELECT '{TENANT_A}', 'checkout_seen', 'shopper-' || n, now() - interval '5 days' + n * interval '1 minute',
                jsonb_build_object('variant', v, 'half', CASE WHEN v = 'short' AND n % 4 = 0 THEN 'yes' ELSE 'no' END)
           FROM generate_series(1, 1200) AS n, unnest(CASE WHEN n <= 10 THEN '{{control,short}}'::text[]
                                                          WHEN n % 2 = 0 THEN '{{short}}' ELSE '{{control}}' END) AS v;
         INSERT INTO eventlog.events (tenant_id, name, actor, created_at, data)
         SELECT '{TENANT_A}', 'checkout_paid', 'shopper-' || n, now() - interval '5 days' + n * interval '1 minute' + (n % 60) * interval '1 hour',
                jsonb_build_object('amount', 10 + n % 7)
           FROM generate_series(1, 1200) AS n WHERE n % 20 = 1 OR n % 12 = 2"
    );
    owner.batch_execute(&sql).expect("they are new");
}

/// Asserts that the table is what the raw rows say.
pub(super) fn judge(client: &mut Client, tenant: &str, found: &Value) {
    let (since, until) = (words(found, "since"), words(found, "until"));
    let control = words(found, "control");
    let filter = words(found, "where");
    let horizon = match found["within"].as_str() {
        Some(within) => format!("interval '{within}'"),
        None => "interval '100 years'".to_owned(),
    };
    let value = match found["value_key"].as_str() {
        Some(key) => format!("(e.data ->> {})::numeric", quoted(key)),
        None => "1".to_owned(),
    };
    let is_mean = found["value_key"].is_string();
    let estimate =
        if is_mean { "avg(coalesce(o.value, 0))" } else { "count(o.value)::numeric / count(*)" };
    let actors = asked(
        client,
        &format!(
            "WITH exposed AS (
                SELECT e.actor, min(e.created_at) AS at, min(e.data ->> 'variant') AS variant, count(DISTINCT e.data ->> 'variant') AS variants
                  FROM eventlog.events e
                 WHERE e.tenant_id = '{tenant}' AND e.name = 'checkout_seen' AND e.created_at >= '{since}' AND e.created_at < '{until}' AND ({filter})
                 GROUP BY e.actor
             ), outcome AS (
                SELECT x.variant, (SELECT sum({value}) FROM eventlog.events e
                                    WHERE e.tenant_id = '{tenant}' AND e.name = 'checkout_paid' AND e.actor = x.actor
                                      AND e.created_at >= x.at AND e.created_at < x.at + {horizon}) AS value
                  FROM exposed x WHERE x.variants = 1
             )
             SELECT o.variant, count(*), count(o.value), round({estimate}, 6)
               FROM outcome o GROUP BY o.variant ORDER BY o.variant <> {}, o.variant",
            quoted(&control)
        ),
    );
    assert_eq!(actors.len(), 2, "{found}");
    let rows = table(found, "rows");
    let near = |text: &str, wanted: f64| (text.parse::<f64>().unwrap() - wanted).abs() < 1e-5;
    let [first, second] = &actors[..] else { panic!("{actors:?}") };
    for (row, wanted) in rows.iter().zip(&actors) {
        assert_eq!(row[..3], wanted[..3], "{found}");
        assert!(near(&row[3], wanted[3].parse().unwrap()), "{row:?} {wanted:?}");
    }
    let difference = second[3].parse::<f64>().unwrap() - first[3].parse::<f64>().unwrap();
    let row = &rows[1];
    assert!(near(&row[4], difference) && rows[0][4].is_empty(), "{found}");
    assert!(row[5].parse::<f64>().unwrap() < difference, "{found}");
    let p: f64 = row[6].parse().unwrap();
    let is_even = first[1].parse::<f64>().unwrap() / second[1].parse::<f64>().unwrap() < 1.2;
    let is_better = (difference > 0.0) != (found["is_lower_better"] == true);
    let verdict = match (is_even, p < 0.05) {
        (false, _) => "split mismatch",
        (true, false) => "undecided",
        (true, true) => ["worse", "better"][usize::from(is_better)],
    };
    assert_eq!((&*rows[0][7], &*row[7]), ("control", verdict), "{found}");
    let several = client
        .query_one(
            &format!(
                "SELECT count(*) FROM (SELECT e.actor FROM eventlog.events e WHERE e.tenant_id = '{tenant}' AND e.name = 'checkout_seen' AND ({filter})
                  GROUP BY e.actor HAVING count(DISTINCT e.data ->> 'variant') > 1) AS x"
            ),
            &[],
        )
        .unwrap()
        .get::<_, i64>(0);
    assert!(
        words(found, "notes")
            .contains(&format!("{several} people were exposed to several variants")),
        "{found}"
    );
}

#[test]
fn the_table_of_an_experiment_is_that_of_the_raw_rows() {
    play("experimentDefinitions");
}

#[test]
fn an_experiment_fits_narrow_screens() {
    play("experimentNarrow");
}
