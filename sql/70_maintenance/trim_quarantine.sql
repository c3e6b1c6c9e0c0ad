-- Trimming the quarantine, with a fair share for each tenant.

-- Lists tenants with more rows in the quarantine than their share of rejected_limit, and how many more. The
-- share is as large as possible while all fit: tenants that need less leave the rest to others. A row of a
-- caller without a tenant belongs to the tenant that it named, or to none.
CREATE FUNCTION eventlog_private.tenants_over_share() RETURNS TABLE (tenant_id uuid, excess bigint)
LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    WITH held AS (
        SELECT coalesce(r.tenant_id, r.claimed_tenant_id) AS tenant_id, count(*) AS rows
          FROM eventlog.rejected_events r GROUP BY 1
    ), ordered AS (
        -- Rows of tenants with fewer rows, and the number of tenants from this one on.
        SELECT h.rows, sum(h.rows) OVER by_rows - h.rows AS before, count(*) OVER () - row_number() OVER by_rows + 1 AS rest
          FROM held h WINDOW by_rows AS (ORDER BY h.rows ROWS UNBOUNDED PRECEDING)
    ), share AS (
        SELECT floor((c.rejected_limit - o.before) / o.rest)::bigint AS rows
          FROM ordered o, eventlog.maintenance_settings c
         WHERE o.before + o.rest * o.rows > c.rejected_limit
         ORDER BY o.rows LIMIT 1
    )
    SELECT h.tenant_id, h.rows - s.rows FROM held h, share s WHERE h.rows > s.rows
$$;

-- Deletes up to most_rows() rows of the quarantine, and returns their number: those past their time, then
-- the oldest rows of each tenant that has more than its share.
CREATE FUNCTION eventlog_private.trim_quarantine() RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    most_rows constant integer := eventlog_private.most_rows();
    crowding record;
    trimmed  bigint;
    rows     bigint := eventlog_private.trim('rejected_events');
BEGIN
    IF rows < most_rows THEN
        FOR crowding IN SELECT c.tenant_id, c.excess FROM eventlog_private.tenants_over_share() c ORDER BY c.excess DESC LOOP
            DELETE FROM eventlog.rejected_events WHERE ctid = ANY (ARRAY(
                SELECT r.ctid FROM eventlog.rejected_events r
                 WHERE coalesce(r.tenant_id, r.claimed_tenant_id) IS NOT DISTINCT FROM crowding.tenant_id
                 ORDER BY r.id LIMIT least(crowding.excess, most_rows - rows)));
            GET DIAGNOSTICS trimmed = ROW_COUNT;
            rows := rows + trimmed;
            EXIT WHEN rows >= most_rows;
        END LOOP;
    END IF;
    RETURN rows;
END
$$;
