-- Consumers: they read every event once it is certain that none with a lower id can still appear.

-- Raises an error if names, of which null means all, are none, or if one is no event type's.
CREATE FUNCTION eventlog_private.check_known_names(names text[]) RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    unknown text;
BEGIN
    IF names = '{}' OR array_position(names, NULL) IS NOT NULL THEN
        RAISE EXCEPTION 'names must have at least one name, and no null'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'leave them out for events of all names';
    END IF;
    SELECT n INTO unknown FROM unnest(names) AS n
     WHERE NOT EXISTS (SELECT FROM eventlog.event_types t
                        WHERE t.name = n OR (right(t.name, 2) = '.*' AND starts_with(n, left(t.name, -1)))) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'unknown event name "%"', left(unknown, 128)
            USING ERRCODE = 'undefined_object', HINT = 'SELECT name FROM eventlog.event_types;';
    END IF;
END
$$;

-- Checks the definition of a consumer, and returns the id after which it starts.
CREATE FUNCTION eventlog_private.check_consumer(consumer text, names text[], start text) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF consumer IS NULL THEN
        RAISE EXCEPTION 'consumer must not be null' USING ERRCODE = 'null_value_not_allowed';
    ELSIF char_length(consumer) NOT BETWEEN 1 AND 100 THEN
        RAISE EXCEPTION 'the name of a consumer must have 1 to 100 characters, got %', char_length(consumer)
            USING ERRCODE = 'invalid_parameter_value', HINT = 'such as ''billing''';
    END IF;
    PERFORM eventlog_private.check_known_names(names);
    IF start = 'beginning' THEN
        RETURN 0;
    ELSIF start = 'now' THEN
        RETURN eventlog_private.last_drawn_id();
    ELSIF start ~ '^[0-9]{1,18}$' THEN
        RETURN start::bigint;
    END IF;
    RAISE EXCEPTION 'start must be beginning, now or the id of an event, got "%"', left(start, 80)
        USING ERRCODE = 'invalid_parameter_value', HINT = 'such as start => ''now''';
END
$$;

CREATE FUNCTION eventlog_private.add_consumer(tenant uuid, consumer text, names text[], start text) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    most_consumers constant integer := 100;
    after_id bigint := eventlog_private.check_consumer(consumer, names, start);
BEGIN
    INSERT INTO eventlog.consumers (tenant_id, consumer, names, acknowledged_id) VALUES (tenant, consumer, names, after_id)
    ON CONFLICT ON CONSTRAINT consumers_pkey DO NOTHING;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'consumer "%" exists', consumer
            USING ERRCODE = 'duplicate_object', HINT = format('SELECT eventlog.drop_consumer(%L);', consumer);
    END IF;
    IF tenant <> eventlog.all_tenants() AND (SELECT count(*) FROM eventlog.consumers c WHERE c.tenant_id = tenant) > most_consumers THEN
        RAISE EXCEPTION 'a tenant can have % consumers', most_consumers
            USING ERRCODE = 'program_limit_exceeded', HINT = 'SELECT * FROM eventlog.stat_consumers;';
    END IF;
END
$$;

-- Creates a consumer unless it exists, and returns how far it is, and how far it can read.
CREATE FUNCTION eventlog_private.begin_reading(tenant uuid, consumer text, OUT names text[], OUT after_id bigint, OUT until_id bigint)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    SELECT c.names, c.acknowledged_id INTO names, after_id FROM eventlog.consumers c WHERE c.tenant_id = tenant AND c.consumer = consumer;
    IF NOT FOUND THEN
        BEGIN
            PERFORM eventlog_private.add_consumer(tenant, consumer, NULL, 'beginning');
            after_id := 0;
        EXCEPTION WHEN duplicate_object THEN
            SELECT c.names, c.acknowledged_id INTO names, after_id FROM eventlog.consumers c WHERE c.tenant_id = tenant AND c.consumer = consumer;
        END;
    END IF;
    until_id := eventlog_private.certain_id();
END
$$;

CREATE FUNCTION eventlog_private.note_acknowledged(tenant uuid, consumer text, id bigint) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    IF id IS NULL THEN
        RAISE EXCEPTION 'id must not be null' USING ERRCODE = 'null_value_not_allowed', HINT = 'the id of the last event that was processed';
    ELSIF id > eventlog_private.certain_id() THEN
        RAISE EXCEPTION 'id % cannot have been read yet', id
            USING ERRCODE = 'invalid_parameter_value', DETAIL = 'Events with lower ids may still appear.',
                  HINT = 'the id of the last event of read_events_after() that was processed';
    END IF;
    UPDATE eventlog.consumers c SET acknowledged_id = greatest(c.acknowledged_id, id), acknowledged_at = clock_timestamp()
     WHERE c.tenant_id = tenant AND c.consumer = consumer;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'unknown consumer "%"', left(consumer, 100)
            USING ERRCODE = 'undefined_object', HINT = format('SELECT eventlog.create_consumer(%L);', left(consumer, 100));
    END IF;
END
$$;

-- Moves a consumer past ids that are none of its events, so that it does not look at them again. What is in the
-- way is left to the next time.
CREATE FUNCTION eventlog_private.skip_ids(tenant uuid, consumer text, id bigint) RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    UPDATE eventlog.consumers u SET acknowledged_id = skip_ids.id
     WHERE (u.tenant_id, u.consumer) IN (
        SELECT c.tenant_id, c.consumer FROM eventlog.consumers c
         WHERE c.tenant_id = skip_ids.tenant AND c.consumer = skip_ids.consumer AND c.acknowledged_id < skip_ids.id FOR UPDATE SKIP LOCKED)
       AND NOT EXISTS (SELECT FROM eventlog.events e
                        WHERE e.id > u.acknowledged_id AND e.id <= skip_ids.id AND eventlog._is_tenant(skip_ids.tenant, e.tenant_id)
                          AND (u.names IS NULL OR e.name = ANY (u.names)))
$$;

CREATE FUNCTION eventlog_private.remove_consumer(tenant uuid, consumer text) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    DELETE FROM eventlog.consumer_losses l WHERE l.tenant_id = tenant AND l.consumer = consumer;
    DELETE FROM eventlog.consumers c WHERE c.tenant_id = tenant AND c.consumer = consumer;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'unknown consumer "%"', left(consumer, 100)
            USING ERRCODE = 'undefined_object', HINT = 'SELECT tenant_id, consumer FROM eventlog.stat_consumers;';
    END IF;
END
$$;

-- Returns the id up to which somebody who may read a tenant's events can read.
CREATE FUNCTION eventlog_private.readable_until(tenant uuid) RETURNS bigint
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT eventlog_private.certain_id()
$$;

-- Doors for those who may read the events of the tenant, which is the first argument.
CREATE FUNCTION eventlog._add_consumer(tenant uuid, consumer text, names text[], start text) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'as_reader_wrapper';

CREATE FUNCTION eventlog._begin_reading(tenant uuid, consumer text, OUT names text[], OUT after_id bigint, OUT until_id bigint)
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'as_reader_wrapper';

CREATE FUNCTION eventlog._note_acknowledged(tenant uuid, consumer text, id bigint) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'as_reader_wrapper';

CREATE FUNCTION eventlog._skip_ids(tenant uuid, consumer text, id bigint) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'as_reader_wrapper';

CREATE FUNCTION eventlog._remove_consumer(tenant uuid, consumer text) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'as_reader_wrapper';

CREATE FUNCTION eventlog._readable_until(tenant uuid) RETURNS bigint
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'as_reader_wrapper';

CREATE FUNCTION eventlog.create_consumer(consumer text, tenant_id uuid DEFAULT NULL, names text[] DEFAULT NULL, start text DEFAULT 'beginning')
RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT eventlog._add_consumer(eventlog._report_tenant(create_consumer.tenant_id), consumer, names, start)
$$;

COMMENT ON FUNCTION eventlog.create_consumer(text, uuid, text[], text) IS
'Creates a consumer of a tenant''s events (default this connection''s; all_tenants() for the log''s owner and services): of all names, or of these; from the beginning, from now on (start => ''now''), or after the event with an id. A consumer that exists: 42710. A tenant can have 100.';

CREATE FUNCTION eventlog.drop_consumer(consumer text, tenant_id uuid DEFAULT NULL) RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT eventlog._remove_consumer(eventlog._report_tenant(drop_consumer.tenant_id), consumer)
$$;

COMMENT ON FUNCTION eventlog.drop_consumer(text, uuid) IS
'Drops a consumer, and with it how far it had read. Unknown: 42704.';

-- PL/pgSQL could not have an argument and a column tenant_id.
CREATE FUNCTION eventlog._read_events_after(consumer text, row_limit integer, tenant uuid)
RETURNS TABLE (id bigint, tenant_id uuid, name text, data jsonb, actor text, subject text, occurred_at timestamptz,
               created_at timestamptz, weight real)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    -- So many ids without an event of the consumer are not looked at again.
    most_ids constant integer := 10000;
    reading  record;
BEGIN
    PERFORM eventlog._check_row_limit(row_limit);
    SELECT r.* INTO reading FROM eventlog._begin_reading(tenant, consumer) r;
    IF reading.until_id <= reading.after_id THEN
        RETURN;
    END IF;
    RETURN QUERY EXECUTE
        'SELECT e.id, e.tenant_id, e.name, e.data, e.actor, e.subject, e.occurred_at, e.created_at, e.weight
           FROM eventlog.events e
          WHERE e.id > $1 AND e.id <= $2 AND eventlog._is_tenant($3, e.tenant_id)'
        || CASE WHEN reading.names IS NULL THEN '' ELSE ' AND e.name = ANY ($4)' END
        || ' ORDER BY e.id LIMIT $5'
      USING reading.after_id, reading.until_id, tenant, reading.names, row_limit;
    IF NOT FOUND AND reading.until_id - reading.after_id > most_ids AND NOT current_setting('transaction_read_only')::boolean THEN
        PERFORM eventlog._skip_ids(tenant, consumer, reading.until_id);
    END IF;
END
$$;

CREATE FUNCTION eventlog.read_events_after(consumer text, row_limit integer DEFAULT 1000, tenant_id uuid DEFAULT NULL)
RETURNS TABLE (id bigint, tenant_id uuid, name text, data jsonb, actor text, subject text, occurred_at timestamptz,
               created_at timestamptz, weight real)
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT * FROM eventlog._read_events_after(consumer, row_limit, eventlog._report_tenant($3))
$$;

COMMENT ON FUNCTION eventlog.read_events_after(text, integer, uuid) IS
'The next events for a consumer in the order of their ids, at most row_limit (default 1000): those after the one that it acknowledged last, once no event with a lower id can still appear. The same again until acknowledge(). A consumer that does not exist is created, from the beginning. Events that came with ids of their own (imports, replication, COPY) are history and may be left out.';

CREATE FUNCTION eventlog.acknowledge(consumer text, id bigint, tenant_id uuid DEFAULT NULL) RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT eventlog._note_acknowledged(eventlog._report_tenant(acknowledge.tenant_id), consumer, acknowledge.id)
$$;

COMMENT ON FUNCTION eventlog.acknowledge(text, bigint, uuid) IS
'Notes that a consumer has processed the events up to an id: read_events_after() goes on behind it. Commit it together with what the events changed in this database, and each is processed exactly once. An unknown consumer: 42704.';

CREATE FUNCTION eventlog.certain_id(tenant_id uuid DEFAULT NULL) RETURNS bigint
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT eventlog._readable_until(eventlog._report_tenant(certain_id.tenant_id))
$$;

COMMENT ON FUNCTION eventlog.certain_id(uuid) IS
'The id up to which no event can appear any more: every transaction that may have drawn a lower one has ended. For those who keep elsewhere how far they have read; read_events_after() does it by itself. Call it before the statement that reads. In a read-only transaction, as it was found last.';
