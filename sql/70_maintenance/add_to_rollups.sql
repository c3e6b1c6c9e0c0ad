-- Adding events to the rollups: one pass over the events counts them for all rollups at once, in parallel
-- where workers can be had, and then each rollup gets its rows. A SELECT that writes could not be parallel,
-- so the pass reads the notes of late events as well, in one snapshot with the events, and the notes that it
-- read are deleted afterwards.

-- Adds the events e of `source`, a FROM clause over eventlog.events with its WHERE, to the rollups, and
-- deletes the notes of late_events that `notes` selects, an array of their ctids. Both may have the parameters
-- $1 to $4: since, until, tenants and late. Returns the number of events.
--
-- Rows are inserted in index order, so that the rows of a tenant end up side by side. ON CONFLICT is left out
-- where the span starts an hour, day or month, since nothing can be there yet but from another part of it. LIMIT
-- tells the planner how many rows there are.
CREATE FUNCTION eventlog_private.add_to_rollups(source text, notes text, since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL,
                                         tenants uuid[] DEFAULT NULL, late tid[] DEFAULT NULL,
                                         is_further_part boolean DEFAULT false)
RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET jit = off
SET work_mem = '4MB'
SET parallel_leader_participation = on
SET max_parallel_workers_per_gather = 0
AS $$
DECLARE
    rules   constant jsonb := (
        SELECT jsonb_object_agg(t.name, jsonb_build_object(
                   'duration_key', t.duration_key, 'success_key', t.success_key, 'error_key', t.error_key,
                   'success_values', t.success_values, 'count_subjects', t.count_subjects, 'count_keys', t.count_keys))
          FROM eventlog.event_types t);
    add_counts constant text := (
        SELECT string_agg(format(CASE WHEN m.name = 'duration_histogram'
                                      THEN '%1$I = eventlog_private.add_histograms(r.%1$I, EXCLUDED.%1$I)'
                                      ELSE '%1$I = r.%1$I + EXCLUDED.%1$I' END, m.name), ', ')
          FROM eventlog_private.measures() m);
    add_times  constant text := ', first_at = least(r.first_at, EXCLUDED.first_at), last_at = greatest(r.last_at, EXCLUDED.last_at)';
    add_active constant text := 'days = r.days | EXCLUDED.days, quarters = eventlog._quarters_union(r.quarters, EXCLUDED.quarters)';
    counted    bigint[];
    taken      tid[];
    rollup     record;
BEGIN
    PERFORM set_config('work_mem', current_setting('maintenance_work_mem'), true),
            set_config('max_parallel_workers_per_gather', current_setting('max_parallel_maintenance_workers'), true);
    -- INTO of a SELECT would stop after a row and so forbid workers; that of EXECUTE does not. The backend's
    -- id keeps the top of the plan out of workers (debug_parallel_query), whose counts nobody would find.
    EXECUTE format('SELECT c.counted, (%s), pg_backend_pid()
                      FROM (SELECT eventlog_private.count_all(e.id, e.tenant_id, e.name, e.data, e.actor, e.subject, e.created_at,
                                                              e.weight, $5) AS counted FROM %s) c', notes, source)
       INTO counted, taken USING since, until, tenants, late, rules;
    IF since IS NOT NULL THEN
        PERFORM eventlog_private.note_counted_keys(rules, since);
    END IF;
    FOR rollup IN
        SELECT v.table_name, counted[v.place] AS rows,
               CASE WHEN is_further_part OR (since = date_trunc(v.stretch, since)) IS NOT TRUE THEN
                    format('ON CONFLICT ON CONSTRAINT %I DO UPDATE SET %s', v.table_name || '_pkey', v.addition) END AS conflict
          FROM (VALUES (2, 'hourly_counts', 'hour', add_counts),
                       (3, 'daily_counts', 'day', add_counts),
                       (4, 'daily_subjects', 'day', add_counts || add_times),
                       (5, 'monthly_actors', 'month', add_active),
                       (7, 'hourly_keys', 'hour', add_counts),
                       (8, 'daily_keys', 'day', add_counts),
                       (9, 'monthly_key_actors', 'month', add_active)) AS v (place, table_name, stretch, addition)
         WHERE counted[v.place] > 0
         ORDER BY v.place
    LOOP
        EXECUTE format('INSERT INTO eventlog.%1$I AS r SELECT c.* FROM eventlog_private.%2$I() c LIMIT %3$s %4$s',
                       rollup.table_name, 'counted_' || rollup.table_name, rollup.rows, rollup.conflict);
    END LOOP;
    -- Almost every actor is known, and ON CONFLICT would lock each row.
    EXECUTE format('INSERT INTO eventlog.first_events AS r
                    SELECT c.* FROM (SELECT * FROM eventlog_private.counted_first_events() LIMIT %s) c
                     WHERE NOT EXISTS (SELECT FROM eventlog.first_events k
                                        WHERE k.tenant_id = c.tenant_id AND k.name = c.name AND k.actor = c.actor AND k.first_at <= c.first_at)
                        ON CONFLICT ON CONSTRAINT first_events_pkey DO UPDATE SET first_at = least(r.first_at, EXCLUDED.first_at)', counted[6]);
    IF taken <> '{}' THEN
        -- Those of a sealed day wait for their supplement.
        WITH counted AS (
            DELETE FROM eventlog.late_events l WHERE l.ctid = ANY (taken) RETURNING l.id, l.created_at, l.is_sealed
        )
        INSERT INTO eventlog.unsealed_events (tenant_id, id, created_at)
        SELECT e.tenant_id, e.id, e.created_at
          FROM counted c JOIN eventlog.events e ON e.id = c.id AND e.created_at = c.created_at
         WHERE NOT c.is_sealed AND c.created_at < (SELECT s.sealed_until FROM eventlog.seal_state s)
        ON CONFLICT ON CONSTRAINT unsealed_events_pkey DO NOTHING;
    END IF;
    PERFORM eventlog_private.report_uncountable(eventlog_private.counted_without());
    IF counted[1] > 0 THEN
        PERFORM eventlog_private.drop_counts_of_erased(eventlog_private.counted_tenants(), eventlog_private.counted_since());
    END IF;
    PERFORM eventlog_private.forget_counts();
    RETURN counted[1];
END
$$;
