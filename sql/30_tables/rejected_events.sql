-- The quarantine, and other tables.

CREATE FUNCTION eventlog_private.create_other_tables() RETURNS void
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
        PERFORM eventlog_private.close('eventlog.rejected_events');
        PERFORM eventlog_private.close('eventlog.rejected_events_id_seq');
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

    IF eventlog_private.is_missing('idempotency_keys') THEN
        CREATE TABLE eventlog.idempotency_keys (
            tenant_id  uuid        NOT NULL,
            key        text        NOT NULL COLLATE "C",
            event_id   bigint,
            created_at timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT idempotency_keys_pkey PRIMARY KEY (tenant_id, key)
        );
        PERFORM eventlog_private.close('eventlog.idempotency_keys');
    END IF;
    COMMENT ON TABLE eventlog.idempotency_keys IS
        'Idempotency keys that were seen, and the event of each. A key older than eventlog.idempotency_window counts as new.';
    COMMENT ON COLUMN eventlog.idempotency_keys.tenant_id IS 'The tenant; keys of tenants are apart.';
    COMMENT ON COLUMN eventlog.idempotency_keys.key IS 'The key, at most 255 bytes.';
    COMMENT ON COLUMN eventlog.idempotency_keys.event_id IS 'The id of the first event of the key.';
    COMMENT ON COLUMN eventlog.idempotency_keys.created_at IS 'When it was seen.';

    IF eventlog_private.is_missing('producers') THEN
        CREATE TABLE eventlog.producers (
            role_name    name        NOT NULL,
            producer     uuid        NOT NULL,
            batch_number bigint,
            written      bigint      NOT NULL DEFAULT 0,
            duplicate    bigint      NOT NULL DEFAULT 0,
            sampled      bigint      NOT NULL DEFAULT 0,
            rejected     bigint      NOT NULL DEFAULT 0,
            batches      bigint      NOT NULL DEFAULT 0,
            gaps         bigint      NOT NULL DEFAULT 0,
            created_at   timestamptz NOT NULL DEFAULT now(),
            updated_at   timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT producers_pkey PRIMARY KEY (role_name, producer)
        );
        PERFORM eventlog_private.close('eventlog.producers');
    END IF;
    -- Since layout 2. Sessions that still have the library of 0.1.0 write rows without the two.
    IF eventlog_private.lacks_column('producers', 'role_oid', 'oid') THEN
        ALTER TABLE eventlog.producers
            ADD COLUMN role_oid oid NOT NULL DEFAULT 0,
            ADD COLUMN cluster bigint NOT NULL DEFAULT 0;
        PERFORM eventlog_private.note_producers_roles();
        ALTER TABLE eventlog.producers
            DROP CONSTRAINT IF EXISTS producers_pkey,
            ADD CONSTRAINT producers_pkey PRIMARY KEY (producer, role_oid, cluster);
    END IF;
    COMMENT ON TABLE eventlog.producers IS
        'Writers that number their batches, so that one that is sent again is written once.';
    COMMENT ON COLUMN eventlog.producers.role_name IS 'The role that the writer connects as, by its name when its last batch came.';
    COMMENT ON COLUMN eventlog.producers.producer IS 'The uuid that the writer gave itself.';
    COMMENT ON COLUMN eventlog.producers.batch_number IS 'Number of its last batch.';
    COMMENT ON COLUMN eventlog.producers.written IS 'Events of that batch that were written.';
    COMMENT ON COLUMN eventlog.producers.duplicate IS 'Events of that batch whose idempotency key was seen.';
    COMMENT ON COLUMN eventlog.producers.sampled IS 'Events of that batch that sampling left out.';
    COMMENT ON COLUMN eventlog.producers.rejected IS 'Events of that batch that were quarantined.';
    COMMENT ON COLUMN eventlog.producers.batches IS 'Batches so far.';
    COMMENT ON COLUMN eventlog.producers.gaps IS 'Numbers that were skipped so far.';
    COMMENT ON COLUMN eventlog.producers.created_at IS 'When the first batch came.';
    COMMENT ON COLUMN eventlog.producers.updated_at IS 'When the last batch came.';
    COMMENT ON COLUMN eventlog.producers.role_oid IS 'The role itself: one that is made later under the same name is another, whose producers are others.';
    COMMENT ON COLUMN eventlog.producers.cluster IS 'System identifier of the server that role_oid is of; on another one the row goes to the role of that name which was granted its right before the dump was made.';

    IF eventlog_private.is_missing('tenant_roles') THEN
        CREATE TABLE eventlog.tenant_roles (
            role_name name CONSTRAINT tenant_roles_pkey PRIMARY KEY,
            tenant_id uuid NOT NULL
        );
        PERFORM eventlog_private.close('eventlog.tenant_roles');
    END IF;
    -- Since layout 2.
    IF eventlog_private.lacks_column('tenant_roles', 'role_oid', 'oid') THEN
        ALTER TABLE eventlog.tenant_roles ADD COLUMN role_oid oid, ADD COLUMN cluster bigint;
    END IF;
    COMMENT ON TABLE eventlog.tenant_roles IS
        'The tenant of each database role, where eventlog.tenant_source is role. The owner''s to change.';
    COMMENT ON COLUMN eventlog.tenant_roles.role_name IS 'The role that is current when the log is used, by its name when the row was made.';
    COMMENT ON COLUMN eventlog.tenant_roles.tenant_id IS 'Its tenant.';
    COMMENT ON COLUMN eventlog.tenant_roles.role_oid IS 'The role itself, which a trigger sets: a role that is made later under the same name is another.';
    COMMENT ON COLUMN eventlog.tenant_roles.cluster IS 'System identifier of the server that role_oid is of; on another one the name counts, of a role that was there when the dump was made.';

    IF eventlog_private.is_missing('log_config') THEN
        CREATE TABLE eventlog.log_config (
            only_row           boolean     CONSTRAINT log_config_pkey PRIMARY KEY DEFAULT true,
            -- A row that does not say counts as the oldest, which migrate_log() makes good.
            layout_version     integer     NOT NULL DEFAULT 1,
            partition_interval interval    NOT NULL DEFAULT '1 month',
            retention          interval    NOT NULL DEFAULT '90 days',
            premake            interval    NOT NULL DEFAULT '1 year',
            tenants_table      text,
            tenants_method     text,
            tenants_key        name,
            service_roles      text[]      NOT NULL DEFAULT '{}',
            hash_key_id        text,
            created_at         timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT log_config_only_row_check CHECK (only_row),
            CONSTRAINT log_config_retention_check CHECK (retention > '0'::interval),
            CONSTRAINT log_config_premake_check CHECK (premake >= '0'::interval)
        );
        PERFORM eventlog_private.close('eventlog.log_config');
    END IF;
    IF NOT EXISTS (SELECT FROM eventlog.log_config) THEN
        INSERT INTO eventlog.log_config (layout_version) VALUES (eventlog._layout_version());
    END IF;
    COMMENT ON TABLE eventlog.log_config IS 'What create_log() was told, in one row.';
    COMMENT ON COLUMN eventlog.log_config.only_row IS 'True: there is one row.';
    COMMENT ON COLUMN eventlog.log_config.layout_version IS 'Version of the tables, which migrate_log() raises.';
    COMMENT ON COLUMN eventlog.log_config.partition_interval IS 'Span of a partition of events.';
    COMMENT ON COLUMN eventlog.log_config.retention IS 'How long events are kept.';
    COMMENT ON COLUMN eventlog.log_config.premake IS 'How far ahead partitions are made.';
    COMMENT ON COLUMN eventlog.log_config.tenants_table IS 'The table that reference_tenants() tied the log to.';
    COMMENT ON COLUMN eventlog.log_config.tenants_method IS 'How it is tied: foreign_key or trigger.';
    COMMENT ON COLUMN eventlog.log_config.tenants_key IS 'Its key column.';
    COMMENT ON COLUMN eventlog.log_config.service_roles IS 'Empty since layout 2: a grant of REFERENCES on this column marks a service.';
    COMMENT ON COLUMN eventlog.log_config.hash_key_id IS 'What tells the key that the log hashes with from others; accept_hash_key() sets it.';
    COMMENT ON COLUMN eventlog.log_config.created_at IS 'When the log was made.';
END
$$;
