-- The log of deliveries. An attempt that failed has a row of its own; events that were accepted one after the
-- other at their first attempt share one, since a row for each would be as many as there are events.

CREATE FUNCTION eventlog_private.create_webhook_deliveries() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF eventlog_private.is_missing('webhook_deliveries') THEN
        CREATE TABLE eventlog.webhook_deliveries (
            id              bigint      GENERATED ALWAYS AS IDENTITY
                                        CONSTRAINT webhook_deliveries_pkey PRIMARY KEY,
            webhook_id      uuid        NOT NULL,
            tenant_id       uuid        NOT NULL,
            attempted_at    timestamptz NOT NULL,
            is_alert        boolean     NOT NULL,
            event_id        bigint      NOT NULL,
            last_event_id   bigint      NOT NULL,
            event_tenant_id uuid,
            deliveries      integer     NOT NULL,
            attempt         integer     NOT NULL,
            status          integer,
            error           text,
            duration_ms     integer     NOT NULL
        );
        PERFORM eventlog_private.secure('eventlog.webhook_deliveries');
        PERFORM eventlog_private.secure('eventlog.webhook_deliveries_id_seq');
    END IF;
    IF to_regclass('eventlog.webhook_deliveries_webhook_id_attempted_at_idx') IS NULL THEN
        CREATE INDEX webhook_deliveries_webhook_id_attempted_at_idx ON eventlog.webhook_deliveries (webhook_id, attempted_at);
    END IF;
    IF to_regclass('eventlog.webhook_deliveries_event_id_idx') IS NULL THEN
        CREATE INDEX webhook_deliveries_event_id_idx ON eventlog.webhook_deliveries (event_id);
    END IF;
    COMMENT ON TABLE eventlog.webhook_deliveries IS
        'What was sent to webhooks, and what came of it. Rows go after 30 days.';
    COMMENT ON COLUMN eventlog.webhook_deliveries.id IS 'Number of the row.';
    COMMENT ON COLUMN eventlog.webhook_deliveries.webhook_id IS 'The webhook.';
    COMMENT ON COLUMN eventlog.webhook_deliveries.tenant_id IS 'The tenant of the webhook.';
    COMMENT ON COLUMN eventlog.webhook_deliveries.attempted_at IS 'When it was sent; of several, the last.';
    COMMENT ON COLUMN eventlog.webhook_deliveries.is_alert IS 'True for a row of alert_changes, false for events.';
    COMMENT ON COLUMN eventlog.webhook_deliveries.event_id IS 'The id of the event or of the row of alert_changes; of several, the first.';
    COMMENT ON COLUMN eventlog.webhook_deliveries.last_event_id IS 'The id of the last.';
    COMMENT ON COLUMN eventlog.webhook_deliveries.event_tenant_id IS 'The tenant of the event; null if there are several of different tenants.';
    COMMENT ON COLUMN eventlog.webhook_deliveries.deliveries IS 'How many events were accepted one after the other; 1 for an attempt that failed.';
    COMMENT ON COLUMN eventlog.webhook_deliveries.attempt IS 'The number of the attempt.';
    COMMENT ON COLUMN eventlog.webhook_deliveries.status IS 'The status of the answer; null if there was none.';
    COMMENT ON COLUMN eventlog.webhook_deliveries.error IS 'Why it failed; null if it was accepted.';
    COMMENT ON COLUMN eventlog.webhook_deliveries.duration_ms IS 'How long it took in milliseconds; of several, all together.';
END
$$;
