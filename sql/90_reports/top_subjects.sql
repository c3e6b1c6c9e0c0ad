-- Reports by subject: skills, tools, artifacts, whatever events are about. Over whole days in UTC;
-- of names whose type says count_subjects.

CREATE FUNCTION eventlog.subject_stats(
    names     text[] DEFAULT NULL,
    since     date   DEFAULT (now() AT TIME ZONE 'UTC')::date - 30,
    until     date   DEFAULT (now() AT TIME ZONE 'UTC')::date + 1,
    tenant_id uuid   DEFAULT NULL
) RETURNS TABLE (name text, subject text, events bigint, successes bigint, failures bigint, success_rate numeric,
                 mean_duration numeric, median_duration numeric, p95_duration numeric, p99_duration numeric,
                 first_at timestamptz, last_at timestamptz)
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
#variable_conflict use_column
DECLARE
    tenant uuid := eventlog._report_tenant(subject_stats.tenant_id);
    asked  text[] := eventlog._asked_names(names);
BEGIN
    PERFORM eventlog._check_span(since, until);
    RETURN QUERY
    SELECT c.name, c.subject, eventlog._whole(c.weighted_events), eventlog._whole(c.successes), eventlog._whole(c.failures),
           round((c.successes / nullif(c.successes + c.failures, 0))::numeric, 4),
           round((c.duration_sum / nullif(c.duration_count, 0))::numeric, 1),
           round(eventlog._percentile(c.duration_histogram, 0.5)::numeric, 1),
           round(eventlog._percentile(c.duration_histogram, 0.95)::numeric, 1),
           round(eventlog._percentile(c.duration_histogram, 0.99)::numeric, 1),
           c.first_at, c.last_at
      FROM eventlog._counted_subjects(tenant, since, until, asked) c
     ORDER BY c.weighted_events DESC, c.name, c.subject;
END
$$;

COMMENT ON FUNCTION eventlog.subject_stats(text[], date, date, uuid) IS
'For each name and subject from since (default 30 days ago) until before until (default tomorrow): events, successes, failures, durations (percentiles right within 2 %), first and last. By created_at.';

CREATE FUNCTION eventlog.top_subjects(
    names     text[]  DEFAULT NULL,
    since     date    DEFAULT (now() AT TIME ZONE 'UTC')::date - 30,
    until     date    DEFAULT (now() AT TIME ZONE 'UTC')::date + 1,
    prefix    text    DEFAULT '',
    row_limit integer DEFAULT 10,
    tenant_id uuid    DEFAULT NULL
) RETURNS TABLE (rank bigint, subject text, events bigint, share numeric, last_at timestamptz)
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
#variable_conflict use_column
DECLARE
    tenant uuid := eventlog._report_tenant(top_subjects.tenant_id);
    asked  text[] := eventlog._asked_names(names);
BEGIN
    PERFORM eventlog._check_span(since, until);
    PERFORM eventlog._check_row_limit(row_limit);
    RETURN QUERY
    SELECT row_number() OVER (ORDER BY s.events DESC, s.subject), s.subject, eventlog._whole(s.events),
           round((s.events / sum(s.events) OVER ())::numeric, 4), s.last_at
      FROM (SELECT c.subject, sum(c.weighted_events) AS events, max(c.last_at) AS last_at
              FROM eventlog._counted_subjects(tenant, since, until, asked) c
             WHERE starts_with(c.subject, coalesce(prefix, ''))
             GROUP BY c.subject) s
     ORDER BY s.events DESC, s.subject
     LIMIT row_limit;
END
$$;

COMMENT ON FUNCTION eventlog.top_subjects(text[], date, date, text, integer, uuid) IS
'The subjects with most events, at most row_limit (default 10), with their share of all that begin with prefix (such as skill/ for artifacts of that type). By created_at.';

CREATE FUNCTION eventlog.usage_summary(
    prefix    text   DEFAULT '',
    names     text[] DEFAULT NULL,
    since     date   DEFAULT (now() AT TIME ZONE 'UTC')::date - 90,
    until     date   DEFAULT (now() AT TIME ZONE 'UTC')::date + 1,
    tenant_id uuid   DEFAULT NULL
) RETURNS TABLE (subject text, first_used_at timestamptz, last_used_at timestamptz, events bigint, operations jsonb)
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
#variable_conflict use_column
DECLARE
    tenant uuid := eventlog._report_tenant(usage_summary.tenant_id);
    asked  text[] := eventlog._asked_names(names);
BEGIN
    PERFORM eventlog._check_span(since, until);
    RETURN QUERY
    SELECT c.subject, min(c.first_at), max(c.last_at), eventlog._whole(sum(c.weighted_events)),
           jsonb_object_agg(c.name, eventlog._whole(c.weighted_events))
      FROM eventlog._counted_subjects(tenant, since, until, asked) c
     WHERE starts_with(c.subject, coalesce(prefix, ''))
     GROUP BY c.subject
     ORDER BY 4 DESC, c.subject;
END
$$;

COMMENT ON FUNCTION eventlog.usage_summary(text, text[], date, date, uuid) IS
'For each subject that begins with prefix: when it was first and last used, and how often by operation (name), from since (default 90 days ago). By created_at.';

CREATE FUNCTION eventlog.unused_subjects(
    idle_for  interval DEFAULT '30 days',
    prefix    text     DEFAULT '',
    names     text[]   DEFAULT NULL,
    removed_by text[]  DEFAULT '{artifact_removed}',
    tenant_id uuid     DEFAULT NULL
) RETURNS TABLE (subject text, last_used_at timestamptz, idle_days integer, events bigint, suggestion text)
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
#variable_conflict use_column
DECLARE
    tenant uuid := eventlog._report_tenant(unused_subjects.tenant_id);
    asked  text[] := eventlog._asked_names(names);
    removing text[] := coalesce(eventlog._without_nulls(removed_by), '{}');
BEGIN
    IF idle_for IS NULL OR idle_for < '0'::interval THEN
        RAISE EXCEPTION 'idle_for is %', coalesce(idle_for::text, 'null')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'such as ''30 days''';
    END IF;
    RETURN QUERY
    SELECT s.subject, s.used_at, extract(day FROM now() - s.used_at)::integer, s.events,
           CASE WHEN s.events <= 3 THEN 'remove: hardly ever used' ELSE 'review: no longer used' END
      FROM (SELECT c.subject, max(c.last_at) AS last_at,
                   max(c.last_at) FILTER (WHERE c.name <> ALL (removing)) AS used_at,
                   max(c.last_at) FILTER (WHERE c.name = ANY (removing)) AS removed_at,
                   eventlog._whole(sum(c.weighted_events) FILTER (WHERE c.name <> ALL (removing))) AS events
              FROM eventlog._counted_subjects(tenant, '1970-01-01', (now() + interval '1 day')::date,
                                              CASE WHEN asked IS NOT NULL THEN asked || removing END) c
             WHERE starts_with(c.subject, coalesce(prefix, ''))
             GROUP BY c.subject) s
     WHERE s.used_at < now() - idle_for
       -- What was removed needs no cleaning up.
       AND (s.removed_at IS NULL OR s.removed_at < s.used_at)
     ORDER BY s.used_at, s.subject;
END
$$;

COMMENT ON FUNCTION eventlog.unused_subjects(interval, text, text[], text[], uuid) IS
'Subjects that begin with prefix and were not used for idle_for (default 30 days), longest first, with a suggestion; not those whose last event is one of removed_by. Looks at all that the rollups remember. By created_at.';
