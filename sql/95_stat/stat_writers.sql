-- View: writers that number their batches.

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

CREATE VIEW eventlog.stat_writers AS SELECT * FROM eventlog._stat_writers();

COMMENT ON VIEW eventlog.stat_writers IS
'Writers that number their batches: number of batches, number of skipped batch numbers, and the last one. For the log''s owner.';
