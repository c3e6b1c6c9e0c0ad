-- What each role may do.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION eventlog;
CREATE ROLE regress_owner NOLOGIN;
CREATE ROLE regress_writer NOLOGIN;
CREATE ROLE regress_reader NOLOGIN;
CREATE ROLE regress_service NOLOGIN;
CREATE ROLE regress_nobody NOLOGIN;
SELECT eventlog.create_log(owner => 'regress_owner');
SELECT eventlog.grant_writer('regress_writer');
SELECT eventlog.grant_reader('regress_reader');
SELECT eventlog.grant_service('regress_service');

-- A writer logs events of its own tenant, and reads none.
SET ROLE regress_writer;
SET eventlog.tenant_id = '00000000-0000-0000-0000-00000000000a';
SELECT eventlog.log_event(NULL, 'tool_used', '{"toolName": "t"}') IS NOT NULL AS logged;
SELECT eventlog.log_event('00000000-0000-0000-0000-00000000000b', 'tool_used', '{"toolName": "t"}');
SELECT count(*) FROM eventlog.events;
INSERT INTO eventlog.events (tenant_id, name, data)
    VALUES ('00000000-0000-0000-0000-00000000000a', 'tool_used', '{"toolName": "plain"}');
INSERT INTO eventlog.events (tenant_id, name, data)
    VALUES ('00000000-0000-0000-0000-00000000000a', 'bogus', '{}');
INSERT INTO eventlog.events (tenant_id, name, data, created_at)
    VALUES ('00000000-0000-0000-0000-00000000000a', 'tool_used', '{"toolName": "t"}', '2001-01-01');
UPDATE eventlog.events SET data = '{}';
DELETE FROM eventlog.events;
TRUNCATE eventlog.events;
SELECT eventlog.define_event('mine');
SELECT eventlog.create_log();
SET eventlog.enabled = off;
SET eventlog.on_unknown_name = register;

-- Without a tenant nothing is written, and nothing read.
RESET eventlog.tenant_id;
SELECT eventlog.log_event(NULL, 'tool_used', '{"toolName": "t"}');
SET ROLE regress_reader;
SELECT count(*) FROM eventlog.events;

-- A reader reads its own tenant's events, in no partition by name, and writes none.
SET eventlog.tenant_id = '00000000-0000-0000-0000-00000000000a';
SELECT name, data FROM eventlog.events ORDER BY id;
SELECT eventlog.log_event(NULL, 'tool_used', '{"toolName": "t"}');
SET eventlog.tenant_id = '00000000-0000-0000-0000-00000000000b';
SELECT name, data FROM eventlog.events ORDER BY id;
RESET ROLE;
SELECT bool_or(has_table_privilege(role, c.oid, 'SELECT, INSERT, UPDATE, DELETE')) AS any_right_on_a_partition,
       bool_and(c.relrowsecurity) AS row_level_security_on
  FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid,
       unnest('{regress_writer,regress_reader,regress_service,regress_nobody}'::text[]) AS role
 WHERE i.inhparent = 'eventlog.events'::regclass;

-- A service has every tenant.
SET ROLE regress_service;
SELECT eventlog.log_event('00000000-0000-0000-0000-00000000000b', 'tool_used', '{"toolName": "s"}') IS NOT NULL AS logged;
SELECT right(tenant_id::text, 1) AS tenant, data FROM eventlog.events ORDER BY id;
UPDATE eventlog.events SET data = '{}';

-- Nobody else has anything; a role that is taken back neither.
SET ROLE regress_nobody;
SELECT eventlog.log_event(NULL, 'tool_used', '{"toolName": "t"}');
SELECT count(*) FROM eventlog.events;
RESET ROLE;
SELECT eventlog.revoke_role('regress_service');
SET ROLE regress_service;
SELECT count(*) FROM eventlog.events;
RESET ROLE;

-- The owner erases; not even it changes.
SET ROLE regress_owner;
UPDATE eventlog.events SET data = '{}';
DELETE FROM eventlog.events;
RESET ROLE;

SET client_min_messages = error;
DROP EXTENSION eventlog CASCADE;
DROP OWNED BY regress_owner, regress_writer, regress_reader, regress_service, regress_nobody CASCADE;
DROP SCHEMA IF EXISTS eventlog CASCADE;
DROP ROLE regress_owner, regress_writer, regress_reader, regress_service, regress_nobody;
