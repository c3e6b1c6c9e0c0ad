-- Optional: creates three roles that cannot log in, to be granted to those that can. Roles belong to the
-- cluster, so CREATE EXTENSION creates none. Run it in the log's database as the log's owner, if that may
-- create roles: psql -d mydb -f roles.sql
--
--     GRANT eventlog_writer TO my_application;

DO $$
DECLARE
    role name;
BEGIN
    FOREACH role IN ARRAY ARRAY['eventlog_writer', 'eventlog_reader', 'eventlog_service'] LOOP
        IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = role) THEN
            EXECUTE pg_catalog.format('CREATE ROLE %I NOLOGIN', role);
        END IF;
    END LOOP;
END
$$;

SELECT eventlog.grant_writer('eventlog_writer');
SELECT eventlog.grant_reader('eventlog_reader');
SELECT eventlog.grant_service('eventlog_service');
