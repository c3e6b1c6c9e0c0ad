-- Since when the rollups by payload keys count a key.

CREATE FUNCTION eventlog_private.create_counted_keys() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF eventlog_private.is_missing('counted_keys') THEN
        CREATE TABLE eventlog.counted_keys (
            name  text,
            key   text,
            since timestamptz NOT NULL,
            CONSTRAINT counted_keys_pkey PRIMARY KEY (name, key)
        );
        PERFORM eventlog_private.secure('eventlog.counted_keys');
    END IF;
    COMMENT ON TABLE eventlog.counted_keys IS
        'The payload keys that the rollups count, and since when: a key that was added to count_keys later is counted from then on, until recount() adds the events before. Written by maintain().';
    COMMENT ON COLUMN eventlog.counted_keys.name IS 'Name of the events.';
    COMMENT ON COLUMN eventlog.counted_keys.key IS 'The payload key.';
    COMMENT ON COLUMN eventlog.counted_keys.since IS 'hourly_keys, daily_keys and monthly_key_actors have all events from this time on, up to the watermark.';
END
$$;
