-- Who may see and write what. Every relation of the log has row-level security on; a relation
-- without a policy is its owner's alone. FORCE ROW LEVEL SECURITY is not used: the owner's own
-- pg_dump would fail.

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

-- ENABLE ALWAYS, so that session_replication_role does not switch it off.
CREATE FUNCTION eventlog_private.ensure_append_only(relation regclass) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = relation AND tgname = 'events_append_only') THEN
        EXECUTE format('CREATE TRIGGER events_append_only BEFORE UPDATE ON %s
                            FOR EACH STATEMENT EXECUTE FUNCTION eventlog.events_append_only()', relation);
        EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER events_append_only', relation);
    END IF;
END
$$;

-- On a partition that lies below the watermark of the rollups. ENABLE ALWAYS, for what replication
-- brings.
CREATE FUNCTION eventlog_private.ensure_late_event(relation regclass, is_open boolean) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = relation AND tgname = 'late_event') THEN
        EXECUTE format('CREATE TRIGGER late_event AFTER INSERT ON %s
                            FOR EACH ROW EXECUTE FUNCTION eventlog.late_event()', relation);
    END IF;
    IF NOT EXISTS (SELECT FROM pg_trigger
                    WHERE tgrelid = relation AND tgname = 'late_event' AND tgenabled = CASE WHEN is_open THEN 'R' ELSE 'A' END::"char")
    THEN
        EXECUTE format('ALTER TABLE %s ENABLE %s TRIGGER late_event', relation, CASE WHEN is_open THEN 'REPLICA' ELSE 'ALWAYS' END);
    END IF;
END
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
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = relation AND tgname = 'registry_changed') THEN
        EXECUTE format('CREATE TRIGGER registry_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON %s
                            FOR EACH STATEMENT EXECUTE FUNCTION eventlog.registry_changed()', relation);
        EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER registry_changed', relation);
    END IF;
END
$$;

CREATE FUNCTION eventlog_private.ensure_policy(relation regclass, policy name, definition text) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_policy WHERE polrelid = relation AND polname = policy) THEN
        EXECUTE format('CREATE POLICY %I ON %s %s', policy, relation, definition);
    END IF;
END
$$;

-- The tables with rows of tenants that a tenant's role may read, its own.
CREATE FUNCTION eventlog_private.tenants_tables() RETURNS SETOF name
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT unnest(ARRAY['events', 'rejected_events', 'hygiene_counts', 'late_events', 'hourly_counts', 'daily_counts',
                        'daily_subjects', 'monthly_actors']::name[])
$$;

CREATE FUNCTION eventlog_private.apply_policies() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    relation  name;
    partition regclass;
BEGIN
    -- A tenant's role reads and inserts its own rows; nobody has a policy to update or delete.
    FOREACH relation IN ARRAY ARRAY(SELECT eventlog_private.tenants_tables()) LOOP
        PERFORM eventlog_private.ensure_policy(format('eventlog.%I', relation)::regclass, relation || '_tenant_select',
            -- The tenant of a service's plain INSERT is not noted; the event itself tells, to those who may see it.
            CASE relation WHEN 'late_events' THEN
                'FOR SELECT USING (tenant_id = eventlog.current_tenant()
                     OR tenant_id IS NULL AND EXISTS (SELECT FROM eventlog.events e
                                                       WHERE e.id = late_events.id AND e.created_at = late_events.created_at))'
                          ELSE 'FOR SELECT USING (tenant_id = eventlog.current_tenant())' END);
    END LOOP;
    PERFORM eventlog_private.ensure_policy('eventlog.events', 'events_tenant_insert',
        'FOR INSERT WITH CHECK (tenant_id = eventlog.current_tenant())');
    PERFORM eventlog_private.ensure_policy('eventlog.events', 'events_guard',
        'AS RESTRICTIVE FOR INSERT WITH CHECK (eventlog.guard(id, name, data, actor, subject, weight))');
    -- No tenant's data: whoever was granted SELECT may read.
    PERFORM eventlog_private.ensure_policy('eventlog.event_types', 'event_types_select', 'FOR SELECT USING (true)');
    PERFORM eventlog_private.ensure_policy('eventlog.log_config', 'log_config_select', 'FOR SELECT USING (true)');
    PERFORM eventlog_private.ensure_policy('eventlog.rollup_state', 'rollup_state_select', 'FOR SELECT USING (true)');

    PERFORM eventlog_private.ensure_registry_trigger('eventlog.event_types');
    PERFORM eventlog_private.ensure_registry_trigger('eventlog.tenant_roles');
    PERFORM eventlog_private.ensure_registry_trigger('eventlog.tenant_settings');
    PERFORM eventlog_private.ensure_registry_trigger('eventlog.enrichments');
    PERFORM eventlog_private.ensure_registry_trigger('eventlog.log_config');
    PERFORM eventlog_private.ensure_registry_trigger('eventlog.rollup_state');
    PERFORM eventlog_private.ensure_append_only('eventlog.events');
    FOR partition IN SELECT p.partition_oid FROM eventlog._partitions p LOOP
        PERFORM eventlog_private.ensure_append_only(partition);
    END LOOP;
END
$$;
