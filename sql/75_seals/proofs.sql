-- Proofs: what it takes to verify a log, or one event of it, without the database.

-- Returns the steps from a seal to the root of its digest, as JSON.
CREATE FUNCTION eventlog_private.seal_path(tenant uuid, number bigint) RETURNS jsonb
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT eventlog._tree_path(eventlog_private.digest_leaves(s.digest),
               1 + (SELECT count(*) FROM eventlog.seals b WHERE b.digest = s.digest AND (b.tenant_id, b.number) < (s.tenant_id, s.number)))::jsonb
      FROM eventlog.seals s WHERE s.tenant_id = tenant AND s.number = seal_path.number
$$;

CREATE FUNCTION eventlog._seal_path(tenant uuid, number bigint) RETURNS jsonb
LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'as_reader_wrapper';

-- Returns microseconds since 1970-01-01 UTC.
CREATE FUNCTION eventlog._unix_micros(at timestamptz) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT (extract(epoch FROM at)::numeric * 1000000)::bigint
$$;

-- Returns a seal as proofs have it.
CREATE FUNCTION eventlog._seal_json(tenant uuid, number bigint) RETURNS jsonb
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT jsonb_build_object('tenant_id', s.tenant_id, 'number', s.number, 'day', s.day, 'part', s.part, 'events', s.events,
                              'root', encode(s.root, 'hex'), 'previous', encode(s.previous, 'hex'))
      FROM eventlog.seals s WHERE s.tenant_id = tenant AND s.number = _seal_json.number
$$;

CREATE FUNCTION eventlog._digest_json(number bigint) RETURNS jsonb
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT jsonb_build_object('number', d.number, 'day', d.day, 'root', encode(d.root, 'hex'), 'previous', encode(d.previous, 'hex'),
                              'digest', encode(d.digest, 'hex'))
      FROM eventlog.seal_digests d WHERE d.number = _digest_json.number
$$;

CREATE FUNCTION eventlog.event_proof(id bigint) RETURNS jsonb
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET extra_float_digits = 1
AS $$
#variable_conflict use_column
DECLARE
    event  eventlog.events;
    steps  jsonb;
    number bigint;
    digest bigint;
BEGIN
    PERFORM eventlog._require_layout(2);
    IF event_proof.id IS NULL THEN
        RAISE EXCEPTION 'id must not be null' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    SELECT e.* INTO event FROM eventlog.events e WHERE e.id = event_proof.id ORDER BY e.created_at LIMIT 1;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no event %', event_proof.id USING ERRCODE = 'no_data_found', HINT = 'SELECT id FROM eventlog.get_events();';
    END IF;
    IF event.created_at >= (SELECT s.sealed_until FROM eventlog.seal_state s)
       OR EXISTS (SELECT FROM eventlog.late_events l WHERE l.id = event.id AND l.created_at = event.created_at AND NOT l.is_sealed)
       OR EXISTS (SELECT FROM eventlog.unsealed_events u WHERE u.id = event.id AND u.created_at = event.created_at) THEN
        RAISE EXCEPTION 'event % is not sealed yet', event_proof.id
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  DETAIL = 'A day is sealed after it is over, a late event with the next day.', HINT = 'SELECT sealed_until FROM eventlog.seal_state;';
    END IF;
    steps := eventlog._event_path(event.tenant_id, event.created_at::date, event.name, event.created_at, event.id)::jsonb;
    IF steps IS NULL THEN
        RAISE EXCEPTION 'event % has no seal, although its day is sealed', event_proof.id
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'SELECT * FROM eventlog.verify_seals() WHERE NOT is_valid;';
    END IF;
    SELECT s.number, s.digest INTO number, digest FROM eventlog.seals s
     WHERE s.tenant_id = event.tenant_id AND s.day = event.created_at::date AND s.part = (steps ->> 'part')::integer;
    RETURN jsonb_build_object(
        'version', 1,
        'event', to_jsonb(event),
        'salt', steps -> 'salt',
        'path', steps -> 'path',
        'seal', eventlog._seal_json(event.tenant_id, number),
        'digest_path', eventlog._seal_path(event.tenant_id, number),
        'digest', eventlog._digest_json(digest));
END
$$;

COMMENT ON FUNCTION eventlog.event_proof(bigint) IS
'Returns the proof that a sealed event is in the log: the event, its salt, the steps from it to the root of its seal, and from there to the digest of the day, which eventlog anchor writes outside. eventlog verify --proof checks it without a database. For whoever may read the event.';

CREATE FUNCTION eventlog.seal_proofs(
    tenant_id uuid        DEFAULT NULL,
    since     timestamptz DEFAULT '-infinity',
    until     timestamptz DEFAULT 'infinity'
) RETURNS SETOF jsonb
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
#variable_conflict use_column
DECLARE
    asked     uuid := eventlog._report_tenant($1);
    first_day date;
    end_day   date;
BEGIN
    IF $2 IS NULL OR $3 IS NULL OR $2 > $3 THEN
        RAISE EXCEPTION 'since must be before until, got since % and until %', coalesce($2::text, 'null'), coalesce($3::text, 'null')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'for all seals leave them out';
    END IF;
    first_day := CASE WHEN isfinite($2) THEN date_trunc('day', $2)::date ELSE $2::date END;
    end_day := CASE WHEN isfinite($3) THEN date_trunc('day', $3 + interval '1 day' - interval '1 microsecond')::date ELSE $3::date END;
    RETURN QUERY
    SELECT jsonb_build_object(
               'seal', eventlog._seal_json(s.tenant_id, s.number)
                       || jsonb_build_object('gone', s.gone, 'digest', s.digest,
                                             -- Those of all tenants and days have all seals of a digest, and need no path, which
                                             -- takes a look at each.
                                             'path', CASE WHEN asked <> eventlog.all_tenants() OR isfinite($2) OR isfinite($3) THEN eventlog._seal_path(s.tenant_id, s.number) END),
               'blocks', coalesce((
                   SELECT jsonb_agg(jsonb_build_object(
                              'events', b.events,
                              'first', CASE WHEN b.first_name IS NOT NULL
                                            THEN jsonb_build_array(b.first_name, eventlog._unix_micros(b.first_at), b.first_id) END,
                              'ids', CASE WHEN b.lowest_id IS NOT NULL THEN jsonb_build_array(b.lowest_id, b.highest_id) END,
                              'hash', encode(b.hash, 'hex'), 'seeds', encode(b.seeds, 'hex'),
                              'gone', encode(b.gone, 'hex'), 'gone_hashes', encode(b.gone_hashes, 'hex'),
                              'keys', CASE WHEN b.keys IS NOT NULL
                                           THEN coalesce((SELECT jsonb_agg(jsonb_build_array(eventlog._unix_micros(k.created_at), k.id))
                                                            FROM eventlog._seal_keys(b.keys) k), '[]') END)
                          ORDER BY b.block)
                     FROM eventlog.seal_blocks b WHERE b.tenant_id = s.tenant_id AND b.day = s.day AND b.part = s.part), '[]'))
      FROM eventlog.seals s
     WHERE eventlog._is_tenant(asked, s.tenant_id) AND s.day >= first_day AND s.day < end_day
     ORDER BY s.tenant_id, s.number;
    RETURN QUERY
    SELECT jsonb_build_object('unsealed', jsonb_build_object('tenant_id', n.tenant_id, 'id', n.id, 'created_at', eventlog._unix_micros(n.created_at)))
      FROM (SELECT u.tenant_id, u.id, u.created_at FROM eventlog.unsealed_events u
             UNION
            SELECT e.tenant_id, e.id, e.created_at
              FROM eventlog.late_events l JOIN eventlog.events e ON e.id = l.id AND e.created_at = l.created_at
             WHERE NOT l.is_sealed AND l.created_at < (SELECT t.sealed_until FROM eventlog.seal_state t)) n
     WHERE eventlog._is_tenant(asked, n.tenant_id) AND n.created_at >= first_day AND n.created_at < end_day;
    RETURN QUERY
    SELECT jsonb_build_object('receipt', jsonb_build_object(
               'tenant_id', r.tenant_id, 'id', r.id, 'first_day', r.first_day, 'last_day', r.last_day, 'events', r.events, 'call', r.call,
               'role_name', r.role_name, 'at', eventlog._unix_micros(r.at), 'erasure', r.erasure, 'digest', r.digest))
      FROM eventlog.seal_receipts r WHERE eventlog._is_tenant(asked, r.tenant_id) ORDER BY r.id;
    RETURN QUERY
    SELECT jsonb_build_object('digest', eventlog._digest_json(d.number)) FROM eventlog.seal_digests d ORDER BY d.number;
END
$$;

COMMENT ON FUNCTION eventlog.seal_proofs(uuid, timestamptz, timestamptz) IS
'Returns what it takes to verify exported events without the database, a JSON object a row: the seals of whole days in UTC with their blocks and (but for all tenants and days at once) the steps to the digests of their days, late events that are not sealed yet, receipts, and all digests. eventlog export --proofs writes it beside the events, and eventlog verify --export reads both. For whoever may read the events, of one tenant, or of all_tenants() as the owner or a service; null is the tenant of the connection.';
