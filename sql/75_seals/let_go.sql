-- Letting sealed events go: what retention and erasure do to seals. The leaves of the events are kept, or the
-- roots of subtrees that are gone as a whole, and their salts are destroyed. So the seal still verifies over
-- what is left, and nobody can test a guess of an event that is gone. A receipt says how many went, and why.

-- Returns the time below which events may be in a seal: after the watermark was taken back, later days have seals too.
CREATE FUNCTION eventlog_private.has_seals_until() RETURNS timestamptz
LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    until timestamptz := eventlog_private.sealed_until();
BEGIN
    IF until > '-infinity' THEN
        until := greatest(until, (SELECT (max(b.day) + 1)::timestamp AT TIME ZONE 'UTC' FROM eventlog.seal_blocks b));
    END IF;
    RETURN until;
END
$$;

-- Returns the digest of the events `alias` of a DELETE, as an expression, which is null for events of no seal.
CREATE FUNCTION eventlog_private.digest_if_sealed(alias text) RETURNS text
LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN eventlog_private.sealed_until() = '-infinity' THEN 'NULL::bytea' ELSE format(
        'CASE WHEN %1$I.created_at < %2$L::timestamptz
               AND NOT EXISTS (SELECT FROM eventlog.late_events n WHERE n.id = %1$I.id AND n.created_at = %1$I.created_at AND NOT n.is_sealed)
               AND NOT EXISTS (SELECT FROM eventlog.unsealed_events n WHERE n.id = %1$I.id AND n.created_at = %1$I.created_at)
              THEN eventlog._event_digest(%1$I.id, %1$I.tenant_id, %1$I.name, %1$I.data, %1$I.actor, %1$I.subject, %1$I.occurred_at,
                                          %1$I.created_at, %1$I.weight) END', alias, eventlog_private.has_seals_until()) END
$$;

-- Returns the aggregate that collects the deleted events `alias`, as an expression.
CREATE FUNCTION eventlog_private.collecting_gone(alias text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT format('eventlog_private.collect_gone(%1$I.tenant_id, (%1$I.created_at AT TIME ZONE ''UTC'')::date, %1$I.name, %1$I.created_at,
                                                 %1$I.id, %1$I.digest) FILTER (WHERE %1$I.digest IS NOT NULL)', alias)
$$;

-- Adds to the open receipt of a call, which the next digest covers, or begins one.
CREATE FUNCTION eventlog_private.note_gone(tenant uuid, first_day date, last_day date, events bigint, call text, erasure uuid) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF events > 0 THEN
        UPDATE eventlog.seal_receipts r
           SET first_day = least(r.first_day, note_gone.first_day), last_day = greatest(r.last_day, note_gone.last_day),
               events = r.events + note_gone.events
         WHERE r.digest IS NULL AND r.tenant_id = tenant AND r.call = note_gone.call AND r.role_name = session_user
           AND r.erasure IS NOT DISTINCT FROM note_gone.erasure;
        IF NOT FOUND THEN
            INSERT INTO eventlog.seal_receipts (tenant_id, first_day, last_day, events, call, erasure)
            VALUES (tenant, note_gone.first_day, note_gone.last_day, note_gone.events, note_gone.call, note_gone.erasure);
        END IF;
    END IF;
END
$$;

-- Lets the events go that a DELETE of this transaction collected.
CREATE FUNCTION eventlog_private.let_go(call text, erasure uuid DEFAULT NULL) RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT eventlog_private.note_gone(g.tenant_id, g.first_day, g.last_day, g.events, let_go.call, let_go.erasure)
      FROM (SELECT c.tenant_id, min(c.day) AS first_day, max(c.day) AS last_day, sum(c.events)::bigint AS events
              FROM eventlog_private.let_collected_go() c GROUP BY c.tenant_id) g
$$;

-- Lets whole seals go, those that `condition` selects among the seals s; it may have the parameters $1 to $3.
CREATE FUNCTION eventlog_private.let_seals_go(condition text, call text, tenant uuid, since date, until date) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    EXECUTE format('DELETE FROM eventlog.seal_blocks b USING eventlog.seals s
                     WHERE s.tenant_id = b.tenant_id AND s.day = b.day AND s.part = b.part AND %s', condition)
      USING tenant, since, until;
    EXECUTE format('WITH gone AS (
                        UPDATE eventlog.seals s SET gone = s.events FROM eventlog.seals former
                         WHERE former.tenant_id = s.tenant_id AND former.number = s.number AND s.gone < s.events AND %s
                        RETURNING s.tenant_id, s.day, s.events - former.gone AS events
                    ), gone_of_tenant AS (
                        SELECT g.tenant_id, min(g.day) AS first_day, max(g.day) AS last_day, sum(g.events)::bigint AS events
                          FROM gone g GROUP BY g.tenant_id
                    )
                    SELECT eventlog_private.note_gone(g.tenant_id, g.first_day, g.last_day, g.events, $4, NULL) FROM gone_of_tenant g', condition)
      USING tenant, since, until, call;
END
$$;

-- Lets all events of a tenant go, whose transaction deletes them.
CREATE FUNCTION eventlog_private.let_tenant_go(tenant_id uuid, call text) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF to_regclass('eventlog.seals') IS NOT NULL THEN
        PERFORM eventlog_private.let_seals_go('s.tenant_id = $1', call, tenant_id, NULL, NULL);
    END IF;
END
$$;

-- Lets the events go of tenants that a trigger is erasing while their days are sealed, as drop_counts_of_erased()
-- does with counts. Only seals of digests after `base` can be theirs.
CREATE FUNCTION eventlog_private.let_erased_tenants_go(base bigint) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM eventlog_private.take_lock('erasure', false, true);
    PERFORM eventlog_private.let_tenant_go(t.tenant_id, 'deletion of the tenant')
       FROM (SELECT DISTINCT s.tenant_id FROM eventlog.seals s WHERE s.digest > base) t
      -- One step through the index for each.
      WHERE (SELECT true FROM eventlog.events e WHERE e.tenant_id = t.tenant_id LIMIT 1) IS NULL;
END
$$;

-- Lets the events of a partition go that is to be dropped: those of whole days with their seals, and those of
-- the days that it shares with others one by one.
CREATE FUNCTION eventlog_private.let_partition_go(partition_name name, from_at timestamptz, until_at timestamptz) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
DECLARE
    since  timestamptz := CASE WHEN isfinite(from_at) THEN date_trunc('day', from_at + interval '1 day' - interval '1 microsecond', 'UTC') ELSE from_at END;
    until  timestamptz := greatest(since, date_trunc('day', until_at, 'UTC'));
    sealed bigint;
BEGIN
    IF eventlog_private.sealed_until() = '-infinity' THEN
        RETURN;
    END IF;
    IF since > from_at OR until < until_at THEN
        EXECUTE format('WITH gone AS (
                            DELETE FROM ONLY eventlog.%1$I e WHERE e.created_at < $1 OR e.created_at >= $2
                            RETURNING e.id, e.tenant_id, e.name, e.created_at, %2$s AS digest)
                        SELECT %3$s FROM gone g', partition_name, eventlog_private.digest_if_sealed('e'), eventlog_private.collecting_gone('g'))
           INTO sealed USING since, until;
        IF sealed > 0 THEN
            PERFORM eventlog_private.let_go('retention of the log');
        END IF;
    END IF;
    PERFORM eventlog_private.let_seals_go('s.day >= $2 AND s.day < $3', 'retention of the log', NULL, since::date, until::date);
END
$$;
