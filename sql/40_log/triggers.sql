-- Triggers of the log, made anew wherever they are not what they must be.

CREATE FUNCTION eventlog.events_append_only() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION 'events is append-only: UPDATE is not allowed'
        USING ERRCODE = 'feature_not_supported',
              HINT = 'log another event that says what changed';
END
$$;

COMMENT ON FUNCTION eventlog.events_append_only() IS
'Trigger that refuses UPDATE of events and of its partitions for everybody, the owner included.';

-- Makes a trigger, or makes it anew where it is not what it is to be: another function, another
-- time, a condition, or switched off. `kind` is pg_trigger.tgtype. ENABLE ALWAYS ('A'), so that
-- session_replication_role does not switch it off; ENABLE REPLICA ('R') is for replication only.
CREATE FUNCTION eventlog_private.ensure_trigger(relation regclass, trigger_name name, function regproc, kind smallint,
                                                event text, enabled "char") RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    found record;
BEGIN
    SELECT t.tgfoid = function AND t.tgtype = kind AND t.tgqual IS NULL AND t.tgattr = '' AND t.tgnargs = 0
           AND NOT t.tgdeferrable AS is_right, t.tgenabled INTO found
      FROM pg_trigger t WHERE t.tgrelid = relation AND t.tgname = trigger_name;
    IF found.is_right IS FALSE THEN
        EXECUTE format('DROP TRIGGER %I ON %s', trigger_name, relation);
    END IF;
    IF found.is_right IS NOT TRUE THEN
        EXECUTE format('CREATE TRIGGER %I %s ON %s FOR EACH %s EXECUTE FUNCTION %s()', trigger_name, event, relation,
                       CASE kind & 1 WHEN 1 THEN 'ROW' ELSE 'STATEMENT' END, function);
    END IF;
    IF found.is_right IS NOT TRUE OR found.tgenabled <> enabled THEN
        EXECUTE format('ALTER TABLE %s ENABLE %s TRIGGER %I', relation,
                       CASE enabled WHEN 'R' THEN 'REPLICA' ELSE 'ALWAYS' END, trigger_name);
    END IF;
END
$$;

CREATE FUNCTION eventlog_private.ensure_append_only(relation regclass) RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT eventlog_private.ensure_trigger(relation, 'events_append_only', 'eventlog.events_append_only', 18::smallint,
                                           'BEFORE UPDATE', 'A')
$$;

-- On a partition that lies below the watermark of the rollups; on an open one of a subscriber it fires
-- for what replication brings only.
CREATE FUNCTION eventlog_private.ensure_late_event(relation regclass, is_open boolean) RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT eventlog_private.ensure_trigger(relation, 'late_event', 'eventlog.late_event', 5::smallint, 'AFTER INSERT',
                                           CASE WHEN is_open THEN 'R' ELSE 'A' END::"char")
$$;

-- What logical replication brings comes late where the publisher is ahead of it, and its apply worker
-- calls no function of ours: on a subscriber open partitions have the trigger too, for that worker
-- only. Nowhere else, because even a trigger that does not fire costs an INSERT 7 %.
CREATE FUNCTION eventlog_private.is_subscriber() RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT EXISTS (SELECT FROM pg_subscription_rel r
                    WHERE r.srrelid = to_regclass('eventlog.events')
                       OR r.srrelid IN (SELECT p.partition_oid FROM eventlog._partitions p))
$$;

-- The trigger on all partitions that need it, where those that end by `watermark` are closed.
CREATE FUNCTION eventlog_private.ensure_late_events(watermark timestamptz) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    is_subscriber boolean := eventlog_private.is_subscriber();
    partition     record;
BEGIN
    FOR partition IN
        SELECT p.partition_oid, p.until_at > watermark AS is_open FROM eventlog._partitions p
         WHERE p.until_at <= watermark OR is_subscriber
    LOOP
        PERFORM eventlog_private.ensure_late_event(partition.partition_oid, partition.is_open);
    END LOOP;
END
$$;

-- Tells every backend of a change of a table that the library caches.
CREATE FUNCTION eventlog_private.ensure_registry_trigger(relation regclass) RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT eventlog_private.ensure_trigger(relation, 'registry_changed', 'eventlog.registry_changed', 60::smallint,
                                           'AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE', 'A')
$$;

-- Row-level security of every table, and every trigger.
CREATE FUNCTION eventlog_private.apply_triggers() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    relation regclass;
BEGIN
    FOR relation IN
        SELECT c.oid FROM pg_class c
         WHERE NOT c.relrowsecurity AND c.relkind IN ('r', 'p')
           AND (c.oid IN (SELECT to_regclass(format('eventlog.%I', t.table_name)) FROM eventlog_private.tables() t)
                OR c.oid IN (SELECT p.partition_oid FROM eventlog._partitions p))
    LOOP
        EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', relation);
    END LOOP;
    PERFORM eventlog_private.ensure_registry_trigger(format('eventlog.%I', t)::regclass)
       FROM unnest(ARRAY['event_types', 'tenant_roles', 'tenant_settings', 'enrichments', 'log_config', 'rollup_state']) AS t
      WHERE to_regclass(format('eventlog.%I', t)) IS NOT NULL;
    PERFORM eventlog_private.ensure_append_only('eventlog.events');
    PERFORM eventlog_private.ensure_append_only(p.partition_oid) FROM eventlog._partitions p;
    PERFORM eventlog_private.ensure_trigger('eventlog.tenant_roles', 'tenant_role_named', 'eventlog.tenant_role_named',
                                            23::smallint, 'BEFORE INSERT OR UPDATE', 'A');
END
$$;
