\echo Use "ALTER EXTENSION eventlog UPDATE TO '0.2.0'" to load this file. \quit

-- The head of the upgrade script: what CREATE OR REPLACE cannot do. The files of sql/ follow it, with each
-- function and view replaced in place. Never drop what a policy, a trigger or a view depends on (guard,
-- current_tenant, any_tenant, events_append_only, registry_changed, erase_tenant, …), nor what the library
-- of 0.1.0 calls by name in sessions that still have it loaded (_covering_partition, _lock_partitions,
-- _make_partition).
--
-- Tables belong to the log, not to the extension: SELECT eventlog.migrate_log() changes them.

-- The last file grants new objects; this keeps what a DBA granted or revoked.
DO $$
DECLARE
    function pg_catalog.record;
BEGIN
    PERFORM pg_catalog.set_config('eventlog_upgrade.former', (
        SELECT pg_catalog.array_agg(d.objid) FROM pg_catalog.pg_depend d
         WHERE d.deptype OPERATOR(pg_catalog.=) 'e'
           AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_extension'::pg_catalog.regclass
           AND d.refobjid OPERATOR(pg_catalog.=) (SELECT e.oid FROM pg_catalog.pg_extension e WHERE e.extname OPERATOR(pg_catalog.=) 'eventlog'))::pg_catalog.text, true);

    -- These have more arguments now. Functions and views of users that depend on one keep working with it.
    FOR function IN
        SELECT p.oid::pg_catalog.regprocedure AS signature, p.proname AS name, p.proacl AS acl,
               EXISTS (SELECT FROM pg_catalog.pg_depend d
                        WHERE d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass
                          AND d.refobjid OPERATOR(pg_catalog.=) p.oid AND d.deptype OPERATOR(pg_catalog.=) 'n') AS is_used
          FROM pg_catalog.pg_proc p
         WHERE p.pronamespace OPERATOR(pg_catalog.=) 'eventlog'::pg_catalog.regnamespace
           AND p.proname OPERATOR(pg_catalog.=) ANY (ARRAY['define_event', 'set_tenant', 'reference_tenants', 'active_actors', 'cohort_retention', 'escalation_rate', 'funnel', 'usage_summary']::pg_catalog.name[])
    LOOP
        PERFORM pg_catalog.set_config(pg_catalog.format('eventlog_upgrade.acl_of_%s', function.name),
                                      coalesce(function.acl::pg_catalog.text, ''), true);
        IF function.is_used THEN
            EXECUTE pg_catalog.format('ALTER FUNCTION %s RENAME TO %I', function.signature,
                                      pg_catalog.format('_%s_0_1_0', function.name));
        ELSE
            EXECUTE pg_catalog.format('DROP FUNCTION %s', function.signature);
        END IF;
    END LOOP;

    -- Private functions are in a schema of their own now.
    FOR function IN
        SELECT p.oid::pg_catalog.regprocedure AS signature
          FROM pg_catalog.pg_proc p
         WHERE p.pronamespace OPERATOR(pg_catalog.=) 'eventlog'::pg_catalog.regnamespace
           AND pg_catalog.starts_with(p.proname::pg_catalog.text, '_')
           AND p.proname OPERATOR(pg_catalog.<>) ALL (ARRAY['_covering_partition', '_lock_partitions', '_make_partition', '_require_log',
                   '_require_owner', '_stat_rejected', '_stat_hygiene', '_rules_of', '_default_rules', '_define_event_0_1_0',
                   '_set_tenant_0_1_0']::pg_catalog.name[])
    LOOP
        EXECUTE pg_catalog.format('DROP FUNCTION %s', function.signature);
    END LOOP;

    IF pg_catalog.to_regproc('eventlog._define_event_0_1_0') IS NOT NULL THEN
        CREATE OR REPLACE FUNCTION eventlog._define_event_0_1_0(
            name             text,
            domain           text    DEFAULT NULL,
            description      text    DEFAULT NULL,
            required_keys    text[]  DEFAULT NULL,
            optional_keys    text[]  DEFAULT NULL,
            allow_other_keys boolean DEFAULT NULL,
            allowed_values   jsonb   DEFAULT NULL,
            max_bytes        integer DEFAULT NULL,
            actor_key        text    DEFAULT NULL,
            subject_keys     text[]  DEFAULT NULL,
            duration_key     text    DEFAULT NULL,
            success_key      text    DEFAULT NULL,
            error_key        text    DEFAULT NULL,
            occurred_at_key  text    DEFAULT NULL,
            default_values   jsonb   DEFAULT NULL,
            default_when_key text    DEFAULT NULL,
            sample_rate      double precision DEFAULT NULL,
            sample_key       text    DEFAULT NULL,
            redact_keys      text[]  DEFAULT NULL,
            hash_keys        text[]  DEFAULT NULL,
            hash_actor       boolean DEFAULT NULL,
            path_keys        text[]  DEFAULT NULL,
            status           text    DEFAULT NULL,
            successor        text    DEFAULT NULL
        ) RETURNS void
        LANGUAGE sql VOLATILE PARALLEL UNSAFE
        SET search_path = pg_catalog, pg_temp
        AS 'SELECT eventlog.define_event(name => $1, domain => $2, description => $3, required_keys => $4,
                optional_keys => $5, allow_other_keys => $6, allowed_values => $7, max_bytes => $8, actor_key => $9,
                subject_keys => $10, duration_key => $11, success_key => $12, error_key => $13, occurred_at_key => $14,
                default_values => $15, default_when_key => $16, sample_rate => $17, sample_key => $18, redact_keys => $19,
                hash_keys => $20, hash_actor => $21, path_keys => $22, status => $23, successor => $24)';
    END IF;
    IF pg_catalog.to_regproc('eventlog._set_tenant_0_1_0') IS NOT NULL THEN
        CREATE OR REPLACE FUNCTION eventlog._set_tenant_0_1_0(
            tenant_id         uuid,
            is_opted_out      boolean DEFAULT NULL,
            max_bytes         integer DEFAULT NULL,
            events_per_minute integer DEFAULT NULL,
            over_quota        text    DEFAULT NULL
        ) RETURNS void
        LANGUAGE sql VOLATILE PARALLEL UNSAFE
        SET search_path = pg_catalog, pg_temp
        AS 'SELECT eventlog.set_tenant(tenant_id => $1, is_opted_out => $2, max_bytes => $3, events_per_minute => $4,
                over_quota => $5)';
    END IF;
END
$$;

