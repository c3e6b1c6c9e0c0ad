-- Measures of single events: what rollups and reports count, and which events they cannot count.

-- Returns a number in a payload, if a double can hold it.
CREATE FUNCTION eventlog._number(data jsonb, key text) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT CASE WHEN key IS NOT NULL AND jsonb_typeof(data -> key) = 'number'
                THEN CASE WHEN (data -> key)::numeric BETWEEN 1e-300 AND 1e15 THEN (data -> key)::double precision
                          WHEN (data -> key)::numeric BETWEEN 0 AND 1e-300 THEN 0 END END
$$;

-- Returns whether an event failed, or null if its type does not say. If success_key has success_values, a
-- boolean "success" still counts.
CREATE FUNCTION eventlog._has_failed(data jsonb, success_key text, error_key text, success_values text[]) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT CASE WHEN success_values <> '{}' AND jsonb_typeof(data -> success_key) IN ('string', 'number', 'boolean')
                THEN data ->> success_key <> ALL (success_values)
                WHEN success_values <> '{}' AND jsonb_typeof(data -> 'success') = 'boolean'
                THEN data -> 'success' = 'false'
                WHEN success_key IS NOT NULL AND jsonb_typeof(data -> success_key) = 'boolean'
                THEN data -> success_key = 'false'
                WHEN error_key IS NOT NULL AND data ? error_key THEN true END
$$;

-- Returns the column that keeps an event out of the rollups, or null for an event that can be counted. The
-- log's rules let no such row in; it comes past them, by COPY as the owner, a restore or replication. These
-- are conditions, not exceptions, since no stored row may keep other events from being counted. Names may
-- have 128 bytes, actors and subjects 512; an index entry holds at most 2,704.
CREATE FUNCTION eventlog._uncountable_column(name text, data jsonb, actor text, subject text,
                                             created_at timestamptz, weight real) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT CASE WHEN octet_length(name) NOT BETWEEN 1 AND 128 THEN 'name'
                WHEN octet_length(actor) > 512 THEN 'actor'
                WHEN octet_length(subject) > 512 THEN 'subject'
                WHEN NOT (weight > 0 AND weight < 'infinity') THEN 'weight'
                WHEN jsonb_typeof(data) <> 'object' THEN 'data'
                WHEN NOT isfinite(created_at) THEN 'created_at' END
$$;

-- Returns the events that can be counted, with their measures. Like the three functions above it has no SET
-- clause, so that it is inlined into the calling query; all callers set search_path. The planner takes IS
-- NOT NULL of a CASE as true for almost every row.
CREATE FUNCTION eventlog._measured_events()
RETURNS TABLE (id bigint, tenant_id uuid, name text, data jsonb, actor text, subject text, created_at timestamptz,
               weight double precision, duration double precision, has_failed boolean, count_subjects boolean, count_keys text[])
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT e.id, e.tenant_id, e.name, e.data, e.actor, e.subject, e.created_at,
           coalesce(e.weight, 1)::double precision,
           CASE WHEN t.duration_key IS NOT NULL THEN eventlog._number(e.data, t.duration_key) END,
           CASE WHEN t.success_key IS NOT NULL OR t.error_key IS NOT NULL
                THEN eventlog._has_failed(e.data, t.success_key, t.error_key, t.success_values) END,
           coalesce(t.count_subjects, true), t.count_keys
      FROM eventlog.events e
      LEFT JOIN eventlog.event_types t ON t.name = e.name
     WHERE CASE WHEN eventlog._uncountable_column(e.name, e.data, e.actor, e.subject, e.created_at, e.weight) IS NULL
                THEN true END IS NOT NULL
$$;
