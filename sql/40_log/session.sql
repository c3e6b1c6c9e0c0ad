-- Settings of a transaction that stores, compares or prints text.

-- Sets the settings that affect how text is read and written to their defaults, until the transaction ends,
-- so that stored and compared values do not depend on the session.
CREATE FUNCTION eventlog_private.use_default_formats() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
AS $$
BEGIN
    PERFORM pg_catalog.set_config(s.name, s.value, true)
       FROM (VALUES ('timezone', 'UTC'), ('datestyle', 'ISO, MDY'), ('intervalstyle', 'postgres'),
                    ('quote_all_identifiers', 'off'), ('standard_conforming_strings', 'on'),
                    ('extra_float_digits', '1'), ('bytea_output', 'hex')) AS s (name, value);
END
$$;

-- Begins a transaction of a procedure that commits: as the log's owner, with a safe search_path, with
-- use_default_formats(), and with bounded waits for locks. All of it ends with the transaction. The function has
-- no SET clause, which would undo these settings on return.
CREATE FUNCTION eventlog_private.begin_step() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
AS $$
BEGIN
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    PERFORM eventlog_private.use_default_formats();
    PERFORM eventlog_private.become_owner();
    PERFORM eventlog_private.bound_lock_timeout();
END
$$;
