-- The key of keyed hashes. The file is the server's; the log keeps only what tells keys apart, so
-- that another file (a restore, a standby, a hand that slipped) is an error and not other hashes.

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
'Makes the key in the file of eventlog.hash_key_file the one that the log hashes with. Hashes under another key differ from then on: what was logged stays as it is.';

-- The first key needs no ceremony.
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
        RAISE WARNING 'no event with a hashed key can be logged yet: %', problem
            USING HINT = 'write a random key into a file that only the server may read, set eventlog.hash_key_file to it, and: SELECT eventlog.accept_hash_key();';
    END;
END
$$;
