-- The tables of payload hygiene: lookups, settings of tenants, and what the rules did.

CREATE FUNCTION eventlog_private.create_hygiene_tables() RETURNS void
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
        PERFORM eventlog_private.close('eventlog.enrichments');
    END IF;
    COMMENT ON TABLE eventlog.enrichments IS
        'Keys that the log sets by looking them up. Change it with eventlog.add_enrichment().';
    COMMENT ON COLUMN eventlog.enrichments.name IS 'Name of the event.';
    COMMENT ON COLUMN eventlog.enrichments.target_key IS 'Key of the payload that is set.';
    COMMENT ON COLUMN eventlog.enrichments.source_key IS 'Key of the payload whose value is looked up.';
    COMMENT ON COLUMN eventlog.enrichments.lookup IS 'The table, qualified with its schema. Text, so that a dump can be restored without it.';
    COMMENT ON COLUMN eventlog.enrichments.match_column IS 'Its column that is compared with the value.';
    COMMENT ON COLUMN eventlog.enrichments.match_type IS 'The type of that column.';
    COMMENT ON COLUMN eventlog.enrichments.value_column IS 'Its column that the payload gets.';
    COMMENT ON COLUMN eventlog.enrichments.created_at IS 'When it was added.';

    IF eventlog_private.is_missing('tenant_settings') THEN
        CREATE TABLE eventlog.tenant_settings (
            tenant_id         uuid        CONSTRAINT tenant_settings_pkey PRIMARY KEY,
            is_opted_out      boolean     NOT NULL DEFAULT false,
            max_bytes         integer,
            events_per_minute integer,
            over_quota        text        NOT NULL DEFAULT 'reject',
            updated_at        timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT tenant_settings_max_bytes_check CHECK (max_bytes BETWEEN 8 AND 16777216),
            CONSTRAINT tenant_settings_events_per_minute_check CHECK (events_per_minute >= 0),
            CONSTRAINT tenant_settings_over_quota_check CHECK (over_quota IN ('reject', 'sample', 'quarantine'))
        );
        PERFORM eventlog_private.close('eventlog.tenant_settings');
    END IF;
    -- Since layout 2.
    IF eventlog_private.lacks_column('tenant_settings', 'retention', 'interval') THEN
        ALTER TABLE eventlog.tenant_settings
            ADD COLUMN retention interval
                CONSTRAINT tenant_settings_retention_check CHECK (retention > '0'::interval);
    END IF;
    COMMENT ON TABLE eventlog.tenant_settings IS
        'Tenants with limits of their own. The owner''s to change, with eventlog.set_tenant().';
    COMMENT ON COLUMN eventlog.tenant_settings.tenant_id IS 'The tenant.';
    COMMENT ON COLUMN eventlog.tenant_settings.is_opted_out IS 'Whether nothing is logged of it.';
    COMMENT ON COLUMN eventlog.tenant_settings.max_bytes IS 'Largest payload in bytes, where that is stricter than the type''s; null for the type''s.';
    COMMENT ON COLUMN eventlog.tenant_settings.events_per_minute IS 'Events that it may log in a minute of the server''s clock; null for any number.';
    COMMENT ON COLUMN eventlog.tenant_settings.over_quota IS 'What happens to more: reject (53400), sample (some are kept, and weigh more), or quarantine.';
    COMMENT ON COLUMN eventlog.tenant_settings.updated_at IS 'When it was set.';
    COMMENT ON COLUMN eventlog.tenant_settings.retention IS 'How long its events are kept, where that is shorter than the log''s and the type''s; null for as long as those.';

    IF eventlog_private.is_missing('hygiene_counts') THEN
        CREATE TABLE eventlog.hygiene_counts (
            created_at timestamptz NOT NULL DEFAULT now(),
            tenant_id  uuid        NOT NULL,
            kind       text        NOT NULL,
            name       text        NOT NULL,
            key        text,
            events     bigint      NOT NULL,
            CONSTRAINT hygiene_counts_kind_check CHECK (
                kind IN ('enrichment_missed', 'clock_clamped', 'over_quota'))
        );
        PERFORM eventlog_private.close('eventlog.hygiene_counts');
    END IF;
    IF to_regclass('eventlog.hygiene_counts_tenant_id_created_at_idx') IS NULL THEN
        CREATE INDEX hygiene_counts_tenant_id_created_at_idx
            ON eventlog.hygiene_counts (tenant_id, created_at DESC);
    END IF;
    COMMENT ON TABLE eventlog.hygiene_counts IS
        'What the log did to events on their way in, in the transaction that did it: rows are only added, so that no writer waits for another. Read eventlog.stat_hygiene.';
    COMMENT ON COLUMN eventlog.hygiene_counts.created_at IS 'When it was counted.';
    COMMENT ON COLUMN eventlog.hygiene_counts.tenant_id IS 'The tenant.';
    COMMENT ON COLUMN eventlog.hygiene_counts.kind IS
        'enrichment_missed (a lookup gave nothing), clock_clamped (occurred_at was ahead), or over_quota.';
    COMMENT ON COLUMN eventlog.hygiene_counts.name IS 'Name of the event; empty where a quota counts over names.';
    COMMENT ON COLUMN eventlog.hygiene_counts.key IS 'The key that an enrichment did not set.';
    COMMENT ON COLUMN eventlog.hygiene_counts.events IS 'How many events.';
END
$$;
