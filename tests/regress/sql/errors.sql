-- What a mistake looks like: message, DETAIL and HINT as the user sees them.
\set VERBOSITY default
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION eventlog;

SELECT eventlog.log_event('00000000-0000-0000-0000-00000000000a', 'tool_used', '{}');  -- no log yet
SELECT eventlog.create_log(partition_interval => '40 minutes');
CREATE ROLE regress_owner NOLOGIN;
SELECT eventlog.create_log(owner => 'regress_owner');

-- The tenant.
SELECT eventlog.log_event(NULL, 'tool_used', '{"toolName": "t"}');
SET eventlog.tenant_id = 'me';
SELECT eventlog.log_event(NULL, 'tool_used', '{"toolName": "t"}');
SET eventlog.tenant_id = '00000000-0000-0000-0000-00000000000a';

-- The name.
SELECT eventlog.log_event(NULL, 'tool_usd', '{"toolName": "t"}');
SELECT eventlog.log_event(NULL, 'nothing_like_it', '{}');
SELECT eventlog.log_event(NULL, NULL, '{}');
SELECT eventlog.log_event(NULL, '', '{}');

-- The payload: all of its faults at once, and never its values.
SELECT eventlog.log_event(NULL, 'message_sent', '{"role": "robot"}');
SELECT eventlog.log_event(NULL, 'skill_executed', '{"skillName": null, "success": "yes"}');
SELECT eventlog.log_event(NULL, 'tool_used', '[1, 2]');
SELECT eventlog.log_event(NULL, 'tool_used', NULL);
SELECT eventlog.log_event(NULL, 'tool_used', jsonb_build_object('toolName', repeat('x', 3000)));

-- The other arguments.
SELECT eventlog.log_event(NULL, 'tool_used', '{"toolName": "t"}', actor => repeat('a', 600));

-- The log is append-only, for its owner too; a plain INSERT is checked.
SELECT eventlog.log_event(NULL, 'tool_used', '{"toolName": "t"}') IS NOT NULL AS logged;
UPDATE eventlog.events SET data = '{}';

-- Upkeep.
SELECT eventlog.retire_event('no_such_name');
\set VERBOSITY terse
SELECT eventlog.define_event('Bad Name');
SELECT eventlog.define_event('good_name', max_bytes => 1);

SET client_min_messages = error;
DROP EXTENSION eventlog CASCADE;
DROP OWNED BY regress_owner CASCADE;
DROP SCHEMA IF EXISTS eventlog CASCADE;
DROP ROLE regress_owner;
