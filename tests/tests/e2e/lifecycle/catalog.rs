//! What CREATE EXTENSION and create_log() leave in the catalog.

use eventlog_tests::{Db, assert_refused, rows, text};

#[test]
fn every_public_function_every_table_and_every_column_has_a_comment() {
    let db = Db::new();
    let mut superuser = db.superuser();
    let silent = rows(
        &mut superuser,
        "SELECT p.oid::regprocedure::text FROM pg_proc p
          WHERE pronamespace = 'eventlog'::regnamespace AND proname NOT LIKE '\\_%' AND obj_description(p.oid, 'pg_proc') IS NULL
         UNION ALL
         SELECT c.oid::regclass::text FROM pg_class c
          WHERE relnamespace = 'eventlog'::regnamespace AND relkind IN ('r', 'p', 'v') AND obj_description(c.oid, 'pg_class') IS NULL
         UNION ALL
         SELECT c.oid::regclass || '.' || attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
          WHERE relnamespace = 'eventlog'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition AND attnum > 0
            AND col_description(c.oid, attnum) IS NULL",
    );
    assert_eq!(silent, Vec::<Vec<String>>::new());
}

#[test]
fn functions_say_what_they_are_and_none_runs_with_the_definers_rights() {
    let db = Db::new();
    let mut superuser = db.superuser();
    let wrong = rows(
        &mut superuser,
        "SELECT p.oid::regprocedure::text FROM pg_proc p JOIN pg_language l ON l.oid = prolang
          WHERE pronamespace IN ('eventlog'::regnamespace, 'eventlog_private'::regnamespace)
            AND (prosecdef AND proname <> 'admit_owner' OR (lanname <> 'c' AND NOT coalesce(proconfig, '{}') @> ARRAY['search_path=pg_catalog, pg_temp']))
            -- What commits cannot have one, and sets it in each of its transactions by this.
            AND prokind = 'f' AND proname NOT IN ('begin_step', 'use_default_formats')
            -- What becomes part of the query that calls it cannot have one either; the callers have.
            AND proname NOT IN ('_measured_events', '_number', '_has_failed', '_days_within', '_day_start',
                                '_uncountable_column', '_is_tenant', '_keys', '_earlier_midnight', '_if_within_day', '_as_count', '_happened_at', '_quantity')",
    );
    assert_eq!(wrong, Vec::<Vec<String>>::new());
    let declared = rows(
        &mut superuser,
        "SELECT proname, string_agg(DISTINCT provolatile::text || proparallel::text, ' ') FROM pg_proc p JOIN pg_language l ON l.oid = prolang
          WHERE pronamespace IN ('eventlog'::regnamespace, 'eventlog_private'::regnamespace) AND lanname = 'c'
            -- A door has a function of its own behind it.
            AND prosrc NOT IN ('as_owner_wrapper', 'as_owner_for_gateway_wrapper', 'as_reader_wrapper', 'as_role_wrapper', 'as_manager_wrapper') GROUP BY 1 ORDER BY 1",
    );
    let expected = [
        ["_check_final", "vr"],
        ["_check_step", "vr"],
        ["_checked_seals", "vr"],
        ["_day_digest", "is"],
        ["_difference_of_means", "is"],
        ["_difference_of_rates", "is"],
        ["_event_digest", "is"],
        ["_event_path", "vr"],
        ["_mismatch_p", "is"],
        ["_name_of", "ss"],
        ["_percentile", "is"],
        ["_present_within", "is"],
        ["_quarters_union", "is"],
        ["_receipt_hash", "is"],
        ["_retention_of", "is"],
        ["_seal_hash", "is"],
        ["_seal_keys", "is"],
        ["_tree_path", "is"],
        ["_tree_root", "is"],
        ["add_histograms", "is"],
        ["announced_watermark", "vr"],
        ["become_owner", "vu"],
        ["cached_tables", "is"],
        ["check_import", "ss"],
        ["collect_final", "vr"],
        ["collect_step", "vr"],
        ["count_combine", "vs"],
        ["count_deserialize", "vs"],
        ["count_final", "vs"],
        ["count_serialize", "vs"],
        ["count_step", "vs"],
        ["counted_daily_counts", "vr"],
        ["counted_daily_keys", "vr"],
        ["counted_daily_subjects", "vr"],
        ["counted_first_events", "vr"],
        ["counted_hourly_counts", "vr"],
        ["counted_hourly_keys", "vr"],
        ["counted_monthly_actors", "vr"],
        ["counted_monthly_key_actors", "vr"],
        ["counted_since", "vr"],
        ["counted_tenants", "vr"],
        ["counted_without", "vr"],
        ["current_tenant", "ss"],
        ["describe_processes", "vu"],
        ["erase_tenant", "vu"],
        ["experiment_final", "is"],
        ["experiment_step", "is"],
        ["forget_counts", "vr"],
        ["funnel_final", "is"],
        ["funnel_step", "is"],
        ["guard", "vu"],
        ["hash_actor", "vu"],
        ["hash_key_id", "vu"],
        ["histogram_final", "is"],
        ["histogram_step", "is"],
        ["late_event", "vu"],
        ["let_collected_go", "vu"],
        ["list_events_of_seals", "vu"],
        ["log_event", "vu"],
        ["log_events", "vu"],
        ["machine_boot", "vs"],
        ["machine_uptime", "vs"],
        ["merge_histograms_step", "is"],
        ["name_tenant", "vu"],
        ["period_actors_final", "is"],
        ["period_actors_step", "is"],
        ["presence_final", "is"],
        ["presence_step", "is"],
        ["processes", "vu"],
        ["quarters_before", "is"],
        ["quarters_final", "is"],
        ["quarters_step", "is"],
        ["registry_changed", "vu"],
        ["replay_event", "vu"],
        ["seal_final", "vr"],
        ["seal_step", "vr"],
        ["sealed_blocks", "vr"],
        ["sealed_seals", "vr"],
        ["take_lock", "vu"],
        ["tenant", "is"],
        ["try_log_event", "vu"],
        ["validate_event", "su"],
    ];
    assert_eq!(declared, expected);
}

/// Finds a symbol that is missing or takes other arguments than are declared.
#[test]
fn every_declared_function_can_be_called() {
    let db = Db::new();
    let mut superuser = db.superuser();
    let calls = rows(
        &mut superuser,
        "SELECT format('%s eventlog.%I(%s)', CASE prokind WHEN 'p' THEN 'CALL' ELSE 'SELECT * FROM' END, proname,
                       (SELECT string_agg('NULL::' || t::regtype, ', ') FROM unnest(proargtypes) AS t))
           FROM pg_proc WHERE pronamespace = 'eventlog'::regnamespace AND prorettype <> 'trigger'::regtype
            AND prokind <> 'a' AND NOT 'internal'::regtype = ANY (proargtypes)",
    );
    assert!(calls.len() > 20, "{calls:?}");
    for call in calls {
        superuser.batch_execute("BEGIN").unwrap();
        if let Err(error) = superuser.simple_query(&call[0]) {
            let error = eventlog_tests::ask::db_error(error, &call[0]);
            assert_ne!(error.code().code(), "42883", "{error:?}");
        }
        superuser.batch_execute("ROLLBACK").unwrap();
    }
}

#[test]
fn a_function_of_a_trigger_says_that_it_is_one_when_it_is_called() {
    let db = Db::new();
    let mut superuser = db.superuser();
    let functions = "SELECT format('SELECT %s()', oid::regproc) FROM pg_proc
                      WHERE pronamespace IN ('eventlog'::regnamespace, 'eventlog_private'::regnamespace) AND prorettype = 'trigger'::regtype";
    let calls = rows(&mut superuser, functions).concat();
    assert!(calls.len() >= 4, "{calls:?}");
    for call in calls {
        let error = superuser.batch_execute(&call).expect_err(&call);
        let error = error.as_db_error().expect("the server's");
        // PL/pgSQL's own is 0A000.
        assert!(["39P01", "0A000"].contains(&error.code().code()), "{call}: {error:?}");
        assert!(error.message().contains("can only be called as"), "{call}: {error:?}");
    }
}

#[test]
fn every_relation_of_the_log_is_closed_by_row_level_security_and_open_to_nobody_by_default() {
    let db = Db::empty();
    let mut superuser = db.superuser();
    superuser
        .batch_execute(
            "CREATE EXTENSION eventlog;
             ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC;
             ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO PUBLIC, outsider;
             ALTER DEFAULT PRIVILEGES FOR ROLE log_owner GRANT ALL ON TABLES TO PUBLIC, writer;
             SELECT eventlog.create_log(owner => 'log_owner')",
        )
        .unwrap();
    let open = "SELECT c.oid::regclass::text FROM pg_class c
                 WHERE relnamespace = 'eventlog'::regnamespace AND relkind IN ('r', 'p', 'S')
                   AND ((relkind <> 'S' AND NOT relrowsecurity) OR relowner <> 'log_owner'::regrole
                        OR EXISTS (SELECT FROM aclexplode(relacl) WHERE grantee <> relowner))";
    assert_eq!(rows(&mut superuser, open), Vec::<Vec<String>>::new());
    // A partition that an event makes is closed as well.
    superuser
        .batch_execute(
            "SELECT eventlog.define_event('ping');
             DO $$ DECLARE p record; BEGIN FOR p IN SELECT partition_name FROM eventlog._partitions LOOP
                EXECUTE format('DROP TABLE eventlog.%I', p.partition_name); END LOOP; END $$;
             SELECT eventlog.grant_writer('writer');
             SET SESSION AUTHORIZATION writer;
             SET eventlog.tenant_id = 'aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa';
             SELECT eventlog.log_event(NULL, 'ping');
             RESET SESSION AUTHORIZATION",
        )
        .unwrap();
    assert_eq!(text(&mut superuser, "SELECT count(*) FROM eventlog._partitions"), "1");
    let open = open.replace("relkind IN", "relispartition AND relkind IN");
    assert_eq!(rows(&mut superuser, &open), Vec::<Vec<String>>::new());
}

#[test]
fn create_log_is_idempotent_and_keeps_what_was_changed() {
    let db = Db::new();
    let mut superuser = db.superuser();
    superuser
        .batch_execute(
            "SELECT eventlog.define_event('message_sent', max_bytes => 4096);
             SELECT eventlog.define_event('own', required_keys => '{a}');
             DELETE FROM eventlog.event_types WHERE name = 'plan_updated'",
        )
        .unwrap();
    let catalog = "SELECT c.oid::regclass::text, relacl::text, relowner::regrole::text, relrowsecurity,
                          obj_description(c.oid), (SELECT count(*) FROM pg_policy WHERE polrelid = c.oid),
                          (SELECT count(*) FROM pg_trigger WHERE tgrelid = c.oid)
                     FROM pg_class c WHERE relnamespace = 'eventlog'::regnamespace ORDER BY 1";
    let before = (
        rows(&mut superuser, catalog),
        rows(&mut superuser, "SELECT * FROM eventlog.event_types ORDER BY name"),
    );
    superuser.batch_execute("SELECT eventlog.create_log(); SELECT eventlog.create_log()").unwrap();
    let after = (
        rows(&mut superuser, catalog),
        rows(&mut superuser, "SELECT * FROM eventlog.event_types ORDER BY name"),
    );
    assert_eq!(before, after);
    superuser
        .batch_execute(
            "SELECT eventlog.create_log(retention => '30 days', taxonomies => '{billing}')",
        )
        .unwrap();
    assert_eq!(text(&mut superuser, "SELECT retention FROM eventlog.log_config"), "30 days");
    superuser.batch_execute("SELECT eventlog.create_log()").unwrap();
    assert_eq!(text(&mut superuser, "SELECT retention FROM eventlog.log_config"), "30 days");
    assert_eq!(
        text(
            &mut superuser,
            "SELECT count(*) FROM eventlog.event_types WHERE name = 'plan_updated'"
        ),
        "1"
    );
}

#[test]
fn create_log_takes_its_arguments_and_refuses_bad_ones() {
    let db = Db::empty();
    let mut superuser = db.superuser();
    superuser.batch_execute("CREATE EXTENSION eventlog").unwrap();
    assert_refused(
        &mut superuser,
        "SELECT eventlog.create_log(taxonomies => '{biling}')",
        "22023",
        "unknown taxonomy \"biling\"",
    );
    assert_refused(
        &mut superuser,
        "SELECT eventlog.create_log(partition_interval => '1 month 3 days')",
        "22023",
        "partition_interval",
    );
    assert_refused(
        &mut superuser,
        "SELECT eventlog.create_log(partition_interval => '1 second')",
        "22023",
        "partition_interval",
    );
    assert_refused(
        &mut superuser,
        "SELECT eventlog.create_log(retention => '-1 day')",
        "22023",
        "retention",
    );
    assert_refused(
        &mut superuser,
        "SELECT eventlog.create_log(partition_interval => '1 hour', premake => '1 year')",
        "54000",
        "partitions of 01:00:00, limit 1200",
    );
    assert_refused(
        &mut superuser,
        "SELECT eventlog.create_log(owner => 'nobody_of_that_name')",
        "42704",
        "nobody_of_that_name",
    );
    superuser
        .batch_execute(
            "SELECT eventlog.create_log(owner => 'log_owner', partition_interval => '1 week', retention => '1 year',
                        premake => '1 month', taxonomies => '{billing,usage}')",
        )
        .unwrap();
    let domains = text(
        &mut superuser,
        "SELECT string_agg(DISTINCT domain, ',' ORDER BY domain) FROM eventlog.event_types",
    );
    assert_eq!(domains, "billing,usage");
    let spans =
        rows(&mut superuser, "SELECT DISTINCT until_at - from_at FROM eventlog._partitions");
    assert_eq!(spans, [["7 days"]]);
    let gaps = "SELECT count(*) FROM (SELECT from_at, lag(until_at) OVER (ORDER BY from_at) AS before FROM eventlog._partitions) p
                 WHERE before <> from_at";
    assert_eq!(text(&mut superuser, gaps), "0");
    let taxonomy = text(&mut superuser, "SELECT count(*) FROM eventlog_private.starter_taxonomy()");
    assert_eq!(taxonomy, "18");
}

#[test]
fn a_dba_without_superuser_rights_can_own_the_log() {
    let db = Db::empty();
    let mut superuser = db.superuser();
    superuser.batch_execute("CREATE EXTENSION eventlog").unwrap();
    let mut dba = db.connect("dba");
    assert_refused(&mut dba, "SELECT eventlog.create_log()", "42501", "permission denied");
    superuser
        .batch_execute(
            "GRANT USAGE, CREATE ON SCHEMA eventlog TO dba WITH GRANT OPTION;
                        GRANT USAGE ON SCHEMA eventlog_private TO dba",
        )
        .unwrap();
    dba.batch_execute("SELECT eventlog.create_log(); SELECT eventlog.grant_service('service')")
        .unwrap();
    let owners = rows(
        &mut superuser,
        "SELECT DISTINCT relowner::regrole FROM pg_class WHERE relnamespace = 'eventlog'::regnamespace AND relkind IN ('r', 'p')",
    );
    assert_eq!(owners, [["dba"]]);
    let mut service = db.connect("service");
    text(
        &mut service,
        "SELECT eventlog.log_event(gen_random_uuid(), 'conversation_started', '{\"sessionId\": 1, \"conversationId\": 2}')",
    );
}
