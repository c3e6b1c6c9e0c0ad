-- What a webhook did not accept and gets again. Only ids: the event is read when it is sent, so that one that
-- was erased meanwhile is not.

CREATE FUNCTION eventlog_private.create_webhook_retries() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF eventlog_private.is_missing('webhook_retries') THEN
        CREATE TABLE eventlog.webhook_retries (
            webhook_id       uuid        NOT NULL,
            tenant_id        uuid        NOT NULL,
            is_alert         boolean     NOT NULL,
            event_id         bigint      NOT NULL,
            event_tenant_id  uuid        NOT NULL,
            event_created_at timestamptz NOT NULL,
            attempts         integer     NOT NULL,
            next_attempt_at  timestamptz,
            CONSTRAINT webhook_retries_pkey PRIMARY KEY (webhook_id, is_alert, event_id)
        );
        PERFORM eventlog_private.secure('eventlog.webhook_retries');
    END IF;
    IF to_regclass('eventlog.webhook_retries_event_id_idx') IS NULL THEN
        CREATE INDEX webhook_retries_event_id_idx ON eventlog.webhook_retries (event_id);
    END IF;
    COMMENT ON TABLE eventlog.webhook_retries IS
        'Events that a webhook did not accept and gets again, and those that it never accepted.';
    COMMENT ON COLUMN eventlog.webhook_retries.webhook_id IS 'The webhook.';
    COMMENT ON COLUMN eventlog.webhook_retries.tenant_id IS 'The tenant of the webhook.';
    COMMENT ON COLUMN eventlog.webhook_retries.is_alert IS 'True for a row of alert_changes, false for an event.';
    COMMENT ON COLUMN eventlog.webhook_retries.event_id IS 'The id of the event, or of the row of alert_changes.';
    COMMENT ON COLUMN eventlog.webhook_retries.event_tenant_id IS 'The tenant of the event.';
    COMMENT ON COLUMN eventlog.webhook_retries.event_created_at IS 'When the event was logged.';
    COMMENT ON COLUMN eventlog.webhook_retries.attempts IS 'How often it was sent.';
    COMMENT ON COLUMN eventlog.webhook_retries.next_attempt_at IS
        'When it is sent again; null once the last attempt failed, until replay_webhook(…, failed => true).';
END
$$;
