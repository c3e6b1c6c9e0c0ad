-- Blocks of up to 256 events of a seal: what names a change, and what lets events go.

CREATE FUNCTION eventlog_private.create_seal_blocks() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF eventlog_private.is_missing('seal_blocks') THEN
        CREATE TABLE eventlog.seal_blocks (
            tenant_id   uuid        NOT NULL,
            day         date        NOT NULL,
            part        integer     NOT NULL,
            block       integer     NOT NULL,
            events      smallint    NOT NULL,
            first_at    timestamptz,
            first_id    bigint,
            lowest_id   bigint,
            highest_id  bigint,
            first_name  text,
            hash        bytea       NOT NULL,
            seeds       bytea       NOT NULL,
            gone        bytea,
            gone_hashes bytea,
            keys        bytea
        );
        PERFORM eventlog_private.secure('eventlog.seal_blocks');
        -- Without a primary key, a publication of the table needs this to publish what erasures change.
        ALTER TABLE eventlog.seal_blocks REPLICA IDENTITY FULL;
    END IF;
    -- Not a key of each block: all blocks of a tenant's day share one entry, which takes 6 bytes a block and not 49.
    IF to_regclass('eventlog.seal_blocks_day_tenant_id_idx') IS NULL THEN
        CREATE INDEX seal_blocks_day_tenant_id_idx ON eventlog.seal_blocks (day, tenant_id);
    END IF;
    COMMENT ON TABLE eventlog.seal_blocks IS
        'Blocks of up to 256 events of a seal, in the order of name (by bytes), created_at and id. Deleted once all events of the seal are gone.';
    COMMENT ON COLUMN eventlog.seal_blocks.tenant_id IS 'The tenant.';
    COMMENT ON COLUMN eventlog.seal_blocks.day IS 'The day of the seal.';
    COMMENT ON COLUMN eventlog.seal_blocks.part IS 'The part of the day that the seal is.';
    COMMENT ON COLUMN eventlog.seal_blocks.block IS 'Number of the block in its seal, from 0.';
    COMMENT ON COLUMN eventlog.seal_blocks.events IS 'Number of events that were sealed in it: 256, or fewer in the last block.';
    COMMENT ON COLUMN eventlog.seal_blocks.first_name IS 'Name of its first event that is there; null if all are gone.';
    COMMENT ON COLUMN eventlog.seal_blocks.first_at IS 'created_at of that event.';
    COMMENT ON COLUMN eventlog.seal_blocks.first_id IS 'Id of that event.';
    COMMENT ON COLUMN eventlog.seal_blocks.lowest_id IS 'Lowest id of its events that are there.';
    COMMENT ON COLUMN eventlog.seal_blocks.highest_id IS 'Highest id of its events that are there.';
    COMMENT ON COLUMN eventlog.seal_blocks.hash IS 'Root of the tree over the events of the block.';
    COMMENT ON COLUMN eventlog.seal_blocks.seeds IS 'Seeds of the salts of the events that are there.';
    COMMENT ON COLUMN eventlog.seal_blocks.gone IS 'A bit for each event that is gone, the lowest bit of each byte first; null if none is.';
    COMMENT ON COLUMN eventlog.seal_blocks.gone_hashes IS 'Hashes of the largest subtrees whose events are all gone.';
    COMMENT ON COLUMN eventlog.seal_blocks.keys IS 'Of a supplement: created_at and id of its events, as differences; null where the seal has the rest of its day.';
END
$$;
