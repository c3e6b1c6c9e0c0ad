-- View: events that cannot be counted.

CREATE FUNCTION eventlog._stat_uncounted()
RETURNS TABLE (tenant_id uuid, id bigint, created_at timestamptz, column_name text)
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    PERFORM eventlog._require_log();
    RETURN QUERY
    SELECT e.tenant_id, e.id, e.created_at, c.column_name
      FROM eventlog.events e
     CROSS JOIN LATERAL (SELECT eventlog._uncountable_column(e.name, e.data, e.actor, e.subject, e.created_at, e.weight)
                            AS column_name) c
     WHERE c.column_name IS NOT NULL;
END
$$;

CREATE VIEW eventlog.stat_uncounted AS SELECT * FROM eventlog._stat_uncounted();

COMMENT ON VIEW eventlog.stat_uncounted IS
'Events that rollups and reports leave out, with the column that is the reason: a name, actor or subject that is too long, a weight that is not positive and finite, or data that is no object. They came past the rules, by COPY as the owner, a restore or replication. Reads all rows.';

GRANT SELECT ON eventlog.stat_uncounted TO PUBLIC;
