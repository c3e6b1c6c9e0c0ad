-- Aliases: other names under which events of an event type arrive. The library looks them up after names
-- (extension/src/registry/log.rs).

-- Lets only one session at a time give aliases, and none define a name meanwhile: each sees what the other
-- did before it checks. An UPDATE, so that a transaction with an older snapshot is refused (40001).
CREATE FUNCTION eventlog_private.lock_names(names text[], gives_aliases boolean) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF gives_aliases THEN
        UPDATE eventlog.log_config SET only_row = only_row;
    ELSIF EXISTS (SELECT FROM unnest(names) AS n WHERE NOT EXISTS (SELECT FROM eventlog.event_types t WHERE t.name = n)) THEN
        PERFORM FROM eventlog.log_config FOR SHARE;
    END IF;
END
$$;

-- Raises 42710 if one of these event types has an alias that is a name or an alias of another, or if its
-- name is an alias of another.
CREATE FUNCTION eventlog_private.check_aliases(names text[]) RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    taken record;
BEGIN
    -- A log of layout 1.
    IF eventlog_private.lacks_column('event_types', 'aliases', 'text[]') THEN
        RETURN;
    END IF;
    SELECT own.name, own.name = g.text AS is_name, g.text, t.name AS holder, t.name = g.text AS is_name_there INTO taken
      FROM eventlog.event_types own
     CROSS JOIN LATERAL unnest(own.aliases || own.name) AS g (text)
      JOIN eventlog.event_types t ON t.name <> own.name AND (t.name = g.text OR t.aliases @> ARRAY[g.text])
     WHERE own.name = ANY (names)
     ORDER BY 1, 3 LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION '% "%" is taken', CASE WHEN taken.is_name THEN 'name' ELSE 'alias' END, taken.text
            USING ERRCODE = 'duplicate_object',
                  DETAIL = CASE WHEN taken.is_name_there THEN 'An event type has this name.'
                                ELSE format('It is an alias of event "%s".', taken.holder) END,
                  HINT = CASE WHEN NOT taken.is_name_there THEN
                              format('take it from there first: SELECT eventlog.define_event(%L, aliases => %L);', taken.holder,
                                     ARRAY(SELECT a FROM eventlog.event_types t, unnest(t.aliases) AS a
                                            WHERE t.name = taken.holder AND a <> taken.text))
                         ELSE 'choose another: a name stands for one event type' END;
    END IF;
END
$$;

-- Takes from event types that a plan leaves out what the plan uses as names and aliases of others.
CREATE FUNCTION eventlog_private.take_aliases(events jsonb) RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    WITH used AS (
        SELECT array_agg(u.text) AS texts
          FROM (SELECT k FROM jsonb_object_keys(events) k
                 UNION ALL
                SELECT jsonb_array_elements_text(e.value -> 'aliases') FROM jsonb_each(events) e) AS u (text)
    )
    UPDATE eventlog.event_types t SET aliases = ARRAY(SELECT a FROM unnest(t.aliases) AS a WHERE a <> ALL (u.texts))
      FROM used u
     WHERE NOT events ? t.name AND t.aliases && u.texts
$$;

-- Raises 42704 for a name that no event type has.
CREATE FUNCTION eventlog_private.refuse_name(name text) RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    stored_as text := eventlog._name_of(name);
BEGIN
    RAISE EXCEPTION 'unknown event name "%"', left(name, 200)
        USING ERRCODE = 'undefined_object',
              HINT = CASE WHEN stored_as <> name THEN format('it is an alias of "%s"', stored_as)
                          ELSE 'SELECT name FROM eventlog.event_types;' END;
END
$$;
