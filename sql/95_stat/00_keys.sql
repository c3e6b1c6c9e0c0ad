-- Used by several views.

-- Returns the keys of a payload, or none if it is no object, which COPY can bring in. The function has no
-- SET clause, so that it is inlined into the calling query.
CREATE FUNCTION eventlog._keys(data jsonb) RETURNS SETOF text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT jsonb_object_keys(CASE WHEN jsonb_typeof(data) = 'object' THEN data ELSE '{}' END)
$$;
