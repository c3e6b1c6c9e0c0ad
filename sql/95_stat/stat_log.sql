-- What a DBA looks at. Each view is a function of the caller's own rights, so that row-level
-- security holds in it: a tenant's role sees its own rows, an owner or a service all.

CREATE FUNCTION eventlog._stat_partitions()
RETURNS TABLE (partition_name name, from_at timestamptz, until_at timestamptz, state text, rows bigint,
               bytes bigint, index_bytes bigint, dead_rows bigint, expires_at timestamptz)
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM eventlog._require_log();
    RETURN QUERY
    SELECT p.partition_name, p.from_at, p.until_at,
           CASE WHEN p.until_at <= now() - c.retention THEN 'expired'
                WHEN p.until_at <= now() THEN 'closed'
                WHEN p.from_at <= now() THEN 'open'
                ELSE 'ahead' END,
           -- Estimated by ANALYZE, or null.
           nullif(r.reltuples, -1)::bigint,
           pg_total_relation_size(p.partition_oid), pg_indexes_size(p.partition_oid),
           coalesce(s.n_dead_tup, 0), p.until_at + c.retention
      FROM eventlog._partitions p
     CROSS JOIN eventlog.log_config c
      JOIN pg_class r ON r.oid = p.partition_oid
      LEFT JOIN pg_stat_all_tables s ON s.relid = p.partition_oid
     ORDER BY p.from_at;
END
$$;

CREATE FUNCTION eventlog._stat_log()
RETURNS TABLE (extension_version text, layout_version integer, owner name, retention interval, partitions bigint,
               rows bigint, bytes bigint, oldest_at timestamptz, newest_at timestamptz, covered_until timestamptz,
               event_types bigint, rejected_events bigint)
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM eventlog._require_log();
    RETURN QUERY
    SELECT (SELECT e.extversion FROM pg_extension e WHERE e.extname = 'eventlog'), c.layout_version,
           (SELECT pg_get_userbyid(k.relowner) FROM pg_class k WHERE k.oid = 'eventlog.events'::regclass),
           c.retention,
           (SELECT count(*) FROM eventlog._partitions),
           (SELECT count(*) FROM eventlog.events),
           (SELECT sum(pg_total_relation_size(p.partition_oid))::bigint FROM eventlog._partitions p),
           (SELECT min(e.created_at) FROM eventlog.events e),
           (SELECT max(e.created_at) FROM eventlog.events e),
           eventlog._covered_until(),
           (SELECT count(*) FROM eventlog.event_types),
           (SELECT count(*) FROM eventlog.rejected_events)
      FROM eventlog.log_config c;
END
$$;

-- Until when partitions reach without a gap from now; null where now has none.
CREATE FUNCTION eventlog._covered_until() RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT min(g.until_at)
      FROM (SELECT p.until_at, lead(p.from_at) OVER (ORDER BY p.from_at) AS next_at, min(p.from_at) OVER () AS first_at
              FROM eventlog._partitions p WHERE p.until_at > now()) g
     WHERE g.next_at IS DISTINCT FROM g.until_at AND g.first_at <= now()
$$;

-- The keys of a payload; none of one that is no object, which COPY can bring in. Without a SET clause, so
-- that it becomes part of the query that calls it.
CREATE FUNCTION eventlog._keys(data jsonb) RETURNS SETOF text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT jsonb_object_keys(CASE WHEN jsonb_typeof(data) = 'object' THEN data ELSE '{}' END)
$$;

-- Growth compares the last seven days with the seven before.
CREATE FUNCTION eventlog._stat_storage()
RETURNS TABLE (tenant_id uuid, name text, rows bigint, bytes bigint, oldest_at timestamptz, newest_at timestamptz,
               actors bigint, subjects bigint, keys bigint, last_7_days bigint, previous_7_days bigint,
               growth numeric, is_fastest_growing boolean)
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM eventlog._require_log();
    RETURN QUERY
    WITH volume AS (
        SELECT e.tenant_id, e.name, count(*) AS rows, sum(pg_column_size(e.*))::bigint AS bytes,
               min(e.created_at) AS oldest_at, max(e.created_at) AS newest_at,
               count(DISTINCT e.actor) AS actors, count(DISTINCT e.subject) AS subjects,
               count(*) FILTER (WHERE e.created_at >= now() - interval '7 days') AS last,
               count(*) FILTER (WHERE e.created_at >= now() - interval '14 days'
                                  AND e.created_at < now() - interval '7 days') AS previous
          FROM eventlog.events e
         GROUP BY e.tenant_id, e.name
    ), keyed AS (
        SELECT e.tenant_id, e.name, count(DISTINCT k.key) AS keys
          FROM eventlog.events e CROSS JOIN LATERAL eventlog._keys(e.data) AS k (key)
         GROUP BY e.tenant_id, e.name
    ), grown AS (
        SELECT v.*, coalesce(k.keys, 0) AS keys, round(v.last / nullif(v.previous, 0)::numeric, 2) AS growth
          FROM volume v LEFT JOIN keyed k ON k.tenant_id = v.tenant_id AND k.name = v.name
    )
    SELECT g.tenant_id, g.name, g.rows, g.bytes, g.oldest_at, g.newest_at, g.actors, g.subjects, g.keys,
           g.last, g.previous, g.growth,
           -- In events, not in percent: what will fill the disk.
           g.last > g.previous AND g.last - g.previous = max(g.last - g.previous) OVER ()
      FROM grown g;
END
$$;

CREATE FUNCTION eventlog._stat_taxonomy()
RETURNS TABLE (name text, state text, rows bigint, last_at timestamptz, undeclared_keys text[], unused_keys text[],
               missing_keys text[])
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM eventlog._require_log();
    RETURN QUERY
    WITH seen AS (
        SELECT e.name, count(*) AS rows, max(e.created_at) AS last_at FROM eventlog.events e GROUP BY e.name
    ), key AS (
        SELECT e.name, k.key, count(*) AS rows
          FROM eventlog.events e CROSS JOIN LATERAL eventlog._keys(e.data) AS k (key)
         GROUP BY e.name, k.key
    )
    SELECT coalesce(t.name, s.name),
           CASE WHEN t.name IS NULL THEN 'undeclared'
                WHEN s.name IS NULL THEN 'unused'
                ELSE t.status END,
           coalesce(s.rows, 0), s.last_at,
           ARRAY(SELECT k.key FROM key k
                  WHERE k.name = s.name AND k.key <> ALL (t.required_keys || t.optional_keys) ORDER BY k.key),
           ARRAY(SELECT d.key FROM unnest(t.required_keys || t.optional_keys) AS d (key)
                  WHERE s.name IS NOT NULL AND NOT EXISTS (SELECT FROM key k WHERE k.name = t.name AND k.key = d.key)
                  ORDER BY d.key),
           ARRAY(SELECT d.key FROM unnest(t.required_keys) AS d (key)
                   LEFT JOIN key k ON k.name = t.name AND k.key = d.key
                  WHERE coalesce(k.rows, 0) < s.rows ORDER BY d.key)
      FROM eventlog.event_types t
      FULL JOIN seen s ON s.name = t.name;
END
$$;

CREATE FUNCTION eventlog._stat_writers()
RETURNS TABLE (role_name name, producer uuid, batches bigint, gaps bigint, last_batch_number bigint,
               first_at timestamptz, last_at timestamptz)
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM eventlog._require_log();
    RETURN QUERY
    SELECT p.role_name, p.producer, p.batches, p.gaps, p.batch_number, p.created_at, p.updated_at
      FROM eventlog.producers p;
END
$$;

CREATE FUNCTION eventlog._stat_maintenance()
RETURNS TABLE (last_started_at timestamptz, last_finished_at timestamptz, last_outcome text, last_failures text[],
               due text[], covered_until timestamptz, blocked_by text, clock_doubt text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM eventlog._require_log();
    PERFORM eventlog._require_owner(current_user::regrole);
    PERFORM eventlog._require_layout(2);
    RETURN QUERY
    SELECT r.started_at, r.finished_at, r.outcome, r.failures,
           ARRAY(SELECT d.description FROM unnest(eventlog_private.phases()) AS p, eventlog_private.due(p) AS d),
           eventlog._covered_until(),
           nullif(concat_ws('; ',
               'the rollups wait for ' || eventlog_private.awaited_writers(),
               'partitions that are to be dropped or rewritten wait for '
                   || CASE WHEN EXISTS (SELECT FROM unnest(ARRAY['drop partition', 'rewrite partition']) AS p, eventlog_private.due(p))
                           THEN eventlog_private.describe_holders(eventlog_private.modes_against('AccessExclusiveLock')) END,
               'for more than an hour: ' || eventlog_private.describe_processes(NULL)), ''),
           eventlog_private.clock_doubt()
      FROM (VALUES (1)) AS one
      LEFT JOIN LATERAL (SELECT m.* FROM eventlog.maintenance_runs m ORDER BY m.id DESC LIMIT 1) r ON true;
END
$$;

CREATE VIEW eventlog.stat_log AS SELECT * FROM eventlog._stat_log();
CREATE VIEW eventlog.stat_partitions AS SELECT * FROM eventlog._stat_partitions();
CREATE VIEW eventlog.stat_storage AS SELECT * FROM eventlog._stat_storage();
CREATE VIEW eventlog.stat_taxonomy AS SELECT * FROM eventlog._stat_taxonomy();
CREATE VIEW eventlog.stat_writers AS SELECT * FROM eventlog._stat_writers();
CREATE VIEW eventlog.stat_maintenance AS SELECT * FROM eventlog._stat_maintenance();

COMMENT ON VIEW eventlog.stat_log IS
'The log in one row: version, owner, retention, rows that the caller may read, bytes, oldest and newest event, and until when partitions reach. Counts all rows.';
COMMENT ON VIEW eventlog.stat_partitions IS
'The partitions: span, state (ahead, open, closed, expired), rows as ANALYZE estimated them, bytes with indexes, dead rows, and when the log''s retention is over.';
COMMENT ON VIEW eventlog.stat_storage IS
'Rows, bytes, oldest and newest event, distinct actors, subjects and payload keys by tenant and name, and growth of the last seven days over the seven before; the one that grew by most events is marked. Reads all rows.';
COMMENT ON VIEW eventlog.stat_taxonomy IS
'Event types declared against events seen: active, deprecated, retired, unused or undeclared, keys that are not declared, declared keys that no event has, and required keys that some lack (logged before they were required). Reads all rows.';
COMMENT ON VIEW eventlog.stat_writers IS
'Writers that number their batches: how many batches, numbers that were skipped, the last one. For the log''s owner.';
COMMENT ON VIEW eventlog.stat_maintenance IS
'The last run of maintain(), what is due now, until when partitions reach, who holds maintenance back now, with transactions of more than an hour, and what speaks against the server''s clock. For the log''s owner.';
