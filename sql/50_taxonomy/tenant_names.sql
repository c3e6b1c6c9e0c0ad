-- Names of tenants, and the tenant that stands for all of them.

CREATE FUNCTION eventlog.all_tenants() RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid $$;

COMMENT ON FUNCTION eventlog.all_tenants() IS
'The tenant_id of a report over all tenants, for the log''s owner, superusers and services. No event can be logged for it.';

-- Checks a name that a person gives. Not the server's regular expressions: what they take for a control
-- character depends on the locale.
CREATE FUNCTION eventlog_private.check_tenant_name(argument text, name text) RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF char_length(name) NOT BETWEEN 1 AND 200 THEN
        RAISE EXCEPTION '% has % characters, limit 1 to 200', argument, char_length(name) USING ERRCODE = 'invalid_parameter_value';
    ELSIF eventlog_private.without_controls(name) <> name THEN
        RAISE EXCEPTION '% has a control character', argument
            USING ERRCODE = 'invalid_parameter_value', HINT = 'names are one line of text';
    END IF;
END
$$;

-- Returns a text with a blank in place of each control character (C0, DEL and C1).
CREATE FUNCTION eventlog_private.without_controls(text text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT translate(text, string_agg(chr(c), '' ORDER BY c), repeat(' ', 64))
      FROM generate_series(1, 159) AS c WHERE c < 32 OR c > 126
$$;

-- Sets names of a tenant; null keeps a name. An empty display_name removes it.
CREATE FUNCTION eventlog_private.set_names(tenant_id uuid, tenant_name text, display_name text) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    PERFORM eventlog._require_layout(2);
    INSERT INTO eventlog.tenant_names AS n (tenant_id, tenant_name, display_name)
    VALUES (set_names.tenant_id, set_names.tenant_name, nullif(set_names.display_name, ''))
    ON CONFLICT ON CONSTRAINT tenant_names_pkey DO UPDATE SET
        tenant_name  = coalesce(set_names.tenant_name, n.tenant_name),
        display_name = nullif(coalesce(set_names.display_name, n.display_name), ''),
        updated_at   = now();
END
$$;

-- Notes the name that the application's own table has for a tenant. What no name may be is not refused,
-- since that would refuse the application's row: it is cut and cleaned.
CREATE FUNCTION eventlog_private.note_name(tenant_id uuid, name text) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    clean text := nullif(left(btrim(eventlog_private.without_controls(left(name, 1000))), 200), '');
BEGIN
    IF note_name.tenant_id IS NULL OR note_name.tenant_id = eventlog.all_tenants() THEN
        RETURN;
    END IF;
    IF clean IS NULL THEN
        UPDATE eventlog.tenant_names n SET display_name = NULL, updated_at = now()
         WHERE n.tenant_id = note_name.tenant_id AND n.display_name IS NOT NULL;
        RETURN;
    END IF;
    INSERT INTO eventlog.tenant_names AS n (tenant_id, display_name) VALUES (note_name.tenant_id, clean)
    ON CONFLICT ON CONSTRAINT tenant_names_pkey DO UPDATE SET display_name = clean, updated_at = now()
     WHERE n.display_name IS DISTINCT FROM clean;
END
$$;

CREATE FUNCTION eventlog_private.note_names(tenant_ids uuid[], names text[]) RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT eventlog_private.note_name(n.tenant_id, n.name) FROM unnest(tenant_ids, names) AS n (tenant_id, name)
$$;

CREATE FUNCTION eventlog._note_names(tenant_ids uuid[], names text[]) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'as_owner_wrapper';
