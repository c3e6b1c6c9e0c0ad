WITH hooks AS MATERIALIZED (
    SELECT * FROM eventlog.stat_webhooks
)
SELECT true, format('%s webhooks are enabled, and nothing sends them', count(*)), 'eventlog deliver', NULL
  FROM hooks h WHERE h.state <> 'disabled' AND NOT EXISTS (SELECT FROM eventlog.deliverers d WHERE d.seen_at > now() - interval '1 minute')
HAVING count(*) > 0
 UNION ALL
(SELECT false, format('webhook %s is disabled: %s%s', h.webhook_id, h.reason, ' (last: ' || h.last_error || ')'),
        format('SELECT eventlog.enable_webhook(%L);', h.webhook_id), 'owner'
   FROM hooks h WHERE h.state = 'disabled' AND h.reason IS NOT NULL ORDER BY h.failing_since LIMIT 10)
 UNION ALL
(SELECT false, format('webhook %s is put aside, %s attempts have failed since %s: %s', h.webhook_id, h.failures, h.failing_since, h.last_error),
        format('once the receiver is back: SELECT eventlog.enable_webhook(%L);', h.webhook_id), NULL
   FROM hooks h WHERE h.state = 'put aside' ORDER BY h.failing_since LIMIT 10)
 UNION ALL
(SELECT false, format('webhook %s never accepted %s events: %s', h.webhook_id, h.given_up, h.last_error),
        format('SELECT eventlog.replay_webhook(%L, failed => true);', h.webhook_id), 'owner'
   FROM hooks h WHERE h.given_up > 0 ORDER BY h.given_up DESC LIMIT 10)
