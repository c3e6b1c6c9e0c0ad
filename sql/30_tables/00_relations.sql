-- The list of the log's tables, and the functions that make them. Each table has a file here with a
-- function create_<table>(), which creates the table where it is missing, adds the columns that an
-- older log lacks, and comments all of it.

-- The tables of the log in the order in which they are created, partitions left out. Whatever needs a
-- list of tables asks this one.
--   layout        the layout that the table came with: 1 is 0.1.0, 2 is 0.2.0
--   readers_see   what grant_reader() lets a role read: its tenant's "own" rows, "all" rows (which then
--                 hold nothing of a tenant), or nothing (null)
--   is_cached     true: the library keeps a copy (it says so itself), and a trigger invalidates that copy
--   key           the constraint <table>_pkey (or _key, where it is not the primary key)
CREATE FUNCTION eventlog_private.relations()
RETURNS TABLE (table_name name, layout integer, readers_see text, is_cached boolean, key text)
LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 40
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT v.table_name, v.layout, v.readers_see, v.table_name = ANY (eventlog_private.cached_tables()), v.key
      FROM (VALUES
        ('events'::name,         1, 'own', 'PRIMARY KEY (id, created_at)'),
        ('event_types',          1, 'all', 'PRIMARY KEY (name)'),
        ('rejected_events',      1, 'own', 'PRIMARY KEY (id)'),
        ('idempotency_keys',     1, NULL,  'PRIMARY KEY (tenant_id, key)'),
        ('producers',            1, NULL,  'PRIMARY KEY (producer, role_oid, cluster)'),
        ('tenant_roles',         1, NULL,  'PRIMARY KEY (role_name)'),
        ('log_config',           1, 'all', 'PRIMARY KEY (only_row)'),
        ('enrichments',          1, NULL,  'PRIMARY KEY (name, target_key)'),
        ('tenant_settings',      1, NULL,  'PRIMARY KEY (tenant_id)'),
        ('hygiene_counts',       1, 'own', NULL),
        ('maintenance_runs',     2, NULL,  'PRIMARY KEY (id)'),
        ('maintenance_settings', 2, NULL,  'PRIMARY KEY (only_row)'),
        ('thinned_partitions',   2, NULL,  'PRIMARY KEY (partition_name)'),
        ('retention_progress',   2, NULL,  'UNIQUE (tenant_id, name)'),
        ('rollup_state',         2, 'all', 'PRIMARY KEY (only_row)'),
        ('late_events',          2, 'own', 'PRIMARY KEY (id, created_at)'),
        ('hourly_counts',        2, 'own', 'PRIMARY KEY (tenant_id, hour, name)'),
        ('daily_counts',         2, 'own', 'PRIMARY KEY (tenant_id, day, name)'),
        ('daily_subjects',       2, 'own', 'PRIMARY KEY (tenant_id, day, name, subject)'),
        ('monthly_actors',       2, 'own', 'PRIMARY KEY (tenant_id, name, month, actor) INCLUDE (days)'),
        ('first_events',         2, 'own', 'PRIMARY KEY (tenant_id, name, actor) INCLUDE (first_at)'),
        ('hourly_keys',          2, 'own', 'PRIMARY KEY (tenant_id, key, hour, name, value)'),
        ('daily_keys',           2, 'own', 'PRIMARY KEY (tenant_id, key, day, name, value)'),
        ('counted_keys',         2, 'all', 'PRIMARY KEY (name, key)'),
        ('monthly_key_actors',   2, 'own', 'PRIMARY KEY (tenant_id, key, value, name, month, actor)'),
        ('erasures',             2, NULL,  'PRIMARY KEY (id)'),
        ('api_keys',             2, NULL,  'PRIMARY KEY (id)'),
        ('api_tokens',           2, NULL,  'PRIMARY KEY (id)'),
        ('tenants_reference',    2, NULL,  'PRIMARY KEY (only_row)'),
        ('tenant_names',         2, 'own', 'PRIMARY KEY (tenant_id)'),
        ('consumers',            2, 'own', 'PRIMARY KEY (tenant_id, consumer)'),
        ('consumer_losses',      2, 'own', 'PRIMARY KEY (tenant_id, consumer)'),
        ('delivery_looks',       2, 'all', 'PRIMARY KEY (id)'),
        ('alerts',               2, 'own', 'PRIMARY KEY (tenant_id, alert)'),
        ('alert_changes',        2, 'own', 'PRIMARY KEY (id)'),
        ('alert_state',          2, NULL,  'PRIMARY KEY (only_row)'),
        ('webhooks',             2, 'own', 'PRIMARY KEY (webhook_id)'),
        ('webhook_secrets',      2, NULL,  'PRIMARY KEY (webhook_id)'),
        ('webhook_retries',      2, 'own', 'PRIMARY KEY (webhook_id, is_alert, event_id)'),
        ('webhook_deliveries',   2, 'own', 'PRIMARY KEY (id)'),
        ('deliverers',           2, NULL,  'PRIMARY KEY (deliverer)'),
        ('seals',                2, 'own', 'PRIMARY KEY (tenant_id, number)'),
        ('seal_blocks',          2, 'own', NULL),
        ('unsealed_events',      2, 'own', 'PRIMARY KEY (id, created_at)'),
        ('seal_receipts',        2, 'own', 'PRIMARY KEY (id)'),
        ('seal_digests',         2, 'all', 'PRIMARY KEY (number)'),
        ('seal_state',           2, 'all', 'PRIMARY KEY (only_row)')
      ) AS v (table_name, layout, readers_see, key)
$$;

-- Creates every table, index and comment that is missing, and every column that an older log lacks.
CREATE FUNCTION eventlog_private.create_tables() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    table_name name;
BEGIN
    FOR table_name IN
        SELECT r.table_name FROM eventlog_private.relations() WITH ORDINALITY AS r (table_name, layout, readers_see, is_cached, key, place)
         ORDER BY r.place
    LOOP
        EXECUTE format('SELECT eventlog_private.%I()', 'create_' || table_name);
    END LOOP;
END
$$;

-- Secures a new relation: turns row-level security on and revokes every grant. ALTER DEFAULT PRIVILEGES
-- may have granted something, and policies do not stop TRUNCATE.
CREATE FUNCTION eventlog_private.secure(relation regclass) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    grantee text;
    kind    "char" := (SELECT relkind FROM pg_class WHERE oid = relation);
BEGIN
    IF kind IN ('r', 'p') THEN
        EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', relation);
    END IF;
    FOR grantee IN
        SELECT DISTINCT CASE WHEN acl.grantee = 0 THEN 'PUBLIC' ELSE acl.grantee::regrole::text END
          FROM pg_class c, aclexplode(c.relacl) acl
         WHERE c.oid = relation AND acl.grantee <> c.relowner
    LOOP
        EXECUTE format('REVOKE ALL ON %s %s FROM %s CASCADE',
                       CASE kind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, relation, grantee);
    END LOOP;
END
$$;

-- Returns true if a table of the log has to be created. Raises 42501 with the command to type if the
-- caller may not create it.
CREATE FUNCTION eventlog_private.is_missing(table_name text) RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF to_regclass(format('eventlog.%I', table_name)) IS NOT NULL THEN
        RETURN false;
    END IF;
    IF NOT has_schema_privilege('eventlog', 'CREATE') THEN
        RAISE EXCEPTION 'permission denied to create the log in schema eventlog'
            USING ERRCODE = 'insufficient_privilege',
                  HINT = format('a superuser types: SELECT eventlog.create_log(owner => %L);', current_user);
    END IF;
    RETURN true;
END
$$;

-- Returns true if a table exists and is of an older layout, without this column. New columns go to the
-- end of a table, in fresh logs as in old ones, so that both end up alike.
CREATE FUNCTION eventlog_private.lacks_column(table_name text, column_name name, wanted regtype) RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    relation regclass := to_regclass(format('eventlog.%I', table_name));
    has      regtype  := (SELECT a.atttypid FROM pg_attribute a
                           WHERE a.attrelid = relation AND a.attname = column_name AND a.attnum > 0 AND NOT a.attisdropped);
BEGIN
    IF has <> wanted THEN
        RAISE EXCEPTION 'column % of eventlog.% is %, the log needs %', column_name, table_name, has, wanted
            USING ERRCODE = 'datatype_mismatch',
                  DETAIL = 'The log did not add this column, but this version has one of the same name.',
                  HINT = format('ALTER TABLE eventlog.%I RENAME COLUMN %I TO %I;', table_name, column_name, column_name || '_former');
    END IF;
    RETURN relation IS NOT NULL AND has IS NULL;
END
$$;
