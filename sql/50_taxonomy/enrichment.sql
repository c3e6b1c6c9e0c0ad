-- Enrichment: looking up payload keys when an event is logged, such as the name for an id.

CREATE FUNCTION eventlog_private.add_enrichment(
    name         text,
    target_key   text,
    source_key   text,
    lookup       regclass,
    match_column name,
    value_column name
) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    missing   text;
    qualified text;
    -- With typmod -1: varchar(5) would cut the value, and char(5) would become "character", of length 1.
    matched   text := (SELECT format_type(a.atttypid, -1) FROM pg_attribute a
                        WHERE a.attrelid = add_enrichment.lookup AND a.attname = add_enrichment.match_column
                          AND a.attnum > 0 AND NOT a.attisdropped);
BEGIN
    IF add_enrichment.name IS NULL OR target_key IS NULL OR source_key IS NULL OR lookup IS NULL
       OR match_column IS NULL OR value_column IS NULL THEN
        RAISE EXCEPTION 'arguments of add_enrichment() must not be null' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    IF NOT EXISTS (SELECT FROM eventlog.event_types t WHERE t.name = add_enrichment.name) THEN
        PERFORM eventlog_private.refuse_name(add_enrichment.name);
    END IF;
    SELECT string_agg(format('"%s"', w.wanted), ', ' ORDER BY w.place) INTO missing
      FROM unnest(ARRAY[match_column, value_column]) WITH ORDINALITY AS w (wanted, place)
     WHERE NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = lookup AND a.attname = w.wanted
                          AND a.attnum > 0 AND NOT a.attisdropped);
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION 'table % has no column %', lookup, missing USING ERRCODE = 'undefined_column';
    END IF;
    SELECT format('%I.%I', n.nspname, c.relname) INTO qualified
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = lookup;
    INSERT INTO eventlog.enrichments AS e (name, target_key, source_key, lookup, match_column, match_type, value_column)
    VALUES (add_enrichment.name, add_enrichment.target_key, add_enrichment.source_key, qualified,
            add_enrichment.match_column, matched, add_enrichment.value_column)
    ON CONFLICT ON CONSTRAINT enrichments_pkey DO UPDATE SET
        source_key = excluded.source_key, lookup = excluded.lookup, match_column = excluded.match_column,
        match_type = excluded.match_type, value_column = excluded.value_column, created_at = excluded.created_at;
    IF NOT EXISTS (
        SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
         WHERE i.indrelid = add_enrichment.lookup AND a.attname = add_enrichment.match_column AND i.indisvalid)
       AND (SELECT relkind FROM pg_class WHERE oid = add_enrichment.lookup) IN ('r', 'p')
    THEN
        RAISE WARNING 'column "%" of % has no index, so each event "%" reads the whole table',
                match_column, lookup, add_enrichment.name
            USING HINT = format('CREATE INDEX ON %s (%I);', qualified, match_column);
    END IF;
END
$$;

CREATE FUNCTION eventlog.add_enrichment(
    name         text,
    target_key   text,
    source_key   text,
    lookup       regclass,
    match_column name,
    value_column name
) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'as_owner_wrapper';

COMMENT ON FUNCTION eventlog.add_enrichment(text, text, text, regclass, name, name) IS
'Sets target_key of an event to value_column of the row in lookup whose match_column equals source_key, read with the rights of the role that logs. Replaces a given value of target_key. If the lookup fails, waits longer than 100 ms for a lock, or returns a value that the event''s rules refuse, the event is logged without the key, and stat_hygiene counts it. replay_rejected() does no lookups.';

CREATE FUNCTION eventlog_private.drop_enrichment(name text, target_key text) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    DELETE FROM eventlog.enrichments e
     WHERE e.name = drop_enrichment.name AND e.target_key = drop_enrichment.target_key;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'event "%" has no enrichment of key "%"', drop_enrichment.name, drop_enrichment.target_key
            USING ERRCODE = 'undefined_object', HINT = 'SELECT name, target_key FROM eventlog.enrichments;';
    END IF;
END
$$;

CREATE FUNCTION eventlog.drop_enrichment(name text, target_key text) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'as_owner_wrapper';

COMMENT ON FUNCTION eventlog.drop_enrichment(text, text) IS
'Removes the enrichment of a key; events in the log keep their values.';
