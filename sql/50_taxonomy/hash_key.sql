-- The key of keyed hashes. It is in a file of the server; the log only stores an identifier of it, so that
-- another file (after a restore, on a standby, by mistake) is an error instead of other hashes.

CREATE FUNCTION eventlog_private.accept_hash_key() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE eventlog.log_config SET hash_key_id = eventlog_private.hash_key_id();
END
$$;

CREATE FUNCTION eventlog.accept_hash_key() RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'as_owner_wrapper';

COMMENT ON FUNCTION eventlog.accept_hash_key() IS
'Makes the log hash with the key in the file of eventlog.hash_key_file. With a new key, the same value gets another hash from now on; events in the log keep theirs.';

-- Accepts the first key without asking.
CREATE FUNCTION eventlog_private.accept_first_hash_key() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    problem text;
BEGIN
    IF (SELECT hash_key_id FROM eventlog.log_config) IS NOT NULL THEN
        RETURN;
    END IF;
    BEGIN
        PERFORM eventlog.accept_hash_key();
    EXCEPTION WHEN object_not_in_prerequisite_state THEN
        GET STACKED DIAGNOSTICS problem = MESSAGE_TEXT;
        RAISE WARNING 'events with hashed keys cannot be logged yet: %', problem
            USING HINT = 'write a random key into a file that only the server can read, set eventlog.hash_key_file to its path, then: SELECT eventlog.accept_hash_key();';
    END;
END
$$;
