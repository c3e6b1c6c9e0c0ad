-- View: webhooks, how far they are and how they fare.

CREATE FUNCTION eventlog._stat_webhooks()
RETURNS TABLE (webhook_id uuid, tenant_id uuid, url text, names text[], with_alerts boolean, state text, reason text, delivered_id bigint,
               ids_behind bigint, delivered_at timestamptz, failures integer, failing_since timestamptz, next_attempt_at timestamptz,
               retries bigint, given_up bigint, last_error text, lost_events bigint)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    PERFORM eventlog._require_layout(2);
    RETURN QUERY
    SELECT w.webhook_id, w.tenant_id, w.url, w.names, w.with_alerts,
           CASE WHEN NOT w.is_enabled THEN 'disabled' WHEN w.failures >= 3 THEN 'put aside' WHEN w.leased_by IS NULL THEN 'not served' ELSE 'served' END,
           w.disabled_reason, w.delivered_id, greatest(l.certain_id - w.delivered_id, 0), w.delivered_at, w.failures, w.failing_since,
           w.next_attempt_at, r.retries, r.given_up,
           CASE WHEN w.failures > 0 OR r.retries > 0 OR r.given_up > 0 OR w.disabled_reason IS NOT NULL THEN
               (SELECT d.error FROM eventlog.webhook_deliveries d
                 WHERE d.webhook_id = w.webhook_id AND d.error IS NOT NULL ORDER BY d.attempted_at DESC LIMIT 1) END,
           coalesce((SELECT o.lost_events FROM eventlog.consumer_losses o
                      WHERE o.tenant_id = w.tenant_id AND o.consumer = 'webhook ' || w.webhook_id), 0)
      FROM eventlog.webhooks w
     CROSS JOIN (SELECT coalesce(max(l.certain_id), 0) AS certain_id FROM eventlog.delivery_looks l) l
     CROSS JOIN LATERAL (SELECT count(r.next_attempt_at) AS retries, count(*) - count(r.next_attempt_at) AS given_up
                           FROM eventlog.webhook_retries r WHERE r.webhook_id = w.webhook_id) r;
END
$$;

CREATE VIEW eventlog.stat_webhooks AS SELECT * FROM eventlog._stat_webhooks();

COMMENT ON VIEW eventlog.stat_webhooks IS
'Webhooks of the tenants that the caller may read: their state (served, not served by any deliverer yet, put aside because attempts fail, disabled), how far each is and how many ids that is behind what can be read, and how many events wait to be sent again, were given up, or were deleted by retention before they were sent.';
