-- Settings of a transaction that stores, compares or prints text.

-- The settings that say how text is read and written, as they are by default, until the transaction
-- ends: so that what is stored and compared does not depend on the session.
CREATE FUNCTION eventlog_private.settle_session() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
AS $$
BEGIN
    PERFORM pg_catalog.set_config(s.name, s.value, true)
       FROM (VALUES ('timezone', 'UTC'), ('datestyle', 'ISO, MDY'), ('intervalstyle', 'postgres'),
                    ('quote_all_identifiers', 'off'), ('standard_conforming_strings', 'on'),
                    ('extra_float_digits', '1'), ('bytea_output', 'hex')) AS s (name, value);
END
$$;

-- Begins a transaction of a procedure that commits: as the log's owner, with names that mean what
-- they say, with text that is read and written alike everywhere, and with bounded waits for locks. All
-- of it ends with the transaction. No SET clause here: it would undo that on return.
CREATE FUNCTION eventlog_private.begin_step() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
AS $$
BEGIN
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    PERFORM eventlog_private.settle_session();
    PERFORM eventlog_private.become_owner();
    PERFORM eventlog_private.bound_lock_timeout();
END
$$;
