-- Counts of what the rules did to events on their way in.

CREATE FUNCTION eventlog_private.create_hygiene_counts() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
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
        PERFORM eventlog_private.secure('eventlog.hygiene_counts');
    END IF;
    IF to_regclass('eventlog.hygiene_counts_tenant_id_created_at_idx') IS NULL THEN
        CREATE INDEX hygiene_counts_tenant_id_created_at_idx
            ON eventlog.hygiene_counts (tenant_id, created_at DESC);
    END IF;
    COMMENT ON TABLE eventlog.hygiene_counts IS
        'Counts of changes to events on their way in. Each transaction adds rows of its own, so that no writer waits for another. Read eventlog.stat_hygiene.';
    COMMENT ON COLUMN eventlog.hygiene_counts.created_at IS 'When the change was counted.';
    COMMENT ON COLUMN eventlog.hygiene_counts.tenant_id IS 'The tenant.';
    COMMENT ON COLUMN eventlog.hygiene_counts.kind IS
        'enrichment_missed (a lookup found nothing), clock_clamped (occurred_at was in the future), or over_quota.';
    COMMENT ON COLUMN eventlog.hygiene_counts.name IS 'Name of the event; empty for over_quota, which counts all names together.';
    COMMENT ON COLUMN eventlog.hygiene_counts.key IS 'The key that an enrichment could not fill in.';
    COMMENT ON COLUMN eventlog.hygiene_counts.events IS 'Number of events.';
END
$$;
