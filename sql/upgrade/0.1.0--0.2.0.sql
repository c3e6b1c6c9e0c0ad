\echo Use "ALTER EXTENSION eventlog UPDATE TO '0.2.0'" to load this file. \quit

-- The head of the upgrade script: what CREATE OR REPLACE cannot do. Behind it come the numbered
-- files, each function and view replaced where it is. What a policy, a trigger or a view stands on
-- (guard, current_tenant, any_tenant, events_append_only, registry_changed, erase_tenant, …) must
-- never be dropped.
--
-- Tables are the log's, not the extension's: SELECT eventlog.migrate_log() changes them.

-- These have other arguments or columns now.
DROP FUNCTION eventlog._starter_taxonomy();
DROP FUNCTION eventlog._check_definition(
    text, text, integer, jsonb, jsonb, double precision, text[], text[]);
DROP FUNCTION eventlog.define_event(
    text, text, text, text[], text[], boolean, jsonb, integer, text, text[], text, text, text, text, jsonb, text,
    double precision, text, text[], text[], boolean, text[], text, text);
DROP FUNCTION eventlog.set_tenant(uuid, boolean, integer, integer, text);

