-- Retention and consumers: events past their retention are kept for consumers that have not read them, for
-- maintenance_settings.consumer_wait at most. What is deleted unread is counted.

-- Lists who reads the log from an id on, consumers and webhooks: the tenant (all_tenants() for every one) and
-- names (null for all) that each reads, the id up to which it has read, and the one after which it needs events:
-- webhooks get some again that they did not accept.
CREATE FUNCTION eventlog_private.readers() RETURNS TABLE (tenant_id uuid, consumer text, names text[], read_until bigint, needed_after bigint)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- A log of layout 1 has none.
    IF to_regclass('eventlog.consumer_losses') IS NOT NULL THEN
        RETURN QUERY SELECT c.tenant_id, c.consumer, c.names, c.acknowledged_id, c.acknowledged_id FROM eventlog.consumers c;
        RETURN QUERY
        SELECT w.tenant_id, 'webhook ' || w.webhook_id, w.names, w.delivered_id,
               least(w.delivered_id, (SELECT min(r.event_id) - 1 FROM eventlog.webhook_retries r
                                       WHERE r.webhook_id = w.webhook_id AND NOT r.is_alert AND r.next_attempt_at IS NOT NULL))
          FROM eventlog.webhooks w WHERE w.is_enabled;
    END IF;
END
$$;

-- Returns the time before which events may be deleted: `cutoff`, or the start of the day of the first event before
-- it, of a tenant and a name (null for all), that somebody has not read yet. Before `kept_since` nobody is waited for.
CREATE FUNCTION eventlog_private.read_until(cutoff timestamptz, kept_since timestamptz, tenant uuid DEFAULT NULL, name text DEFAULT NULL)
RETURNS timestamptz
LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    all_tenants constant uuid := eventlog.all_tenants();
    unread      timestamptz;
BEGIN
    IF kept_since >= cutoff THEN
        RETURN cutoff;
    END IF;
    SELECT min(f.created_at) INTO unread
      FROM eventlog_private.readers() r
     CROSS JOIN LATERAL (
        SELECT min(e.created_at) AS created_at FROM eventlog.events e
         WHERE r.tenant_id = all_tenants AND e.id > r.needed_after AND e.created_at >= kept_since AND e.created_at < cutoff
           AND (read_until.tenant IS NULL OR e.tenant_id = read_until.tenant)
           AND (read_until.name IS NULL OR e.name = read_until.name) AND (r.names IS NULL OR e.name = ANY (r.names))
         UNION ALL
        SELECT min(e.created_at) FROM eventlog.events e
         WHERE r.tenant_id <> all_tenants AND e.tenant_id = r.tenant_id
           AND e.id > r.needed_after AND e.created_at >= kept_since AND e.created_at < cutoff
           AND (read_until.name IS NULL OR e.name = read_until.name) AND (r.names IS NULL OR e.name = ANY (r.names))) f
     WHERE (r.tenant_id = all_tenants OR read_until.tenant IS NULL OR r.tenant_id = read_until.tenant)
       AND (r.names IS NULL OR read_until.name IS NULL OR read_until.name = ANY (r.names));
    RETURN greatest(kept_since, least(cutoff, date_trunc('day', unread, 'UTC')));
END
$$;

-- Returns the time before which nobody is waited for, given the time before which events are past a retention.
CREATE FUNCTION eventlog_private.waited_for_since(expired timestamptz) RETURNS timestamptz
LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF to_regclass('eventlog.consumer_losses') IS NULL THEN
        RETURN expired;
    END IF;
    RETURN (SELECT date_trunc('day', expired - s.consumer_wait, 'UTC') FROM eventlog.maintenance_settings s);
END
$$;

-- Counts the events of a partition, which is about to be dropped, that somebody has not read.
CREATE FUNCTION eventlog_private.count_unread(partition_name name) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    reader record;
    unread bigint;
BEGIN
    FOR reader IN SELECT * FROM eventlog_private.readers() LOOP
        EXECUTE format('SELECT count(*) FROM ONLY eventlog.%I e
                         WHERE e.id > $1 AND eventlog._is_tenant($2, e.tenant_id) AND ($3 IS NULL OR e.name = ANY ($3))', partition_name)
           INTO unread USING reader.read_until, reader.tenant_id, reader.names;
        PERFORM eventlog_private.note_lost(reader.tenant_id, reader.consumer, unread);
    END LOOP;
END
$$;

-- Records that a reader lost events.
CREATE FUNCTION eventlog_private.note_lost(tenant uuid, consumer text, events bigint) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF events > 0 THEN
        INSERT INTO eventlog.consumer_losses AS l (tenant_id, consumer, lost_events) VALUES (tenant, note_lost.consumer, events)
        ON CONFLICT ON CONSTRAINT consumer_losses_pkey
        DO UPDATE SET lost_events = l.lost_events + EXCLUDED.lost_events, lost_at = clock_timestamp();
    END IF;
END
$$;
