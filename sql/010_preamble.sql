\echo Use "CREATE EXTENSION eventlog" to load this file. \quit

-- The install script is the numbered files of sql/ in order. It makes functions and views over the
-- catalog only: the log itself is made by create_log() as ordinary tables that belong to the
-- database, because a member table of an extension loses its policies, its row-level security and
-- its foreign keys in a dump.

-- Payloads, names and actors are UTF-8 throughout; in a database of another encoding they would
-- not be what they say.
DO $$
BEGIN
    IF pg_catalog.current_setting('server_encoding') OPERATOR(pg_catalog.<>) 'UTF8' THEN
        RAISE EXCEPTION 'eventlog needs a database with encoding UTF8, this one has %',
                pg_catalog.current_setting('server_encoding')
            USING ERRCODE = 'feature_not_supported',
                  HINT = 'CREATE DATABASE name TEMPLATE template0 ENCODING ''UTF8'';';
    END IF;
END
$$;
