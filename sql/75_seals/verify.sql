-- Verifying seals, with the caller's own rights: a tenant verifies its own.

-- Checks the events of whole days, from `since` until before `until`, against their seals, in one statement, so
-- in one snapshot: seals, then their blocks, then events, in the order of each, by tenant and day. Returns the
-- number of rows that _checked_seals() then has.
CREATE FUNCTION eventlog._check_seals(tenant uuid, since date, until date) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET jit = off
-- A day of a tenant's events is mostly sorted in memory then.
SET work_mem = '32MB'
AS $$
DECLARE
    of_tenant constant text := CASE WHEN tenant = eventlog.all_tenants() THEN '' ELSE ' AND %1$s.tenant_id = $1' END;
    -- As constants, so that the planner knows how many there are. Days that are sealed meanwhile are left out.
    -- Seals after the end of what is sealed are checked too: the watermark was taken back, or somebody hides them.
    end_day   date := least(until, greatest(coalesce((SELECT s.sealed_until::date FROM eventlog.seal_state s), 'infinity'),
                                            (SELECT max(s.day) + 1 FROM eventlog.seals s)));
    checked   bigint;
BEGIN
    EXECUTE format('SELECT eventlog._check_events(x.kind, x.tenant_id, x.day, x.part, x.name, x.created_at, x.id, x.hash, x.events, x.gone,
                                                  x.previous_or_seeds, x.gone_slots, x.gone_hashes, x.keys, x.first_name, x.first_at, x.first_id,
                                                  x.lowest_id, x.highest_id),
                           pg_backend_pid()
                      FROM (SELECT * FROM (
                            SELECT 2 AS kind, e.tenant_id, (e.created_at AT TIME ZONE ''UTC'')::date AS day, 0 AS part, 0 AS block, e.name, e.created_at, e.id,
                                   eventlog._event_digest(e.id, e.tenant_id, e.name, e.data, e.actor, e.subject, e.occurred_at, e.created_at, e.weight) AS hash,
                                   NULL::bigint AS events, NULL::bigint AS gone, NULL::bytea AS previous_or_seeds, NULL::bytea AS gone_slots,
                                   NULL::bytea AS gone_hashes, NULL::bytea AS keys, NULL::text AS first_name, NULL::timestamptz AS first_at,
                                   NULL::bigint AS first_id, NULL::bigint AS lowest_id, NULL::bigint AS highest_id
                              FROM eventlog.events e
                             WHERE e.created_at >= $4 AND e.created_at < $5 AND e.created_at > ''-infinity'' %2$s
                               AND NOT EXISTS (SELECT FROM eventlog.late_events l WHERE l.id = e.id AND l.created_at = e.created_at AND NOT l.is_sealed)
                               AND NOT EXISTS (SELECT FROM eventlog.unsealed_events u WHERE u.id = e.id AND u.created_at = e.created_at)
                             UNION ALL
                            SELECT 0, s.tenant_id, s.day, s.part, 0, NULL, NULL, s.number, s.root, s.events, s.gone, s.previous, NULL, NULL, NULL, NULL, NULL,
                                   NULL, NULL, NULL
                              FROM eventlog.seals s WHERE s.day >= $2 AND s.day < $3 %1$s
                             UNION ALL
                            SELECT 1, b.tenant_id, b.day, b.part, b.block, NULL, NULL, NULL, b.hash, b.events, NULL, b.seeds, b.gone, b.gone_hashes, b.keys,
                                   b.first_name, b.first_at, b.first_id, b.lowest_id, b.highest_id
                              FROM eventlog.seals s
                              JOIN eventlog.seal_blocks b ON b.day = s.day AND b.tenant_id = s.tenant_id AND b.part = s.part
                             WHERE s.day >= $2 AND s.day < $3 %1$s
                            ) u
                             ORDER BY u.tenant_id, u.day, u.kind, u.part, u.block, u.name COLLATE "C", u.created_at, u.id) x',
                   format(of_tenant, 's'), format(of_tenant, 'e'))
       INTO checked USING tenant, since, end_day, since::timestamptz, end_day::timestamptz;
    RETURN checked;
END
$$;

-- Returns true if a digest is that of its seals and receipts, which the caller may not all see.
CREATE FUNCTION eventlog_private.is_valid_digest(tenant uuid, number bigint) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT d.root = eventlog._tree_root(eventlog_private.digest_leaves(d.number))
      FROM eventlog.seal_digests d WHERE d.number = is_valid_digest.number
$$;

CREATE FUNCTION eventlog._is_valid_digest(tenant uuid, number bigint) RETURNS boolean
LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'as_reader_wrapper';

-- Returns what differs among the digests of these days, and in their chain.
CREATE FUNCTION eventlog._check_digests(tenant uuid, since date, until date) RETURNS TABLE (number bigint, day date, differs text)
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
    SELECT d.number, d.day, v.differs
      FROM (SELECT c.*, lag(c.number) OVER in_order AS number_before, lag(c.digest) OVER in_order AS digest_before
              FROM eventlog.seal_digests c WINDOW in_order AS (ORDER BY c.number)) d
     CROSS JOIN LATERAL (
        SELECT concat_ws('; ',
            CASE WHEN coalesce(d.number_before, 0) <> d.number - 1 THEN format('digest %s before it is missing', d.number - 1)
                 WHEN d.previous <> coalesce(d.digest_before, decode(repeat('00', 32), 'hex')) THEN format('digest %s before it differs', d.number - 1) END,
            CASE WHEN octet_length(d.root) <> 32 OR octet_length(d.previous) <> 32
                      OR d.digest <> eventlog._day_digest(d.number, d.day, d.root, d.previous) THEN format('digest %s is forged', d.number)
                 WHEN NOT eventlog._is_valid_digest(tenant, d.number)
                 THEN format('digest %s is not that of its seals and receipts', d.number) END) AS differs) v
     WHERE d.day >= since AND d.day < until AND v.differs <> ''
     UNION ALL
    SELECT l.number, l.day, format('the log is sealed until %s, but its last digest is of %s', (t.sealed_until - interval '1 day')::date,
                                   coalesce(l.day::text, 'no day'))
      FROM eventlog.seal_state t LEFT JOIN LATERAL (SELECT c.number, c.day FROM eventlog.seal_digests c ORDER BY c.number DESC LIMIT 1) l ON true
     WHERE t.sealed_until > '-infinity' AND l.day IS DISTINCT FROM (t.sealed_until - interval '1 day')::date
       -- The watermark may have been taken back.
       AND (l.day IS NULL OR l.day < (t.sealed_until - interval '1 day')::date)
     ORDER BY 1
$$;

CREATE FUNCTION eventlog.verify_seals(
    tenant_id uuid        DEFAULT NULL,
    since     timestamptz DEFAULT '-infinity',
    until     timestamptz DEFAULT 'infinity'
) RETURNS TABLE (tenant uuid, number bigint, day date, part integer, events bigint, gone bigint, is_valid boolean, differs text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
#variable_conflict use_column
DECLARE
    asked     uuid := eventlog._report_tenant($1);
    first_day date;
    end_day   date;
    -- Later days have events without a seal, if the watermark was taken back.
    sealed    date := coalesce((SELECT s.sealed_until::date FROM eventlog.seal_state s), 'infinity');
BEGIN
    IF $2 IS NULL OR $3 IS NULL OR $2 > $3 THEN
        RAISE EXCEPTION 'since must be before until, got since % and until %', coalesce($2::text, 'null'), coalesce($3::text, 'null')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'for all seals leave them out';
    END IF;
    -- Whole days.
    first_day := CASE WHEN isfinite($2) THEN date_trunc('day', $2)::date ELSE $2::date END;
    end_day := CASE WHEN isfinite($3) THEN date_trunc('day', $3 + interval '1 day' - interval '1 microsecond')::date ELSE $3::date END;
    -- Partitions are dropped for every snapshot at once: those that this one sees stay until the end.
    LOCK TABLE eventlog.events IN ACCESS SHARE MODE;
    PERFORM eventlog._check_seals(asked, first_day, end_day);
    RETURN QUERY
    WITH chained AS MATERIALIZED (
        SELECT s.tenant_id, s.number, s.digest, s.previous,
               lag(s.number) OVER in_order AS number_before,
               lag(eventlog._seal_hash(s.tenant_id, s.number, s.day, s.part, s.events, s.root, s.previous)) OVER in_order AS hash_before
          FROM eventlog.seals s WHERE eventlog._is_tenant(asked, s.tenant_id)
        WINDOW in_order AS (PARTITION BY s.tenant_id ORDER BY s.number)
    ), found AS (
        SELECT c.tenant_id, c.number, c.day, c.part, c.events, c.gone, nullif(concat_ws('; ', c.differs,
                   CASE WHEN c.number IS NULL THEN NULL
                        WHEN coalesce(p.number_before, 0) <> p.number - 1 THEN format('seal %s before it is missing', p.number - 1)
                        WHEN p.previous <> coalesce(p.hash_before, decode(repeat('00', 32), 'hex')) THEN format('seal %s before it differs', p.number - 1) END,
                   CASE WHEN c.number IS NOT NULL AND NOT EXISTS (SELECT FROM eventlog.seal_digests d WHERE d.number = p.digest)
                        THEN format('digest %s, which covers it, is missing', p.digest) END), '') AS differs
          FROM eventlog._checked_seals() c
          LEFT JOIN chained p ON p.tenant_id = c.tenant_id AND p.number = c.number
         WHERE c.number IS NOT NULL OR c.day < sealed
         UNION ALL
        SELECT NULL, NULL, d.day, NULL, NULL, NULL, d.differs FROM eventlog._check_digests(asked, first_day, end_day) d
         UNION ALL
        SELECT coalesce(g.tenant_id, r.tenant_id), NULL, NULL, NULL, NULL, coalesce(g.gone, 0)::bigint,
               format('%s events are declared gone, receipts have %s', coalesce(g.gone, 0), coalesce(r.events, 0))
          FROM (SELECT s.tenant_id, sum(s.gone) AS gone FROM eventlog.seals s WHERE eventlog._is_tenant(asked, s.tenant_id) GROUP BY s.tenant_id) g
          FULL JOIN (SELECT t.tenant_id, sum(t.events) AS events FROM eventlog.seal_receipts t
                      WHERE eventlog._is_tenant(asked, t.tenant_id) GROUP BY t.tenant_id) r ON r.tenant_id = g.tenant_id
         WHERE coalesce(g.gone, 0) <> coalesce(r.events, 0)
         UNION ALL
        SELECT t.tenant_id, NULL, t.last_day, NULL, NULL, NULL, format('digest %s, which covers receipt %s, is missing', t.digest, t.id)
          FROM eventlog.seal_receipts t
         WHERE eventlog._is_tenant(asked, t.tenant_id) AND t.digest IS NOT NULL
           AND NOT EXISTS (SELECT FROM eventlog.seal_digests d WHERE d.number = t.digest)
    )
    SELECT f.tenant_id, f.number, f.day, f.part, f.events, f.gone, f.differs IS NULL, f.differs
      FROM found f ORDER BY f.tenant_id NULLS LAST, f.number NULLS LAST, f.day;
END
$$;

COMMENT ON FUNCTION eventlog.verify_seals(uuid, timestamptz, timestamptz) IS
'Verifies the seals of whole days in UTC: reads their events again and checks them, what retention and erasure declared gone, the chain of the tenant''s seals, and the digests of the days. Returns a row for each seal, and one for each other thing that differs (without number; without tenant where digests differ). differs names the blocks and ids. For whoever may read the events, of one tenant, or of all_tenants() as the owner or a service; null is the tenant of the connection. Reads all events of the span.';
