-- What the rollups and the reports measure of an event, and of which one they cannot.

-- A number in a payload, as far as a double holds it.
CREATE FUNCTION eventlog._number(data jsonb, key text) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT CASE WHEN key IS NOT NULL AND jsonb_typeof(data -> key) = 'number'
                THEN CASE WHEN (data -> key)::numeric BETWEEN 1e-300 AND 1e15 THEN (data -> key)::double precision
                          WHEN (data -> key)::numeric BETWEEN 0 AND 1e-300 THEN 0 END END
$$;

-- Whether an event failed, as far as its type tells. Where success_key has values that mean success, a
-- sender may still say no more than whether it succeeded.
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

-- The column that keeps an event out of the rollups; null for one that can be counted. The log's own
-- rules let no such row in: it comes past them, by COPY as the owner, a restore or replication. In
-- conditions, not by exceptions: nothing that is stored may keep other events from being counted.
-- 128 and 512 bytes are the limits of names and labels; an index entry holds no more than 2,704.
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

-- Events with what the reports measure, but for those that cannot be counted. Like the three above it
-- has no SET clause, so that it becomes part of the query that calls it; all of these set search_path.
-- IS NOT NULL of a CASE: the planner takes it for true of almost every row.
CREATE FUNCTION eventlog._measured_events()
RETURNS TABLE (id bigint, tenant_id uuid, name text, data jsonb, actor text, subject text, created_at timestamptz,
               weight double precision, duration double precision, has_failed boolean, count_subjects boolean)
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT e.id, e.tenant_id, e.name, e.data, e.actor, e.subject, e.created_at,
           coalesce(e.weight, 1)::double precision,
           CASE WHEN t.duration_key IS NOT NULL THEN eventlog._number(e.data, t.duration_key) END,
           CASE WHEN t.success_key IS NOT NULL OR t.error_key IS NOT NULL
                THEN eventlog._has_failed(e.data, t.success_key, t.error_key, t.success_values) END,
           coalesce(t.count_subjects, true)
      FROM eventlog.events e
      LEFT JOIN eventlog.event_types t ON t.name = e.name
     WHERE CASE WHEN eventlog._uncountable_column(e.name, e.data, e.actor, e.subject, e.created_at, e.weight) IS NULL
                THEN true END IS NOT NULL
$$;
