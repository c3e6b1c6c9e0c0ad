-- What deliverers report.

-- Notes what was delivered and what failed, an object for each webhook:
--   webhook_id, lease      what the deliverer had leased; of another lease nothing counts any more
--   delivered_id, alert_delivered_id   how far it is; what failed up to there is in retries
--   failures, pause        attempts that failed in a row, and for how many seconds nothing is sent
--   disabled               the reason why nothing more is to be sent
--   attempts               [{is_alert, event_id, last_event_id, tenant_id, deliveries, attempt, status, error, ms, ago}]
--   retries                [{is_alert, event_id, tenant_id, created_at, attempts, wait}], with the seconds to the next
--   done                   [{is_alert, event_id}]: retries that are over
-- Times are spans until now, since only the server's clock counts. Returns the webhooks that it disabled.
CREATE FUNCTION eventlog_private.note_deliveries(tenant uuid, deliverer text, notes jsonb) RETURNS TABLE (webhook_id uuid, reason text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    disable_after constant interval    := '5 days';
    most_retries  constant integer     := 1000;
    me            constant text        := deliverer;
    at            constant timestamptz := clock_timestamp();
    note          record;
    webhook       eventlog.webhooks;
    former        integer;
BEGIN
    PERFORM eventlog_private.require_all_tenants(tenant);
    FOR note IN
        SELECT n.* FROM jsonb_to_recordset(notes) AS n (
            webhook_id uuid, lease bigint, delivered_id bigint, alert_delivered_id bigint, failures integer, pause double precision,
            disabled text, attempts jsonb, retries jsonb, done jsonb)
         ORDER BY n.webhook_id
    LOOP
        former := (SELECT w.failures FROM eventlog.webhooks w
                    WHERE w.webhook_id = note.webhook_id AND w.leased_by = me AND w.lease = note.lease FOR UPDATE);
        CONTINUE WHEN former IS NULL;
        UPDATE eventlog.webhooks w
           SET delivered_id       = greatest(w.delivered_id, note.delivered_id),
               alert_delivered_id = greatest(w.alert_delivered_id, note.alert_delivered_id),
               delivered_at       = CASE WHEN note.failures = 0 THEN at ELSE w.delivered_at END,
               failures           = coalesce(note.failures, w.failures),
               failing_since      = CASE WHEN note.failures > 0 THEN coalesce(w.failing_since, at)
                                         WHEN note.failures = 0 THEN NULL ELSE w.failing_since END,
               next_attempt_at    = CASE WHEN note.failures IS NULL THEN w.next_attempt_at ELSE at + make_interval(secs => note.pause) END
         WHERE w.webhook_id = note.webhook_id RETURNING w.* INTO webhook;
        IF note.disabled IS NOT NULL OR webhook.failing_since < at - disable_after THEN
            UPDATE eventlog.webhooks w
               SET is_enabled = false, leased_by = NULL,
                   disabled_reason = coalesce(note.disabled, format('every attempt has failed since %s UTC',
                                              to_char(webhook.failing_since AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI')))
             WHERE w.webhook_id = note.webhook_id RETURNING w.webhook_id, w.disabled_reason INTO webhook_id, reason;
            RETURN NEXT;
        END IF;

        DELETE FROM eventlog.webhook_retries r USING jsonb_to_recordset(note.done) AS d (is_alert boolean, event_id bigint)
         WHERE r.webhook_id = note.webhook_id AND r.is_alert = d.is_alert AND r.event_id = d.event_id;
        -- An event that was erased meanwhile leaves nothing here.
        INSERT INTO eventlog.webhook_retries AS r
            (webhook_id, tenant_id, is_alert, event_id, event_tenant_id, event_created_at, attempts, next_attempt_at)
        SELECT webhook.webhook_id, webhook.tenant_id, n.is_alert, n.event_id, n.tenant_id, n.created_at, n.attempts, at + make_interval(secs => n.wait)
          FROM jsonb_to_recordset(note.retries) AS n (is_alert boolean, event_id bigint, tenant_id uuid, created_at timestamptz,
                                                      attempts integer, wait double precision)
         WHERE n.is_alert OR EXISTS (SELECT FROM eventlog.events e WHERE e.id = n.event_id AND e.created_at = n.created_at)
        ON CONFLICT ON CONSTRAINT webhook_retries_pkey DO UPDATE SET attempts = EXCLUDED.attempts, next_attempt_at = EXCLUDED.next_attempt_at;
        -- A receiver that takes some and refuses many is put aside as well, so that retries do not pile up. Once
        -- it takes one, all of them come before anything new.
        IF jsonb_array_length(note.retries) > 0 AND former < 3
           AND (SELECT count(*) FROM (SELECT FROM eventlog.webhook_retries r
                                       WHERE r.webhook_id = note.webhook_id AND r.next_attempt_at IS NOT NULL LIMIT most_retries + 1) c) > most_retries THEN
            UPDATE eventlog.webhooks w
               SET failures = 3, failing_since = coalesce(w.failing_since, at), leased_by = NULL,
                   next_attempt_at = greatest(w.next_attempt_at, at + interval '5 minutes')
             WHERE w.webhook_id = note.webhook_id;
        END IF;
        IF note.failures = 0 AND former >= 3 THEN
            -- It is back.
            UPDATE eventlog.webhook_retries r SET next_attempt_at = at WHERE r.webhook_id = note.webhook_id AND r.next_attempt_at > at;
        END IF;
        INSERT INTO eventlog.webhook_deliveries
            (webhook_id, tenant_id, attempted_at, is_alert, event_id, last_event_id, event_tenant_id, deliveries, attempt, status, error, duration_ms)
        SELECT webhook.webhook_id, webhook.tenant_id, at - make_interval(secs => a.ago), a.is_alert, a.event_id, a.last_event_id, a.tenant_id,
               a.deliveries, a.attempt, a.status, left(a.error, 200), a.ms
          FROM ROWS FROM (jsonb_to_recordset(note.attempts) AS (is_alert boolean, event_id bigint, last_event_id bigint, tenant_id uuid,
                   deliveries integer, attempt integer, status integer, error text, ms integer, ago double precision))
               WITH ORDINALITY AS a (is_alert, event_id, last_event_id, tenant_id, deliveries, attempt, status, error, ms, ago, place)
         ORDER BY a.place;
    END LOOP;
END
$$;

CREATE FUNCTION eventlog._note_deliveries(tenant uuid, deliverer text, notes jsonb) RETURNS TABLE (webhook_id uuid, reason text)
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'as_manager_wrapper';
