-- Defining alerts: what they watch, and who may.

-- Returns the end of the window that holds a time. Windows are aligned in UTC: those of a day begin at
-- midnight, those of a week on Monday.
CREATE FUNCTION eventlog_private.window_end(time_window interval, at timestamptz) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
    SELECT date_bin(time_window, at, '2001-01-01 00:00:00+00') + time_window
$$;

-- Checks an interval of an alert's definition, named `what`.
CREATE FUNCTION eventlog_private.check_alert_interval(what text, given interval, shortest interval, longest interval, example text) RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF extract(month FROM given) <> 0 OR extract(year FROM given) <> 0 OR given NOT BETWEEN shortest AND longest
       OR extract(epoch FROM given)::numeric % 60 <> 0 THEN
        RAISE EXCEPTION '% must be whole minutes from % to %, got %', what, shortest, longest, given
            USING ERRCODE = 'invalid_parameter_value', DETAIL = 'Months have no fixed length.', HINT = example;
    END IF;
END
$$;

-- Checks what an alert watches, and returns its threshold, and the value at which it is resolved. By default
-- that is a tenth back from the threshold, rounded for counts, so that a value that wavers around the threshold
-- does not raise and resolve it again and again.
CREATE FUNCTION eventlog_private.check_threshold(condition text, INOUT threshold double precision, INOUT resolve_at double precision)
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    most    constant double precision := CASE condition WHEN 'error_rate' THEN 100 ELSE 1e15 END;
    example constant text := CASE condition WHEN 'error_rate' THEN 'percent, such as threshold => 5'
                                            WHEN 'changed' THEN 'percent, such as threshold => 50'
                                            WHEN 'stopped_consumers' THEN 'seconds, such as threshold => 600'
                                            WHEN 'findings' THEN 'such as threshold => 0'
                                            ELSE 'a number of events, such as threshold => 100' END;
BEGIN
    IF condition = 'not_received' THEN
        IF threshold IS NOT NULL OR resolve_at IS NOT NULL THEN
            RAISE EXCEPTION 'not_received has no threshold'
                USING ERRCODE = 'invalid_parameter_value', DETAIL = 'It holds for windows without an event.',
                      HINT = 'leave out threshold and resolve_at, or type: condition => ''below''';
        END IF;
        RETURN;
    END IF;
    threshold := coalesce(threshold, CASE WHEN condition IN ('refused', 'quota', 'findings') THEN 0
                                          WHEN condition = 'stopped_consumers' THEN 600 END);
    IF threshold IS NULL THEN
        RAISE EXCEPTION 'the condition % needs a threshold', condition USING ERRCODE = 'invalid_parameter_value', HINT = example;
    -- Not a number is above all numbers.
    ELSIF threshold < 0 OR threshold > most OR condition = 'below' AND threshold = 0 THEN
        RAISE EXCEPTION 'the threshold of % must be % to %, got %', condition,
                CASE condition WHEN 'below' THEN 'more than 0, up' ELSE 'from 0' END, most, threshold
            USING ERRCODE = 'invalid_parameter_value', HINT = example;
    END IF;
    IF resolve_at IS NULL THEN
        resolve_at := CASE WHEN condition = 'below' THEN greatest(threshold, floor(threshold * 1.1))
                           WHEN condition IN ('changed', 'error_rate', 'stopped_consumers') THEN threshold * 0.9
                           ELSE least(threshold, ceil(threshold * 0.9)) END;
    ELSIF resolve_at < 0 OR resolve_at > most OR (CASE condition WHEN 'below' THEN resolve_at < threshold ELSE resolve_at > threshold END) THEN
        RAISE EXCEPTION 'resolve_at must be % the threshold %, got %',
                CASE condition WHEN 'below' THEN 'at or above' ELSE 'at or below' END, threshold, resolve_at
            USING ERRCODE = 'invalid_parameter_value', DETAIL = 'Between the two, an alert stays as it is.',
                  HINT = 'leave it out for a tenth back from the threshold';
    END IF;
END
$$;

CREATE FUNCTION eventlog_private.insert_alert(tenant uuid, alert text, definition jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
SET intervalstyle = 'postgres'
AS $$
#variable_conflict use_variable
DECLARE
    most_alerts constant integer := 100;
    conditions  constant text[] := '{above,below,changed,not_received,error_rate,refused,quota,stopped_consumers,findings}';
    condition   constant text := definition ->> 'condition';
    given       record;
    level       record;
    other       text;
BEGIN
    IF alert IS NULL OR condition IS NULL OR definition ->> 'time_window' IS NULL THEN
        RAISE EXCEPTION '% must not be null', CASE WHEN alert IS NULL THEN 'alert' WHEN condition IS NULL THEN 'condition' ELSE 'time_window' END
            USING ERRCODE = 'null_value_not_allowed';
    ELSIF char_length(alert) NOT BETWEEN 1 AND 100 THEN
        RAISE EXCEPTION 'the name of an alert must have 1 to 100 characters, got %', char_length(alert)
            USING ERRCODE = 'invalid_parameter_value', HINT = 'such as ''no_checkouts''';
    ELSIF condition <> ALL (conditions) THEN
        RAISE EXCEPTION 'unknown condition "%"', left(condition, 80)
            USING ERRCODE = 'invalid_parameter_value', HINT = 'one of ' || array_to_string(conditions, ', ');
    END IF;
    SELECT d.* INTO given FROM jsonb_to_record(definition)
        AS d (names text[], time_window interval, compare_with interval, threshold double precision, resolve_at double precision,
              raise_after integer, resolve_after integer, pause interval);
    PERFORM eventlog_private.check_alert_interval('time_window', given.time_window, '1 minute', '31 days', 'such as time_window => ''1 hour''');
    PERFORM eventlog_private.check_alert_interval('pause', given.pause, '0', '366 days', 'such as pause => ''6 hours''');
    IF given.compare_with IS NOT NULL AND condition <> 'changed' THEN
        RAISE EXCEPTION 'compare_with is for the condition changed, not %', condition
            USING ERRCODE = 'invalid_parameter_value', HINT = 'leave it out';
    END IF;
    PERFORM eventlog_private.check_alert_interval('compare_with', given.compare_with, given.time_window, '366 days',
                                                  'such as compare_with => ''7 days''');
    IF coalesce(given.raise_after NOT BETWEEN 1 AND 1000, true) OR coalesce(given.resolve_after NOT BETWEEN 1 AND 1000, true) THEN
        RAISE EXCEPTION 'raise_after and resolve_after must be from 1 to 1000 windows, got % and %',
                coalesce(given.raise_after::text, 'null'), coalesce(given.resolve_after::text, 'null')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'such as raise_after => 3';
    END IF;
    IF given.names IS NOT NULL AND condition IN ('quota', 'stopped_consumers', 'findings') THEN
        RAISE EXCEPTION 'the condition % has no names', condition USING ERRCODE = 'invalid_parameter_value', HINT = 'leave them out';
    -- What is refused is often of no event type.
    ELSIF condition <> 'refused' OR given.names = '{}' OR array_position(given.names, NULL) IS NOT NULL THEN
        PERFORM eventlog_private.check_known_names(given.names);
    END IF;
    IF condition = 'findings' AND tenant <> eventlog.all_tenants() THEN
        RAISE EXCEPTION 'findings of the doctor are about the whole log, not about a tenant'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'tenant_id => eventlog.all_tenants()';
    END IF;
    SELECT c.* INTO level FROM eventlog_private.check_threshold(condition, given.threshold, given.resolve_at) c;

    INSERT INTO eventlog.alerts (tenant_id, alert, condition, names, time_window, compare_with, threshold, resolve_at, raise_after,
                                 resolve_after, pause, next_until)
    VALUES (tenant, alert, condition, given.names, given.time_window, given.compare_with, level.threshold, level.resolve_at,
            given.raise_after, given.resolve_after, coalesce(given.pause, '0'), eventlog_private.window_end(given.time_window, clock_timestamp()))
    ON CONFLICT ON CONSTRAINT alerts_pkey DO NOTHING;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'alert "%" exists', alert
            USING ERRCODE = 'duplicate_object', HINT = format('SELECT eventlog.drop_alert(%L);', alert);
    END IF;
    IF tenant <> eventlog.all_tenants() AND (SELECT count(*) FROM eventlog.alerts a WHERE a.tenant_id = tenant) > most_alerts THEN
        RAISE EXCEPTION 'a tenant can have % alerts', most_alerts
            USING ERRCODE = 'program_limit_exceeded', HINT = 'SELECT alert FROM eventlog.alerts;';
    END IF;
END
$$;

CREATE FUNCTION eventlog_private.add_alert(tenant uuid, alert text, definition jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF definition ->> 'condition' = 'findings' THEN
        RAISE EXCEPTION 'an alert on findings of the doctor is for the log''s owner' USING ERRCODE = 'insufficient_privilege';
    END IF;
    PERFORM eventlog_private.insert_alert(tenant, alert, definition);
END
$$;

CREATE FUNCTION eventlog_private.add_owner_alert(tenant uuid, alert text, definition jsonb) RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT eventlog_private.insert_alert(tenant, alert, definition) $$;

CREATE FUNCTION eventlog_private.refuse_unknown_alert(alert text) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION 'unknown alert "%"', left(alert, 100)
        USING ERRCODE = 'undefined_object', HINT = 'SELECT tenant_id, alert FROM eventlog.alerts;';
END
$$;

CREATE FUNCTION eventlog_private.remove_alert(tenant uuid, alert text) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    DELETE FROM eventlog.alerts a WHERE a.tenant_id = tenant AND a.alert = alert;
    IF NOT FOUND THEN
        PERFORM eventlog_private.refuse_unknown_alert(alert);
    END IF;
END
$$;

-- Switches an alert off or on. It goes on with the window of the moment; the others in between are nobody's.
CREATE FUNCTION eventlog_private.switch_alert(tenant uuid, alert text, is_enabled boolean) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    UPDATE eventlog.alerts a
       SET is_enabled = is_enabled,
           next_until = CASE WHEN is_enabled AND NOT a.is_enabled THEN eventlog_private.window_end(a.time_window, clock_timestamp())
                             ELSE a.next_until END,
           windows_in_row = CASE WHEN is_enabled AND NOT a.is_enabled THEN 0 ELSE a.windows_in_row END
     WHERE a.tenant_id = tenant AND a.alert = alert;
    IF NOT FOUND THEN
        PERFORM eventlog_private.refuse_unknown_alert(alert);
    END IF;
END
$$;

-- Doors for those who may read the events of the tenant, which is the first argument.
CREATE FUNCTION eventlog._add_alert(tenant uuid, alert text, definition jsonb) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'as_reader_wrapper';

CREATE FUNCTION eventlog._remove_alert(tenant uuid, alert text) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'as_reader_wrapper';

CREATE FUNCTION eventlog._switch_alert(tenant uuid, alert text, is_enabled boolean) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'as_reader_wrapper';

-- The door for alerts that are only the owner's.
CREATE FUNCTION eventlog._add_owner_alert(tenant uuid, alert text, definition jsonb) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'as_owner_wrapper';

CREATE FUNCTION eventlog.create_alert(
    alert         text,
    condition     text,
    threshold     double precision DEFAULT NULL,
    names         text[]           DEFAULT NULL,
    time_window   interval         DEFAULT '1 hour',
    resolve_at    double precision DEFAULT NULL,
    raise_after   integer          DEFAULT 1,
    resolve_after integer          DEFAULT 1,
    compare_with  interval         DEFAULT NULL,
    pause         interval         DEFAULT '0',
    tenant_id     uuid             DEFAULT NULL
) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
SET intervalstyle = 'postgres'
AS $$
#variable_conflict use_variable
DECLARE
    tenant     uuid  := eventlog._report_tenant(tenant_id);
    definition jsonb := jsonb_build_object('condition', condition, 'names', names, 'time_window', time_window, 'compare_with', compare_with,
        'threshold', threshold, 'resolve_at', resolve_at, 'raise_after', raise_after, 'resolve_after', resolve_after, 'pause', pause);
BEGIN
    IF condition = 'findings' THEN
        PERFORM eventlog._add_owner_alert(tenant, alert, definition);
    ELSE
        PERFORM eventlog._add_alert(tenant, alert, definition);
    END IF;
END
$$;

COMMENT ON FUNCTION eventlog.create_alert(text, text, double precision, text[], interval, double precision, integer, integer, interval, interval, uuid) IS
'Creates an alert on a tenant''s events (default this connection''s; all_tenants() for the log''s owner and services). condition: above or below a number of events, changed (percent against the window before), not_received, error_rate (percent), refused, quota, stopped_consumers (seconds), findings (of the doctor, for the owner). It is raised after raise_after windows in a row beyond the threshold, and resolved after resolve_after windows back at resolve_at; not raised again for a pause. 42710 if it exists. A tenant can have 100.';

CREATE FUNCTION eventlog.drop_alert(alert text, tenant_id uuid DEFAULT NULL) RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT eventlog._remove_alert(eventlog._report_tenant(drop_alert.tenant_id), alert)
$$;

COMMENT ON FUNCTION eventlog.drop_alert(text, uuid) IS
'Drops an alert; what it did stays in alert_changes. Unknown: 42704.';

CREATE FUNCTION eventlog.disable_alert(alert text, tenant_id uuid DEFAULT NULL) RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT eventlog._switch_alert(eventlog._report_tenant(disable_alert.tenant_id), alert, false)
$$;

COMMENT ON FUNCTION eventlog.disable_alert(text, uuid) IS
'Stops evaluating an alert, which stays as it is, until enable_alert(). Unknown: 42704.';

CREATE FUNCTION eventlog.enable_alert(alert text, tenant_id uuid DEFAULT NULL) RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT eventlog._switch_alert(eventlog._report_tenant(enable_alert.tenant_id), alert, true)
$$;

COMMENT ON FUNCTION eventlog.enable_alert(text, uuid) IS
'Evaluates an alert again, from the window of the moment on. Unknown: 42704.';
