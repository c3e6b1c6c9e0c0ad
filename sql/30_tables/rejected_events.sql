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
    IF to_regclass('eventlog.rejected_events_tenant_id_created_at_idx') IS NULL THEN
        CREATE INDEX rejected_events_tenant_id_created_at_idx
            ON eventlog.rejected_events (tenant_id, created_at DESC);
    END IF;

    COMMENT ON TABLE eventlog.rejected_events IS
        'The quarantine: events that broke a rule and were not to raise an error, with the reason.';
    COMMENT ON COLUMN eventlog.rejected_events.id IS 'Number of the row.';
    COMMENT ON COLUMN eventlog.rejected_events.created_at IS 'When it was refused.';
    COMMENT ON COLUMN eventlog.rejected_events.tenant_id IS 'The caller''s tenant; null for a caller that has none, such as a service.';
    COMMENT ON COLUMN eventlog.rejected_events.claimed_tenant_id IS 'The tenant that the caller named.';
    COMMENT ON COLUMN eventlog.rejected_events.name IS 'The name as given, cut to 200 characters.';
    COMMENT ON COLUMN eventlog.rejected_events.data IS 'The payload as text, {} for none, redacted and hashed as its type says; null where it has more than 64 KiB, or cannot be read and so not be redacted.';
    COMMENT ON COLUMN eventlog.rejected_events.occurred_at IS 'The client''s clock as given.';
    COMMENT ON COLUMN eventlog.rejected_events.actor IS 'The actor as given, hashed where its type says so, cut to 200 characters.';
    COMMENT ON COLUMN eventlog.rejected_events.subject IS 'The subject as given, cut to 200 characters.';
    COMMENT ON COLUMN eventlog.rejected_events.idempotency_key IS 'The key as given, cut to 255 characters.';
    COMMENT ON COLUMN eventlog.rejected_events.sqlstate IS 'The SQLSTATE that log_event would have raised.';
    COMMENT ON COLUMN eventlog.rejected_events.reason IS 'Message and detail; no value of the payload.';
    COMMENT ON COLUMN eventlog.rejected_events.role_name IS 'The role that called.';
    COMMENT ON COLUMN eventlog.rejected_events.can_replay IS
        'Whether replay_rejected() may log it: it is the caller''s own to write, and was kept whole.';

    COMMENT ON COLUMN eventlog.rejected_events.weight IS 'How many events it stands for, where it survived sampling; null for 1.';
END
$$;
