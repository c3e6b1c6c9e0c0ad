//! All tenants: reports over them for those who may read them, and no event of theirs.

use eventlog_tests::{Db, TENANT_A, TENANT_B, assert_refused, refused, rows, text};
use postgres::Client;

/// The tenant of all ones.
const ALL: &str = "ffffffff-ffff-ffff-ffff-ffffffffffff";

/// A log of five tenants with four months of random events, rolled up but for the last hours, and with
/// late ones. There is a gateway's role.
fn filled() -> Db {
    static GATEWAY: std::sync::Once = std::sync::Once::new();
    let db = Db::new();
    let mut superuser = db.superuser();
    GATEWAY.call_once(|| {
        superuser
            .batch_execute(
                "DO $$ BEGIN IF to_regrole('all_gateway') IS NULL THEN CREATE ROLE all_gateway LOGIN; END IF; END $$",
            )
            .unwrap();
    });
    superuser
        .batch_execute(&format!(
            "SET client_min_messages = error;
             SELECT setseed(0.25);
             SET ROLE log_owner;
             SELECT eventlog.grant_gateway('all_gateway');
             SELECT eventlog.set_tenant(tenant_name => 'acme', display_name => 'Acme, Inc.'),
                    eventlog.set_tenant(tenant_name => 'silent'), eventlog.set_tenant('{TENANT_A}', display_name => 'A');
             SELECT eventlog._make_partition(now() - g * interval '1 month') FROM generate_series(1, 5) g;
             INSERT INTO eventlog.events (tenant_id, name, data, actor, subject, created_at)
             SELECT (ARRAY['{TENANT_A}', '{TENANT_B}', eventlog.tenant('acme')::text, eventlog.tenant(4)::text, eventlog.tenant(5)::text])[1 + floor(5 * random() * random())]::uuid,
                    (ARRAY['skill_executed', 'tool_used', 'escalation_triggered', 'conversation_started', 'ingest_started', 'ingest_completed', 'plan_updated', 'checkout_completed', 'quota_exceeded'])[1 + floor(9 * random())],
                    jsonb_build_object('skillName', 's', 'durationMs', floor(1000 * random()), 'success', random() < 0.8, 'conversationId', 'c' || g / 3,
                                       'sourceType', 'web', 'url', 'u' || g / 7, 'plan', 'pro', 'newPlan', 'pro', 'previousPlan', 'free', 'status', 'ok', 'quotaType', 'q'),
                    CASE WHEN random() < 0.9 THEN 'user-' || floor(60 * random()) END, 'x/' || g % 4,
                    now() - random() * random() * interval '120 days'
               FROM generate_series(1, 6000) g;
             RESET ROLE"
        ))
        .expect("a superuser may");
    superuser.batch_execute("CALL eventlog.maintain()").expect("a superuser may");
    superuser
        .batch_execute(&format!(
            "SET ROLE log_owner;
             INSERT INTO eventlog.events (tenant_id, name, data, actor, created_at)
             SELECT '{TENANT_B}', 'skill_executed', '{{\"success\": false}}', 'late-' || g % 3, now() - g * interval '5 days' FROM generate_series(1, 9) g;
             INSERT INTO eventlog.late_events SELECT tenant_id, id, created_at FROM eventlog.events e
              WHERE actor LIKE 'late-%' AND NOT EXISTS (SELECT FROM eventlog.late_events l WHERE l.id = e.id);
             SELECT eventlog.log_event(eventlog.tenant('new'), 'tool_used', '{{\"toolName\": \"t\"}}', actor => 'x')"
        ))
        .expect("a superuser may");
    db
}

fn connect(db: &Db, role: &str, tenant: &str) -> Client {
    db.connect_as(role, tenant)
}

/// The reports that take a tenant, other than the overview, and a call of each that gives all tenants.
fn reports(client: &mut Client) -> Vec<(String, String)> {
    let names = rows(
        client,
        "SELECT name FROM eventlog.reports() WHERE name <> 'tenants_overview' ORDER BY 1",
    );
    let call = |name: String| {
        let first = match name.as_str() {
            "funnel" => "steps => '{conversation_started,skill_executed}', ",
            "funnel_dropouts" => "steps => '{conversation_started,skill_executed}', step => 1, ",
            "experiment_results" => {
                "exposure => 'skill_executed', variant_key => 'skillName', metric => 'plan_updated', "
            }
            _ => "",
        };
        let sql = format!("SELECT * FROM eventlog.{name}({first}tenant_id => '{ALL}')");
        (name, sql)
    };
    names.concat().into_iter().map(call).collect()
}

#[test]
fn no_event_is_logged_for_all_tenants_by_any_way_in() {
    let db = Db::new();
    let mut superuser = db.superuser();
    superuser
        .batch_execute("SELECT eventlog.define_event('ping'); SET client_min_messages = error")
        .unwrap();
    for role in ["postgres", "log_owner", "service", "member"] {
        let mut client = connect(&db, role, ALL);
        client.batch_execute("SET client_min_messages = error").unwrap();
        for tenant in [format!("'{ALL}'"), "NULL".to_owned()] {
            let sql = format!("SELECT eventlog.log_event({tenant}, 'ping')");
            assert_refused(&mut client, &sql, "22023", "for all tenants");
            let sql = format!("SELECT eventlog.try_log_event({tenant}, 'ping')");
            assert_eq!(text(&mut client, &sql), "∅");
            let sql = format!(
                "SELECT rejected, verdicts #>> '{{0,sqlstate}}' FROM eventlog.log_events(ARRAY[{tenant}]::uuid[], '{{ping}}', '{{\"{{}}\"}}', with_verdicts => true)"
            );
            assert_eq!(rows(&mut client, &sql), [["1", "22023"]]);
        }
        // Policies do not bind the owner, who may write what it likes.
        if ["service", "member"].contains(&role) {
            let sql =
                format!("INSERT INTO eventlog.events (tenant_id, name) VALUES ('{ALL}', 'ping')");
            assert_refused(&mut client, &sql, "22023", "for all tenants");
        }
    }
    superuser
        .batch_execute(&format!(
            "CREATE TABLE public.old AS SELECT 1::bigint AS id, '{ALL}'::uuid AS tenant_id, 'ping'::text AS name, '{{}}'::jsonb AS data, now() AS created_at;
             GRANT SELECT ON public.old TO log_owner"
        ))
        .unwrap();
    text(&mut superuser, "SELECT eventlog.import_events('public.old')");
    assert_eq!(text(&mut superuser, "SELECT count(*) FROM eventlog.events"), "0");
    // The quarantine has them, but of no tenant: a connection that names all tenants reads none.
    assert_ne!(text(&mut superuser, "SELECT count(*) FROM eventlog.rejected_events"), "0");
    let own = format!("SELECT count(*) FROM eventlog.rejected_events WHERE tenant_id = '{ALL}'");
    assert_eq!(text(&mut superuser, &own), "0");
}

#[test]
fn a_member_that_names_all_tenants_reads_nothing_by_any_source() {
    let db = filled();
    let mut superuser = db.superuser();
    superuser
        .batch_execute(&format!(
            "INSERT INTO eventlog.tenant_roles VALUES ('member', '{ALL}'), ('reader', '{ALL}')"
        ))
        .unwrap();
    let tables = rows(
        &mut superuser,
        "SELECT table_name FROM eventlog_private.relations() WHERE readers_see = 'own' ORDER BY 1",
    );
    let reports = reports(&mut superuser);
    assert!(tables.len() >= 9 && reports.len() >= 19);
    for source in ["setting", "jwt", "role"] {
        superuser
            .batch_execute(&format!(
                "ALTER DATABASE {} SET eventlog.tenant_source = {source}",
                db.name
            ))
            .unwrap();
        for role in ["reader", "member"] {
            let mut client = connect(&db, role, ALL);
            client
                .batch_execute(&format!(r#"SET request.jwt.claims = '{{"tenant_id": "{ALL}"}}'"#))
                .unwrap();
            for table in &tables {
                let sql = format!("SELECT count(*) FROM eventlog.{}", table[0]);
                assert_eq!(text(&mut client, &sql), "0", "{source}, {role}: {sql}");
            }
            for (_, sql) in &reports {
                assert_refused(&mut client, sql, "42501", "all tenants");
                // The tenant of the connection is the same.
                let by_default = sql.replace(&format!("tenant_id => '{ALL}'"), "");
                let by_default = by_default.replace(", )", ")");
                assert_refused(&mut client, &by_default, "42501", "all tenants");
            }
            let overview = "SELECT count(*) FROM eventlog.tenants_overview()";
            assert_refused(&mut client, overview, "42501", "all tenants");
        }
    }
}

#[test]
fn a_member_of_one_tenant_asks_in_vain_for_others() {
    let db = filled();
    let mut reports = reports(&mut db.superuser());
    let mut member = connect(&db, "member", TENANT_A);
    for (_, sql) in &mut reports {
        assert_refused(&mut member, sql, "42501", "all tenants");
        *sql = sql.replace(ALL, TENANT_B);
        assert_refused(&mut member, sql, "42501", "is not the tenant of this connection");
    }
    let overview = |arguments: &str| {
        format!("SELECT tenant_id, display_name FROM eventlog.tenants_overview({arguments})")
    };
    assert_eq!(rows(&mut member, &overview("")), [[TENANT_A, "A"]]);
    let of_b = overview(&format!("tenant_ids => '{{{TENANT_B}}}'"));
    assert!(rows(&mut member, &of_b).is_empty());
    for tenant in [TENANT_B, ALL] {
        let sql = overview(&format!("tenant_id => '{tenant}'"));
        assert_eq!(refused(&mut member, &sql).code().code(), "42501");
    }
}

#[test]
fn every_report_is_over_all_tenants_for_those_who_may_read_them() {
    let db = filled();
    let reports = reports(&mut db.superuser());
    for source in ["setting", "jwt", "role"] {
        let sql = format!("ALTER DATABASE {} SET eventlog.tenant_source = {source}", db.name);
        db.superuser().batch_execute(&sql).unwrap();
        let mut owner = db.connect("log_owner");
        let expected: Vec<_> = reports.iter().map(|(_, sql)| rows(&mut owner, sql)).collect();
        for (role, tenant) in [("postgres", ""), ("service", ""), ("all_gateway", ALL)] {
            let mut client = connect(&db, role, tenant);
            for ((name, sql), expected) in reports.iter().zip(&expected) {
                // Actors are hashed for some only, and now() moves on.
                if !["get_events", "get_rejected"].contains(&name.as_str()) {
                    assert_eq!(
                        &rows(&mut client, sql).len(),
                        &expected.len(),
                        "{source}, {role}: {sql}"
                    );
                }
            }
        }
        // A gateway as one tenant is bound to it.
        let mut gateway = connect(&db, "all_gateway", TENANT_A);
        for (_, sql) in &reports {
            assert_refused(&mut gateway, sql, "42501", "all tenants");
        }
        assert_eq!(
            text(
                &mut gateway,
                "SELECT string_agg(DISTINCT tenant_id::text, ',') FROM eventlog.events"
            ),
            TENANT_A
        );
        assert_eq!(
            rows(
                &mut gateway,
                &format!(
                    "SELECT tenant_id FROM eventlog.tenants_overview(tenant_id => '{TENANT_A}')"
                )
            ),
            [[TENANT_A]]
        );
    }
    let mut owner = db.connect("log_owner");
    let of_all = format!(
        "SELECT events FROM eventlog.summary(since => now() - interval '80 days', tenant_id => '{ALL}')"
    );
    let by_hand =
        "SELECT count(*) FROM eventlog.events WHERE created_at >= now() - interval '80 days'";
    assert_eq!(text(&mut owner, &of_all), text(&mut owner, by_hand));
    let sum = |report: &str, column: &str| {
        format!(
            "SELECT (SELECT sum({column}) FROM eventlog.{report}(tenant_id => '{ALL}'))
                  = (SELECT sum(r.{column}) FROM (SELECT DISTINCT tenant_id FROM eventlog.events) t, eventlog.{report}(tenant_id => t.tenant_id) r)"
        )
    };
    for (report, column) in [
        ("escalation_rate", "escalated"),
        ("escalation_rate", "conversations"),
        ("plan_changes", "changes"),
        ("checkout_conversion", "checkouts"),
        ("checkout_conversion", "converted"),
        ("ingestion_stats", "completed"),
        ("ingestion_stats", "unfinished"),
        ("quota_friction", "events"),
        ("quota_friction", "checkouts_within"),
    ] {
        assert_eq!(text(&mut owner, &sum(report, column)), "t", "{report}.{column}");
    }
}

/// The overview by hand, from raw rows.
fn by_hand(since: &str, until: &str) -> String {
    format!(
        "WITH span AS (SELECT date_trunc('day', {since}, 'UTC') AS since, {until} AS until),
              spans AS (SELECT since, until, date_trunc('hour', since - (until - since), 'UTC') AS previous FROM span),
              counted AS (
                  SELECT e.tenant_id, count(*) FILTER (WHERE e.created_at >= s.since AND e.created_at < s.until) AS events,
                         count(*) FILTER (WHERE e.created_at >= s.previous AND e.created_at < s.since) AS previous,
                         count(DISTINCT e.actor) FILTER (WHERE e.created_at >= s.since AND e.created_at < date_trunc('day', s.until + interval '1 day' - interval '1 microsecond', 'UTC')) AS actors,
                         count(*) FILTER (WHERE e.created_at >= s.since AND e.created_at < s.until AND e.name = 'skill_executed' AND e.data -> 'success' = 'false') AS failures,
                         count(*) FILTER (WHERE e.created_at >= s.since AND e.created_at < s.until AND e.name = 'skill_executed') AS outcomes,
                         max(e.created_at) FILTER (WHERE e.created_at < s.until) AS last_at
                    FROM eventlog.events e, spans s GROUP BY e.tenant_id)
         SELECT coalesce(c.tenant_id, n.tenant_id), coalesce(n.display_name, n.tenant_name), coalesce(c.events, 0), coalesce(c.previous, 0),
                round((c.events - c.previous)::numeric / nullif(c.previous, 0), 4), coalesce(c.actors, 0), coalesce(c.failures, 0),
                round(c.failures::numeric / nullif(c.outcomes, 0), 4), c.last_at
           FROM counted c FULL JOIN eventlog.tenant_names n USING (tenant_id)
          ORDER BY abs(coalesce(c.events, 0) - coalesce(c.previous, 0)) DESC, 3 DESC, 1"
    )
}

#[test]
fn the_overview_is_what_raw_rows_say_for_any_span() {
    let db = filled();
    let mut owner = db.connect("log_owner");
    let week = "now() - interval '7 days'";
    for (since, until) in [
        ("now() - interval '30 days'", "now()"),
        (week, "now()"),
        ("now()", "now()"),
        ("now() - interval '45 days 3 hours'", "now() - interval '11 days 5 minutes'"),
        ("date_trunc('day', now()) - interval '20 days'", "date_trunc('day', now())"),
        ("now() - interval '2 hours'", "now() - interval '20 minutes'"),
    ] {
        owner.batch_execute("BEGIN").unwrap();
        let expected = rows(&mut owner, &by_hand(since, until));
        let found = rows(
            &mut owner,
            &format!(
                "SELECT * FROM eventlog.tenants_overview({since}, {until}) ORDER BY abs(events - previous_events) DESC, events DESC, tenant_id"
            ),
        );
        owner.batch_execute("COMMIT").unwrap();
        // A tenant without events in the two spans is there only if it has a name, or logs now.
        let is_there = |row: &Vec<String>| found.iter().any(|other| other[0] == row[0]);
        let expected: Vec<_> = expected.into_iter().filter(is_there).collect();
        assert_eq!(found, expected, "{since}, {until}");
        let silent = found.iter().find(|row| row[1] == "silent").expect("a tenant with a name");
        assert_eq!(silent[2..5], ["0", "0", "∅"]);
    }
    assert_eq!(
        rows(&mut owner, "SELECT * FROM eventlog.tenants_overview(row_limit => 2)").len(),
        2
    );
    let some = format!(
        "SELECT tenant_id FROM eventlog.tenants_overview(tenant_ids => '{{{TENANT_B},{ALL}}}')"
    );
    assert_eq!(rows(&mut owner, &some), [[TENANT_B]]);
    assert_refused(
        &mut owner,
        "SELECT eventlog.tenants_overview(row_limit => 0)",
        "22023",
        "row_limit",
    );
    let backwards = "SELECT eventlog.tenants_overview(now(), now() - interval '1 day')";
    assert_refused(&mut owner, backwards, "22023", "since must be before until");
}

#[test]
fn the_gateways_policies_are_the_ones_that_the_server_prints() {
    let db = filled();
    let mut superuser = db.superuser();
    // Otherwise create_log() would make them again and again.
    let policies = "SELECT string_agg(oid::text, ',' ORDER BY oid) FROM pg_policy";
    let before = text(&mut superuser, policies);
    superuser.batch_execute("SELECT eventlog.create_log()").unwrap();
    assert_eq!(text(&mut superuser, policies), before);
    let mut gateway = connect(&db, "all_gateway", TENANT_A);
    let plan = rows(
        &mut gateway,
        "SET enable_seqscan = off; EXPLAIN SELECT * FROM eventlog.events WHERE created_at > now() - interval '1 hour'",
    );
    assert!(plan.concat().join("\n").contains("Index Cond: ((tenant_id >="), "{plan:?}");
}
