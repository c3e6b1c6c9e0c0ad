//! What holds for every report, with the reports taken from the catalog: whose rows it shows, what it
//! refuses, and that nothing planted changes it.

use eventlog_tests::ask::db_error;
use eventlog_tests::cluster::major_version;
use eventlog_tests::{Db, TENANT_A, TENANT_B, assert_refused, rows, text};
use postgres::Client;

/// A report: a function that reads, of a tenant that can be named.
pub(crate) struct Report {
    pub(crate) name: String,
    arguments: Vec<String>,
    /// Those of its arguments that are arrays.
    pub(crate) arrays: Vec<String>,
}

impl Report {
    pub(crate) fn has(&self, argument: &str) -> bool {
        self.arguments.iter().any(|name| name == argument)
    }

    /// A call with arguments by name, and those that have no default.
    pub(crate) fn call(&self, arguments: &[(&str, &str)]) -> String {
        let mut given: Vec<String> =
            arguments.iter().map(|(name, value)| format!("{name} => {value}")).collect();
        for (name, value) in [
            ("exposure", "skill_executed"),
            ("variant_key", "skillName"),
            ("metric", "plan_updated"),
        ] {
            if self.has(name) && !arguments.iter().any(|(given, _)| *given == name) {
                given.push(format!("{name} => '{value}'"));
            }
        }
        if self.has("steps") && !arguments.iter().any(|(name, _)| *name == "steps") {
            given.push("steps => '{conversation_started,skill_executed}'".to_owned());
        }
        if self.has("step") && !arguments.iter().any(|(name, _)| *name == "step") {
            given.push("step => 2".to_owned());
        }
        format!("SELECT * FROM eventlog.{}({})", self.name, given.join(", "))
    }

    /// A call over all events of [`filled`].
    pub(crate) fn of_all(&self, tenant: Option<&str>) -> String {
        self.cut(tenant, &[])
    }

    /// The same with more arguments.
    fn cut(&self, tenant: Option<&str>, more: &[(&str, &str)]) -> String {
        let tenant = tenant.map(|tenant| format!("'{tenant}'"));
        let mut arguments = more.to_vec();
        if self.has("since") {
            arguments.extend([("since", "'2026-01-01'"), ("until", "'2026-01-20'")]);
        }
        if let Some(tenant) = &tenant {
            arguments.push(("tenant_id", tenant));
        }
        self.call(&arguments)
    }
}

pub(crate) fn reports(client: &mut Client) -> Vec<Report> {
    let found: Vec<Report> = rows(
        client,
        "SELECT proname, array_to_string(proargnames[:pronargs], ' '),
                array_to_string(ARRAY(SELECT proargnames[n] FROM generate_series(1, pronargs) AS n
                                       WHERE proargtypes[n - 1] IN ('text[]'::regtype, 'bigint[]'::regtype)), ' ')
           FROM pg_proc
          WHERE pronamespace = 'eventlog'::regnamespace AND provolatile = 's' AND proname !~ '^_'
            AND 'tenant_id' = ANY (proargnames[:pronargs]) ORDER BY proname",
    )
    .into_iter()
    .map(|row| Report {
        name: row[0].clone(),
        arguments: row[1].split(' ').map(str::to_owned).collect(),
        arrays: row[2].split_whitespace().map(str::to_owned).collect(),
    })
    .collect();
    assert!(found.len() >= 19, "{}", found.len());
    found
}

/// Events of all the names that reports ask for, of two tenants, in the rollups, late, and raw.
pub(crate) fn filled() -> Db {
    let db = Db::new();
    db.superuser()
        .batch_execute(
            "SELECT eventlog.create_log(retention => '50 years');
             CREATE TABLE public.source (id bigint, tenant_id uuid, name text, data jsonb, created_at timestamptz, actor text, subject text);
             GRANT SELECT, INSERT, DELETE ON public.source TO log_owner",
        )
        .unwrap();
    let mut owner = db.connect("log_owner");
    for (part, is_last) in [(0, false), (1, true)] {
        for (tenant, events) in [(TENANT_A, 4), (TENANT_B, 7)] {
            owner
                .batch_execute(&format!(
                    r#"INSERT INTO public.source
                       SELECT (n * 2 + {part}) * 100 + p + CASE '{tenant}' WHEN '{TENANT_A}' THEN 0 ELSE 50 END, '{tenant}', name,
                              replace(data, '%', left('{tenant}', 1) || n)::jsonb,
                              timestamptz '2026-01-02' + (n * 2 + {part}) * interval '31 hours' + p * interval '1 minute',
                              left('{tenant}', 1) || '-actor-' || n % ({events} - 2), left('{tenant}', 1) || '-subject-' || n % ({events} - 2)
                         FROM generate_series(1, {events}) AS n,
                              (VALUES (1, 'conversation_started', '{{"sessionId": "s%", "conversationId": "%"}}'),
                                      (2, 'escalation_triggered', '{{"reason": "r", "conversationId": "%"}}'),
                                      (3, 'ingest_started', '{{"sourceType": "web", "url": "%"}}'),
                                      (4, 'ingest_completed', '{{"sourceType": "web", "url": "%", "docs": 3, "chunks": 9}}'),
                                      (5, 'quota_exceeded', '{{"quotaType": "docs %", "limit": 1, "attempted": 2}}'),
                                      (6, 'checkout_completed', '{{"plan": "pro %", "stripeSessionId": "x"}}'),
                                      (7, 'plan_updated', '{{"previousPlan": "free", "newPlan": "pro %", "status": "active"}}'),
                                      (8, 'integration_succeeded', '{{"integrationId": "%", "type": "crm"}}'),
                                      (9, 'integration_failed', '{{"integrationId": "%", "type": "crm", "errorCode": "e%"}}'),
                                      (10, 'skill_executed', '{{"skillName": "%", "success": false, "durationMs": 70, "errorType": "t%"}}')
                              ) AS e (p, name, data)"#
                ))
                .unwrap();
        }
        let counts = "SELECT rejected FROM eventlog.import_events('public.source')";
        assert_eq!(text(&mut owner, counts), "0");
        if !is_last {
            owner.batch_execute("CALL eventlog.maintain()").unwrap();
        }
    }
    assert_eq!(text(&mut owner, "SELECT count(*) FROM eventlog.late_events"), "110");
    owner
        .batch_execute(&format!(
            "INSERT INTO eventlog.rejected_events (tenant_id, name, data, sqlstate, reason, role_name, created_at)
             SELECT t, n, '{{}}', '23514', left(t::text, 1) || ' broke a rule', 'service', timestamptz '2026-01-05' + g * interval '1 hour'
               FROM unnest('{{{TENANT_A},{TENANT_B}}}'::uuid[]) AS t, unnest('{{skill_executed,integration_failed}}'::text[]) AS n,
                    generate_series(1, 2) AS g"
        ))
        .unwrap();
    db
}

/// The answer of a report in a transaction that is under way, as a role with a tenant set.
fn answer(client: &mut Client, role: &str, tenant: &str, sql: &str) -> Vec<Vec<String>> {
    client
        .batch_execute(&format!("SET LOCAL eventlog.tenant_id = '{tenant}'; SET LOCAL ROLE {role}"))
        .unwrap();
    let answer = rows(client, sql);
    client.batch_execute("SET LOCAL ROLE NONE").unwrap();
    answer
}

#[test]
fn every_report_shows_a_tenants_role_its_own_rows_only() {
    let db = filled();
    let mut superuser = db.superuser();
    for report in reports(&mut superuser) {
        // One transaction, in which now() is one moment.
        superuser.batch_execute("BEGIN").unwrap();
        let own = answer(&mut superuser, "reader", TENANT_A, &report.of_all(None));
        let named = answer(&mut superuser, "reader", TENANT_A, &report.of_all(Some(TENANT_A)));
        let of_service = answer(&mut superuser, "service", "", &report.of_all(Some(TENANT_A)));
        let of_other = answer(&mut superuser, "service", "", &report.of_all(Some(TENANT_B)));
        assert!(own.iter().flatten().any(|value| value != "0" && value != "∅"), "{}", report.name);
        if report.name != "deflection_rate" {
            assert_ne!(own, of_other, "{}", report.name);
        }
        assert_eq!((&own, &own), (&named, &of_service), "{}", report.name);
        // Nor does a filter, a breakdown or a time zone show another one's.
        let mut cuts = Vec::new();
        for cut in [
            ("filters", r#"'{"data.skillName": {"not": "x"}, "subject": {"present": true}}'"#),
            ("filters", r#"'{"name": {"not": "x"}}'"#),
            ("breakdown", "'data.skillName'"),
            ("breakdown", "'data.url'"),
            ("time_zone", "'Asia/Kolkata'"),
        ] {
            if report.has(cut.0) {
                let call = report.cut(None, &[cut]);
                let found = answer(&mut superuser, "reader", TENANT_A, &call);
                let of_other = report.cut(Some(TENANT_B), &[cut]);
                assert_ne!(found, answer(&mut superuser, "service", "", &of_other), "{call}");
                cuts.push((call, found));
            }
        }

        // And it is what it is without the other tenant's rows.
        let tables = rows(
            &mut superuser,
            "SELECT table_name FROM eventlog_private.relations() WHERE readers_see = 'own'",
        );
        for table in tables {
            superuser
                .batch_execute(&format!(
                    "DELETE FROM eventlog.{} WHERE tenant_id = '{TENANT_B}'",
                    table[0]
                ))
                .unwrap();
        }
        assert_eq!(answer(&mut superuser, "reader", TENANT_A, &report.of_all(None)), own);
        for (call, expected) in cuts {
            assert_eq!(answer(&mut superuser, "reader", TENANT_A, &call), expected, "{call}");
        }
        superuser.batch_execute("ROLLBACK").unwrap();
    }
}

#[test]
fn a_report_needs_a_tenant_and_refuses_another_tenants() {
    let db = filled();
    let mut reader = db.connect("reader");
    let mut service = db.connect("service");
    let mut writer = db.connect_as("writer", TENANT_A);
    let mut outsider = db.connect_as("outsider", TENANT_A);
    for report in reports(&mut db.superuser()) {
        assert_refused(&mut reader, &report.of_all(None), "42501", "no tenant");
        // Which is of all tenants for those who may read them.
        if report.name != "tenants_overview" {
            assert_refused(&mut service, &report.of_all(None), "42501", "no tenant");
        }
        assert_refused(&mut writer, &report.of_all(None), "42501", "permission denied");
        assert_refused(&mut outsider, &report.of_all(None), "42501", "permission denied");
        reader.batch_execute(&format!("SET eventlog.tenant_id = '{TENANT_B}'")).unwrap();
        let other = report.of_all(Some(TENANT_A));
        assert_refused(&mut reader, &other, "42501", "is not the tenant of this connection");
        // Policies that are switched off are an error, not a way around.
        reader.batch_execute("SET row_security = off").unwrap();
        assert_refused(&mut reader, &other, "42501", "");
        assert_refused(&mut reader, &report.of_all(None), "42501", "row-level security");
        reader.batch_execute("RESET row_security; RESET eventlog.tenant_id").unwrap();
    }
    // It compares the events of all tenants.
    assert_refused(&mut service, "SELECT * FROM eventlog.verify_rollups()", "42501", "belongs to");
    assert!(
        rows(&mut db.connect("log_owner"), "SELECT * FROM eventlog.verify_rollups()").is_empty()
    );
}

#[test]
fn a_report_is_the_same_with_planted_objects_in_parallel_and_read_only() {
    let db = filled();
    let mut superuser = db.superuser();
    superuser
        .batch_execute(&format!(
            "GRANT ALL ON SCHEMA public TO PUBLIC; GRANT TEMPORARY ON DATABASE {} TO PUBLIC",
            db.name
        ))
        .unwrap();
    let reports = reports(&mut superuser);
    let ask = |client: &mut Client| -> Vec<Vec<Vec<String>>> {
        let calls = reports.iter().map(|report| report.of_all(None));
        // Not the days until now.
        calls
            .map(|call| {
                rows(
                    client,
                    &call.replace(
                        "* FROM eventlog.unused",
                        "subject, last_used_at, events FROM eventlog.unused",
                    ),
                )
            })
            .collect()
    };
    let mut reader = db.connect_as("reader", TENANT_A);
    let expected = ask(&mut reader);

    let everywhere = |schema: &str| {
        format!(
            "CREATE FUNCTION {schema}.yes(uuid, uuid) RETURNS boolean LANGUAGE sql AS 'SELECT true';
             CREATE FUNCTION {schema}.yes(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT true';
             CREATE FUNCTION {schema}.yes(timestamptz, timestamptz) RETURNS boolean LANGUAGE sql AS 'SELECT true';
             CREATE FUNCTION {schema}.none(jsonb, text) RETURNS text LANGUAGE sql AS 'SELECT NULL::text';
             CREATE OPERATOR {schema}.= (LEFTARG = uuid, RIGHTARG = uuid, FUNCTION = {schema}.yes);
             CREATE OPERATOR {schema}.= (LEFTARG = text, RIGHTARG = text, FUNCTION = {schema}.yes);
             CREATE OPERATOR {schema}.<> (LEFTARG = uuid, RIGHTARG = uuid, FUNCTION = {schema}.yes);
             CREATE OPERATOR {schema}.< (LEFTARG = timestamptz, RIGHTARG = timestamptz, FUNCTION = {schema}.yes);
             CREATE OPERATOR {schema}.>= (LEFTARG = timestamptz, RIGHTARG = timestamptz, FUNCTION = {schema}.yes);
             CREATE OPERATOR {schema}.->> (LEFTARG = jsonb, RIGHTARG = text, FUNCTION = {schema}.none);
             CREATE FUNCTION {schema}.now() RETURNS timestamptz LANGUAGE sql AS $$ SELECT '2000-01-01'::timestamptz $$;
             CREATE FUNCTION {schema}.current_tenant() RETURNS uuid LANGUAGE sql AS $$ SELECT '{TENANT_B}'::uuid $$;
             CREATE FUNCTION {schema}.row_security_active(text) RETURNS boolean LANGUAGE sql AS 'SELECT false';
             CREATE FUNCTION {schema}._report_tenant(uuid) RETURNS uuid LANGUAGE sql AS $$ SELECT '{TENANT_B}'::uuid $$;
             CREATE FUNCTION {schema}.round(double precision) RETURNS double precision LANGUAGE sql AS 'SELECT 0::double precision';
             CREATE FUNCTION {schema}.date_trunc(text, timestamptz) RETURNS timestamptz LANGUAGE sql AS 'SELECT 1/0; SELECT now()';
             CREATE DOMAIN {schema}.date AS text; CREATE DOMAIN {schema}.uuid AS text;"
        )
    };
    reader.batch_execute(&everywhere("public")).unwrap();
    reader.batch_execute(&everywhere("pg_temp")).unwrap();
    let relations = rows(
        &mut superuser,
        "SELECT relname FROM pg_class WHERE relnamespace = 'eventlog'::regnamespace AND relkind IN ('r', 'p', 'v') AND NOT relispartition",
    );
    for relation in relations {
        reader
            .batch_execute(&format!(
                "CREATE TEMP TABLE {} (tenant_id pg_catalog.uuid)",
                relation[0]
            ))
            .unwrap();
    }
    for path in [
        "''",
        "public, pg_catalog",
        "pg_temp, public, pg_catalog, eventlog",
        "eventlog, pg_catalog",
        "nowhere",
    ] {
        reader.batch_execute(&format!("SET search_path = {path}")).unwrap();
        assert_eq!(ask(&mut reader), expected, "{path}");
    }

    let parallel =
        if major_version() < 16 { "force_parallel_mode" } else { "debug_parallel_query" };
    let mut reader = db.connect_as("reader", TENANT_A);
    // Even this would be a parallel query then, during which it is too late to load the library.
    text(&mut reader, "SELECT eventlog.current_tenant()");
    reader
        .batch_execute(&format!(
            "SET {parallel} = on; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0;
             SET min_parallel_table_scan_size = 0; SET min_parallel_index_scan_size = 0"
        ))
        .unwrap();
    assert_eq!(ask(&mut reader), expected);
    reader.batch_execute("SET default_transaction_read_only = on").unwrap();
    assert_eq!(ask(&mut reader), expected);
}

#[test]
fn a_report_refuses_bad_arguments_with_a_standard_sqlstate() {
    let db = Db::new();
    let mut reader = db.connect_as("reader", TENANT_A);
    let (mut spans, mut limits) = (0, 0);
    for report in reports(&mut db.superuser()) {
        let mut check = |sqlstate: &str, message: &str, arguments: &[(&str, &str)]| {
            assert_refused(&mut reader, &report.call(arguments), sqlstate, message);
        };
        if report.has("since") {
            spans += 1;
            check(
                "22023",
                "since must be before until",
                &[("since", "'2026-02-01'"), ("until", "'2026-01-01'")],
            );
            // Whose span depends on the time zone.
            let has_own = ["active_actors", "cohort_retention", "usage_summary"]
                .contains(&report.name.as_str());
            if !has_own {
                check(
                    "22023",
                    "since must be before until",
                    &[("since", "'2026-02-01'"), ("until", "NULL")],
                );
            }
            check(
                "22023",
                "since must be before until",
                &[("since", "'infinity'"), ("until", "'2026-01-01'")],
            );
            if !has_own {
                check(
                    "22023",
                    "since must be before until",
                    &[("since", "NULL"), ("until", "'2026-01-01'")],
                );
            }
            // Which show single rows, and read no more of them than are asked for.
            if !["get_events", "get_rejected"].contains(&report.name.as_str()) {
                check("22023", "since must be before until", &[("until", "'infinity'")]);
                check(
                    "22023",
                    "since must be before until",
                    &[("since", "'-infinity'"), ("until", "'2026-01-01'")],
                );
                let ages = [("since", "'2010-01-01'"), ("until", "'2026-01-01'")];
                check("54000", "limit 3700", &ages);
                // More than an interval holds.
                let all = [("since", "'4713-01-02 BC'"), ("until", "'290000-01-01'")];
                check("54000", "limit 3700", &all);
            }
        }
        if report.has("row_limit") {
            limits += 1;
            for limit in ["0", "-1", "10001", "NULL"] {
                check("22023", "must be from 1 to 10000", &[("row_limit", limit)]);
            }
        }
        if report.has("within") {
            for within in ["'0'", "'-1 day'", "NULL"] {
                // Without one an experiment counts until the end of the span.
                if report.name != "experiment_results" || within != "NULL" {
                    check("22023", "within must be positive", &[("within", within)]);
                }
            }
        }
        if report.has("time_zone") {
            check("22023", "not recognized", &[("time_zone", "'Mars/Olympus'")]);
            check("22004", "time_zone", &[("time_zone", "NULL")]);
        }
        if report.has("steps") {
            let many = "string_to_array(repeat('a,', 20) || 'a', ',')";
            for steps in ["'{}'", "NULL", "'{a,NULL}'", many] {
                check("22023", "1 to 20 steps", &[("steps", steps)]);
            }
            check("22023", "by must not be null", &[("by", "NULL")]);
        }
        // At the ends of time, whatever it says, no internal error.
        for end in ["'4713-01-02 BC'", "'294276-12-30'"] {
            if report.has("since") {
                let call = report.call(&[("since", end), ("until", end)]);
                if let Err(error) = reader.simple_query(&call) {
                    drop(db_error(error, &call));
                }
            }
        }
    }
    assert!(spans >= 18 && limits >= 3, "{spans}, {limits}");
    for (call, sqlstate, message) in [
        ("cohort_retention(period => 'year')", "22023", "unknown period \"year\""),
        ("cohort_retention(period => NULL)", "22023", "unknown period"),
        (
            "cohort_retention(period => 'day', since => '2020-01-01', until => '2026-01-01')",
            "54000",
            "limit 600",
        ),
        (
            "cohort_retention(since => '2026-01-08', until => '2026-01-07')",
            "22023",
            "since must be before until",
        ),
        ("events_per_hour(since => '2024-01-01', until => '2026-01-01')", "54000", "limit 8784"),
        ("unused_subjects('-1 day')", "22023", "idle_for"),
        ("unused_subjects(NULL)", "22023", "idle_for"),
        ("get_events(before_id => 1)", "22023", "must be given together"),
        ("get_events(before_created_at => now())", "22023", "must be given together"),
        ("events_per_day(tenant_id => 'x')", "22P02", "uuid"),
    ] {
        assert_refused(&mut reader, &format!("SELECT * FROM eventlog.{call}"), sqlstate, message);
    }
}
