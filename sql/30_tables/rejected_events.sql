-- The quarantine: events that broke a rule, with the reason, where the caller asked for no error.

CREATE FUNCTION eventlog_private.create_rejected_events() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF eventlog_private.is_missing('rejected_events') THEN
        CREATE TABLE eventlog.rejected_events (
            id                bigint      GENERATED ALWAYS AS IDENTITY
                                          CONSTRAINT rejected_events_pkey PRIMARY KEY,
            created_at        timestamptz NOT NULL DEFAULT now(),
            tenant_id         uuid,
            claimed_tenant_id uuid,
            name              text,
            data              text,
            occurred_at       timestamptz,
            actor             text,
            subject           text,
            idempotency_key   text,
            sqlstate          text        NOT NULL,
            reason            text        NOT NULL,
            role_name         name        NOT NULL,
            can_replay        boolean     NOT NULL DEFAULT false,
            weight            real
        );
        PERFORM eventlog_private.secure('eventlog.rejected_events');
        PERFORM eventlog_private.secure('eventlog.rejected_events_id_seq');
    END IF;
    -- Since layout 2.
    IF eventlog_private.lacks_column('rejected_events', 'protocol', 'text') THEN
        ALTER TABLE eventlog.rejected_events ADD COLUMN protocol text;
    END IF;
    IF to_regclass('eventlog.rejected_events_tenant_id_created_at_idx') IS NULL THEN
        CREATE INDEX rejected_events_tenant_id_created_at_idx
            ON eventlog.rejected_events (tenant_id, created_at DESC);
    END IF;

    COMMENT ON TABLE eventlog.rejected_events IS
        'The quarantine: rejected events, with the reason, of callers that asked for no error.';
    COMMENT ON COLUMN eventlog.rejected_events.id IS 'Number of the row.';
    COMMENT ON COLUMN eventlog.rejected_events.created_at IS 'When the event was rejected.';
    COMMENT ON COLUMN eventlog.rejected_events.tenant_id IS 'The caller''s tenant; null if it has none, as a service.';
    COMMENT ON COLUMN eventlog.rejected_events.claimed_tenant_id IS 'The tenant that the caller named.';
    COMMENT ON COLUMN eventlog.rejected_events.name IS 'The name as given, cut to 200 characters.';
    COMMENT ON COLUMN eventlog.rejected_events.data IS 'The payload as text, redacted and hashed by the rules of its event type, {} for none; null if it has more than 64 KiB, or if it cannot be parsed and so not be redacted.';
    COMMENT ON COLUMN eventlog.rejected_events.occurred_at IS 'The client''s clock as given.';
    COMMENT ON COLUMN eventlog.rejected_events.actor IS 'The actor as given, hashed if its event type has hash_actor, cut to 200 characters.';
    COMMENT ON COLUMN eventlog.rejected_events.subject IS 'The subject as given, cut to 200 characters.';
    COMMENT ON COLUMN eventlog.rejected_events.idempotency_key IS 'The key as given, cut to 255 characters.';
    COMMENT ON COLUMN eventlog.rejected_events.sqlstate IS 'The SQLSTATE that log_event would have raised.';
    COMMENT ON COLUMN eventlog.rejected_events.reason IS 'Message and detail of the error, without values of the payload.';
    COMMENT ON COLUMN eventlog.rejected_events.role_name IS 'The role of the caller.';
    COMMENT ON COLUMN eventlog.rejected_events.can_replay IS
        'True if replay_rejected() may log it: the caller was allowed to write it, and it was stored completely.';

    COMMENT ON COLUMN eventlog.rejected_events.weight IS 'Number of events it stands for, if it survived sampling; null for 1.';
    COMMENT ON COLUMN eventlog.rejected_events.protocol IS
        'The protocol of another product by which the gateway received it: segment, posthog or cloudevents; track for the gateway''s own; null for other callers.';
END
$$;
