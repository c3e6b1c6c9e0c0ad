-- View: the state of maintenance.

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
           ARRAY(SELECT d.description FROM eventlog_private.phases() p, eventlog_private.due(p.phase) d),
           eventlog._covered_until(),
           nullif(concat_ws('; ',
               'the rollups wait for ' || eventlog_private.awaited_writers(),
               'dropping or rewriting partitions waits for '
                   || CASE WHEN EXISTS (SELECT FROM unnest(ARRAY['drop partition', 'rewrite partition']) AS p, eventlog_private.due(p))
                           THEN eventlog_private.describe_lock_holders(eventlog_private.conflicting_modes('AccessExclusiveLock')) END,
               'open for more than an hour: ' || eventlog_private.describe_processes(NULL)), ''),
           eventlog_private.clock_doubt()
      FROM (VALUES (1)) AS one
      LEFT JOIN LATERAL (SELECT m.* FROM eventlog.maintenance_runs m ORDER BY m.id DESC LIMIT 1) r ON true;
END
$$;

CREATE VIEW eventlog.stat_maintenance AS SELECT * FROM eventlog._stat_maintenance();

COMMENT ON VIEW eventlog.stat_maintenance IS
'The last run of maintain(), what is due now, the time until which partitions reach, the transactions that hold maintenance up now or have been open for more than an hour, and the reason if the server''s clock is doubted. For the log''s owner.';
