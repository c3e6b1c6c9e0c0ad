-- Evaluating alerts: each closed window once, in order.

-- Returns whether a condition is about the moment rather than about events of a window. Such an alert need not
-- wait for events, and of windows that were missed only the last has a value.
CREATE FUNCTION eventlog_private.is_of_the_moment(condition text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT condition IN ('stopped_consumers', 'findings') $$;

-- Returns whether the value of a window is beyond the threshold, and whether it is back. Both are false in
-- between, and without a value.
CREATE FUNCTION eventlog_private.judge(condition text, value double precision, threshold double precision, resolve_at double precision,
                                       OUT is_beyond boolean, OUT is_back boolean)
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(CASE condition WHEN 'not_received' THEN value = 0 WHEN 'below' THEN value < threshold ELSE abs(value) > threshold END, false),
           coalesce(CASE condition WHEN 'not_received' THEN value > 0 WHEN 'below' THEN value >= resolve_at ELSE abs(value) <= resolve_at END, false)
$$;

-- Evaluates the windows of an alert that end by a time, in order, and returns how many changes they made. An
-- alert that somebody is changing is left to the next time.
CREATE FUNCTION eventlog_private.evaluate_alert(tenant uuid, alert text, until timestamptz, findings jsonb) RETURNS integer
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
#variable_conflict use_variable
DECLARE
    most_missed  constant integer := 1000;
    most_at_once constant integer := 100;
    a        eventlog.alerts;
    missed   bigint;
    since    timestamptz;
    measured record;
    judged   record;
    changes  integer := 0;
BEGIN
    SELECT l.* INTO a FROM eventlog.alerts l WHERE l.tenant_id = tenant AND l.alert = alert AND l.is_enabled FOR UPDATE SKIP LOCKED;
    IF NOT FOUND OR a.next_until > until THEN
        RETURN 0;
    END IF;
    missed := floor(extract(epoch FROM until - a.next_until) / extract(epoch FROM a.time_window)) + 1
              - CASE WHEN eventlog_private.is_of_the_moment(a.condition) THEN 1 ELSE most_missed END;
    IF missed > 0 THEN
        a.next_until := a.next_until + missed * a.time_window;
        IF NOT eventlog_private.is_of_the_moment(a.condition) THEN
            a.windows_in_row := 0;
            a.windows_skipped := a.windows_skipped + missed;
        END IF;
    END IF;
    FOR i IN 1 .. most_at_once LOOP
        EXIT WHEN a.next_until > until;
        since := a.next_until - a.time_window;
        SELECT v.* INTO measured
          FROM eventlog_private.alert_value(tenant, a.condition, a.names, since, a.next_until,
                                            since - coalesce(a.compare_with, a.time_window), findings) v;
        SELECT j.* INTO judged FROM eventlog_private.judge(a.condition, measured.value, a.threshold, a.resolve_at) j;
        a.value := measured.value;
        a.evaluated_until := a.next_until;
        IF (CASE WHEN a.is_raised THEN judged.is_back ELSE judged.is_beyond END) THEN
            a.windows_in_row := a.windows_in_row + 1;
        ELSIF measured.value IS NOT NULL THEN
            a.windows_in_row := 0;
        END IF;
        IF a.windows_in_row >= (CASE WHEN a.is_raised THEN a.resolve_after ELSE a.raise_after END)
           AND (a.is_raised OR a.resolved_at IS NULL OR a.next_until >= a.resolved_at + a.pause) THEN
            a.is_raised := NOT a.is_raised;
            a.windows_in_row := 0;
            a.raised_since := CASE WHEN a.is_raised THEN a.next_until END;
            a.resolved_at := CASE WHEN a.is_raised THEN a.resolved_at ELSE a.next_until END;
            changes := changes + 1;
            INSERT INTO eventlog.alert_changes (tenant_id, alert, is_raised, details)
            VALUES (tenant, alert, a.is_raised, jsonb_build_object(
                'condition', a.condition, 'names', a.names, 'threshold', a.threshold,
                'value', CASE WHEN a.value < 'Infinity' THEN a.value END, 'since', since, 'until', a.next_until) || measured.more);
        END IF;
        a.next_until := a.next_until + a.time_window;
    END LOOP;
    UPDATE eventlog.alerts u
       SET is_raised = a.is_raised, raised_since = a.raised_since, resolved_at = a.resolved_at, value = a.value,
           evaluated_until = a.evaluated_until, next_until = a.next_until, windows_in_row = a.windows_in_row,
           windows_skipped = a.windows_skipped, failure = NULL
     WHERE u.tenant_id = tenant AND u.alert = alert;
    RETURN changes;
END
$$;

-- Returns whether an alert has a window to evaluate: those of events by the time that is closed, those of the
-- moment by the clock, and findings once they are given.
CREATE FUNCTION eventlog_private.is_due(condition text, next_until timestamptz, closed_until timestamptz, at timestamptz, has_findings boolean)
RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT next_until <= CASE WHEN eventlog_private.is_of_the_moment(condition) THEN at ELSE closed_until END
           AND (condition <> 'findings' OR has_findings)
$$;

-- Evaluates alerts for about two seconds, and returns how many changes that made and whether more are due. One
-- that fails says so in its row, and is tried again after the others.
CREATE FUNCTION eventlog_private.evaluate_until(closed_until timestamptz, at timestamptz, findings jsonb,
                                                OUT changes integer, OUT is_more boolean)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    deadline constant timestamptz := clock_timestamp() + interval '2 seconds';
    due      record;
BEGIN
    changes := 0;
    FOR due IN
        SELECT a.tenant_id, a.alert, a.condition FROM eventlog.alerts a
         WHERE a.is_enabled AND a.next_until <= greatest(closed_until, at)
           AND eventlog_private.is_due(a.condition, a.next_until, closed_until, at, findings IS NOT NULL)
         ORDER BY a.failure IS NOT NULL, a.next_until, a.tenant_id, a.alert LIMIT 1000
    LOOP
        BEGIN
            changes := changes + eventlog_private.evaluate_alert(due.tenant_id, due.alert,
                CASE WHEN eventlog_private.is_of_the_moment(due.condition) THEN at ELSE closed_until END, findings);
        EXCEPTION WHEN OTHERS THEN
            UPDATE eventlog.alerts a SET failure = left(SQLERRM, 500) WHERE a.tenant_id = due.tenant_id AND a.alert = due.alert;
        END;
        EXIT WHEN clock_timestamp() > deadline;
    END LOOP;
    is_more := EXISTS (SELECT FROM eventlog.alerts a
                        WHERE a.is_enabled AND a.next_until <= greatest(closed_until, at) AND a.failure IS NULL
                          AND eventlog_private.is_due(a.condition, a.next_until, closed_until, at, findings IS NOT NULL));
END
$$;

-- Closes windows and evaluates alerts, unless somebody else is doing so: then it returns at once.
CREATE FUNCTION eventlog_private.evaluate_due(findings jsonb, OUT changes integer, OUT is_more boolean)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    changes := 0;
    is_more := false;
    IF NOT EXISTS (SELECT FROM eventlog.alerts a WHERE a.is_enabled AND a.next_until <= clock_timestamp()) THEN
        RETURN;
    END IF;
    IF eventlog_private.take_lock('alerts', false, false) THEN
        SELECT e.changes, e.is_more INTO changes, is_more
          FROM eventlog_private.evaluate_until(eventlog_private.close_windows(),
                   CASE WHEN eventlog_private.clock_doubt() IS NULL THEN clock_timestamp() ELSE '-infinity' END, findings) e;
    END IF;
END
$$;

CREATE FUNCTION eventlog_private.evaluate_alerts(findings jsonb) RETURNS integer
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM eventlog._require_layout(2);
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'alerts cannot be evaluated in a transaction that is %', current_setting('transaction_isolation')
            USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = 'Its snapshot may be older than the windows to evaluate.',
                  HINT = 'BEGIN ISOLATION LEVEL READ COMMITTED;';
    ELSIF jsonb_typeof(findings) <> 'array' THEN
        RAISE EXCEPTION 'findings must be an array, got %', jsonb_typeof(findings)
            USING ERRCODE = 'invalid_parameter_value', HINT = 'the output of: eventlog doctor --json';
    END IF;
    RETURN (SELECT e.changes FROM eventlog_private.evaluate_due(findings) e);
END
$$;

CREATE FUNCTION eventlog.evaluate_alerts(findings jsonb DEFAULT NULL) RETURNS integer
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'as_owner_wrapper';

COMMENT ON FUNCTION eventlog.evaluate_alerts(jsonb) IS
'Evaluates alerts on windows that have closed since, and returns how many were raised or resolved: at most two seconds'' worth, so call it again while alerts are due. If somebody else is evaluating, it returns 0 at once. maintain() calls it, and so does eventlog deliver as the log''s owner. findings: those of eventlog doctor, for alerts on them. For the log''s owner.';

-- Phase "evaluate alerts" of maintain().
CREATE FUNCTION eventlog_private.due_evaluate_alerts(counted_until timestamptz) RETURNS TABLE (task text, description text)
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT 'alerts', 'evaluate alerts'
     WHERE EXISTS (SELECT FROM eventlog.alerts a
                    WHERE a.is_enabled AND a.condition <> 'findings' AND a.next_until <= clock_timestamp() - interval '1 minute')
$$;

CREATE FUNCTION eventlog_private.do_evaluate_alerts(task text, OUT action text, OUT rows bigint, OUT is_more boolean, OUT failure text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    SELECT e.changes, e.is_more INTO rows, is_more FROM eventlog_private.evaluate_due(NULL) e;
    action := 'raised or resolved %s alerts';
END
$$;
