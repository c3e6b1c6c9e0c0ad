-- Triggers of the log. create_log() replaces those that differ.

CREATE FUNCTION eventlog.events_append_only() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION 'events is append-only: UPDATE is not allowed'
        USING ERRCODE = 'feature_not_supported',
              HINT = 'log another event that describes the change';
END
$$;

COMMENT ON FUNCTION eventlog.events_append_only() IS
'Trigger: refuses UPDATE of events and its partitions, even for the owner.';

-- Creates a trigger, or replaces one with another function, time or condition, or one that is off. `kind`
-- is pg_trigger.tgtype. ENABLE ALWAYS ('A') keeps session_replication_role from switching it off; ENABLE
-- REPLICA ('R') makes it fire for replication only.
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

-- Ensures the trigger on a partition below the watermark of the rollups. On an open partition of a
-- subscriber it fires for replication only.
CREATE FUNCTION eventlog_private.ensure_late_event(relation regclass, is_open boolean) RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT eventlog_private.ensure_trigger(relation, 'late_event', 'eventlog.late_event', 5::smallint, 'AFTER INSERT',
                                           CASE WHEN is_open THEN 'R' ELSE 'A' END::"char")
$$;

-- Returns true on a subscriber of logical replication. Replicated rows are late if the publisher is ahead,
-- and the apply worker calls no function of the library, so open partitions of a subscriber have the
-- trigger too, for that worker only. Elsewhere they have none, because even a trigger that does not fire
-- costs an INSERT 7 %.
CREATE FUNCTION eventlog_private.is_subscriber() RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT EXISTS (SELECT FROM pg_subscription_rel r
                    WHERE r.srrelid = to_regclass('eventlog.events')
                       OR r.srrelid IN (SELECT p.partition_oid FROM eventlog._partitions p))
$$;

-- Ensures the trigger on all partitions that need it, if those that end by `watermark` are closed.
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

-- Ensures the trigger that invalidates every backend's copy of a cached table.
CREATE FUNCTION eventlog_private.ensure_registry_trigger(relation regclass) RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT eventlog_private.ensure_trigger(relation, 'registry_changed', 'eventlog.registry_changed', 60::smallint,
                                           'AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE', 'A')
$$;

-- Ensures row-level security on every table, and every trigger.
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
           AND (c.oid IN (SELECT to_regclass(format('eventlog.%I', t.table_name)) FROM eventlog_private.relations() t)
                OR c.oid IN (SELECT p.partition_oid FROM eventlog._partitions p))
    LOOP
        EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', relation);
    END LOOP;
    PERFORM eventlog_private.ensure_registry_trigger(to_regclass(format('eventlog.%I', t.table_name)))
       FROM eventlog_private.relations() t
      WHERE t.is_cached AND to_regclass(format('eventlog.%I', t.table_name)) IS NOT NULL;
    PERFORM eventlog_private.ensure_append_only('eventlog.events');
    PERFORM eventlog_private.ensure_append_only(p.partition_oid) FROM eventlog._partitions p;
    PERFORM eventlog_private.ensure_trigger('eventlog.tenant_roles', 'tenant_role_named', 'eventlog.tenant_role_named',
                                            23::smallint, 'BEFORE INSERT OR UPDATE', 'A');
END
$$;
