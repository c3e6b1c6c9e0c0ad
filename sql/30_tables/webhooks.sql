-- Webhooks: receivers of events, how far each has got them, and which deliverer has it at present.

CREATE FUNCTION eventlog_private.create_webhooks() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF eventlog_private.is_missing('webhooks') THEN
        CREATE TABLE eventlog.webhooks (
            webhook_id         uuid        CONSTRAINT webhooks_pkey PRIMARY KEY DEFAULT gen_random_uuid(),
            tenant_id          uuid        NOT NULL,
            url                text        NOT NULL,
            names              text[],
            with_alerts        boolean     NOT NULL DEFAULT false,
            delivered_id       bigint      NOT NULL,
            alert_delivered_id bigint      NOT NULL DEFAULT 0,
            delivered_at       timestamptz,
            is_enabled         boolean     NOT NULL DEFAULT true,
            disabled_reason    text,
            failures           integer     NOT NULL DEFAULT 0,
            failing_since      timestamptz,
            next_attempt_at    timestamptz,
            leased_by          text,
            lease              bigint      NOT NULL DEFAULT 0,
            created_at         timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT webhooks_url_check CHECK (octet_length(url) <= 2000)
        );
        PERFORM eventlog_private.secure('eventlog.webhooks');
    END IF;
    COMMENT ON TABLE eventlog.webhooks IS
        'Webhooks: where eventlog deliver sends events, and how far each has got them. Use create_webhook().';
    COMMENT ON COLUMN eventlog.webhooks.webhook_id IS 'Identifies the webhook.';
    COMMENT ON COLUMN eventlog.webhooks.tenant_id IS 'The tenant whose events it gets; all_tenants() for those of every tenant.';
    COMMENT ON COLUMN eventlog.webhooks.url IS 'The URL that gets each event as a POST.';
    COMMENT ON COLUMN eventlog.webhooks.names IS 'The names of the events that it gets; null for all.';
    COMMENT ON COLUMN eventlog.webhooks.with_alerts IS 'True if it also gets the alerts of its tenant.';
    COMMENT ON COLUMN eventlog.webhooks.delivered_id IS
        'Its events up to this id were delivered, or are in webhook_retries.';
    COMMENT ON COLUMN eventlog.webhooks.alert_delivered_id IS
        'Its rows of alert_changes up to this id were delivered, or are in webhook_retries.';
    COMMENT ON COLUMN eventlog.webhooks.delivered_at IS 'When the receiver last accepted something.';
    COMMENT ON COLUMN eventlog.webhooks.is_enabled IS 'False: nothing is sent until enable_webhook().';
    COMMENT ON COLUMN eventlog.webhooks.disabled_reason IS 'Why it is disabled; null if disable_webhook() was called.';
    COMMENT ON COLUMN eventlog.webhooks.failures IS 'Events that failed one after the other. From the third on it is put aside.';
    COMMENT ON COLUMN eventlog.webhooks.failing_since IS 'When the first of them failed.';
    COMMENT ON COLUMN eventlog.webhooks.next_attempt_at IS 'Nothing is sent before this time; null if it is not put aside.';
    COMMENT ON COLUMN eventlog.webhooks.leased_by IS 'The deliverer that has it at present.';
    COMMENT ON COLUMN eventlog.webhooks.lease IS 'Number of the lease, so that what an earlier one reports does not count.';
    COMMENT ON COLUMN eventlog.webhooks.created_at IS 'When it was created.';
END
$$;
