-- Keys of payloads that the log looks up.

CREATE FUNCTION eventlog_private.create_enrichments() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF eventlog_private.is_missing('enrichments') THEN
        CREATE TABLE eventlog.enrichments (
            name         text        NOT NULL,
            target_key   text        NOT NULL,
            source_key   text        NOT NULL,
            lookup       text        NOT NULL,
            match_column name        NOT NULL,
            match_type   text        NOT NULL,
            value_column name        NOT NULL,
            created_at   timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT enrichments_pkey PRIMARY KEY (name, target_key)
        );
        PERFORM eventlog_private.secure('eventlog.enrichments');
    END IF;
    COMMENT ON TABLE eventlog.enrichments IS
        'Payload keys that the log fills in from lookup tables. Change it with eventlog.add_enrichment().';
    COMMENT ON COLUMN eventlog.enrichments.name IS 'Name of the event.';
    COMMENT ON COLUMN eventlog.enrichments.target_key IS 'Payload key to fill in.';
    COMMENT ON COLUMN eventlog.enrichments.source_key IS 'Payload key whose value is looked up.';
    COMMENT ON COLUMN eventlog.enrichments.lookup IS 'The lookup table with its schema, as text, so that a dump can be restored without it.';
    COMMENT ON COLUMN eventlog.enrichments.match_column IS 'Column of the lookup table that is compared with the value.';
    COMMENT ON COLUMN eventlog.enrichments.match_type IS 'Type of that column.';
    COMMENT ON COLUMN eventlog.enrichments.value_column IS 'Column of the lookup table whose value the payload gets.';
    COMMENT ON COLUMN eventlog.enrichments.created_at IS 'When it was added.';
END
$$;
