-- The functions that everybody calls, and what they leave in the log.
SET client_min_messages = warning;
CREATE EXTENSION eventlog;
CREATE ROLE regress_owner NOLOGIN;
SELECT eventlog.create_log(owner => 'regress_owner');
SELECT eventlog.create_log();
SELECT name, required_keys FROM eventlog.event_types ORDER BY name LIMIT 5;

-- Call shapes.
SELECT eventlog.log_event('00000000-0000-0000-0000-00000000000a', 'ingest_started',
                          '{"sourceType": "web", "url": "https://example.com/"}') IS NOT NULL AS logged;
SELECT eventlog.log_event(name => 'tool_used', tenant_id => '00000000-0000-0000-0000-00000000000a',
                          data => '{"toolName": "grep", "source": null}',
                          occurred_at => '2024-02-29 12:00:00+00', actor => 'ann', subject => 'tools/grep') IS NOT NULL AS logged;
PREPARE log AS SELECT eventlog.log_event($1, $2, $3) IS NOT NULL AS logged;
EXECUTE log ('00000000-0000-0000-0000-00000000000b', 'integration_succeeded', '{"integrationId": "i1", "type": "crm"}');
SET eventlog.tenant_id = '00000000-0000-0000-0000-00000000000b';
SELECT eventlog.current_tenant();
SELECT eventlog.log_event(NULL, 'message_sent', '{"conversationId": "c1", "role": "user"}') IS NOT NULL AS logged;
SELECT right(tenant_id::text, 1) AS tenant, name, data, actor, subject, occurred_at AT TIME ZONE 'UTC' AS occurred_at
  FROM eventlog.events ORDER BY id;

-- Nulls go from objects at every depth and stay in arrays; numbers stay what they are.
SELECT is_valid, stored
  FROM eventlog.validate_event('tool_used',
       '{"toolName": "t", "a": {"b": null, "c": {"d": null}}, "e": [null, {"f": null}],
         "n": [12345678901234567890.123456789, 1.10, 1e3]}');

-- Names are defined, changed and retired; it counts at once.
SELECT eventlog.define_event('order.placed', required_keys => '{total}', allowed_values => '{"currency": ["EUR", "USD"]}');
SELECT is_valid, sqlstate, message FROM eventlog.validate_event('order.placed', '{"total": 1}');
SELECT eventlog.define_event('order.placed', required_keys => '{total,currency}');
SELECT is_valid, sqlstate, message, detail FROM eventlog.validate_event('order.placed', '{"total": 1}');
SELECT eventlog.define_event('order.accepted');
SELECT eventlog.retire_event('order.placed', successor => 'order.accepted');
SELECT is_valid, sqlstate, message, hint FROM eventlog.validate_event('order.placed', '{"total": 1, "currency": "EUR"}');
BEGIN;
SELECT eventlog.define_event('order.placed', status => 'active');
SELECT is_valid FROM eventlog.validate_event('order.placed', '{"total": 1, "currency": "EUR"}');
ROLLBACK;
SELECT is_valid FROM eventlog.validate_event('order.placed', '{"total": 1, "currency": "EUR"}');

-- A fault that must not stop the caller: NULL, and a row in the quarantine.
SELECT eventlog.try_log_event(NULL, 'tool_used', '{"toolName": "t"}') IS NOT NULL AS logged;
SET client_min_messages = error;
SELECT eventlog.try_log_event(NULL, 'tool_use', '{}') IS NOT NULL AS logged;
SELECT eventlog.try_log_event(NULL, 'tool_used', '{broken') IS NOT NULL AS logged;
SELECT name, data, sqlstate FROM eventlog.rejected_events ORDER BY id;

DROP EXTENSION eventlog CASCADE;
DROP OWNED BY regress_owner CASCADE;
DROP SCHEMA IF EXISTS eventlog CASCADE;
DROP ROLE regress_owner;
