-- View: consumers and how far they are.

CREATE FUNCTION eventlog._stat_consumers()
RETURNS TABLE (tenant_id uuid, consumer text, names text[], acknowledged_id bigint, acknowledged_at timestamptz,
               certain_id bigint, ids_behind bigint, lost_events bigint, held_by text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    held_by text;
BEGIN
    PERFORM eventlog._require_layout(2);
    -- Who is connected is for the log's owner only.
    IF pg_has_role((SELECT c.relowner FROM pg_class c WHERE c.oid = 'eventlog.events'::regclass), 'USAGE') THEN
        held_by := eventlog_private.delivery_held_by();
    END IF;
    RETURN QUERY
    SELECT c.tenant_id, c.consumer, c.names, c.acknowledged_id, c.acknowledged_at, l.certain_id,
           greatest(l.certain_id - c.acknowledged_id, 0), coalesce(o.lost_events, 0), held_by
      FROM eventlog.consumers c
      LEFT JOIN eventlog.consumer_losses o ON o.tenant_id = c.tenant_id AND o.consumer = c.consumer
     CROSS JOIN (SELECT coalesce(max(l.certain_id), 0) AS certain_id FROM eventlog.delivery_looks l) l;
END
$$;

CREATE VIEW eventlog.stat_consumers AS SELECT * FROM eventlog._stat_consumers();

COMMENT ON VIEW eventlog.stat_consumers IS
'Consumers of the tenants that the caller may read, how far each has acknowledged, how many ids that is behind what can be read, how many events retention deleted before they were read, and (for the log''s owner) which transactions have kept the ids after certain_id from being read for more than a second.';
