-- What several views use.

-- The keys of a payload; none of one that is no object, which COPY can bring in. Without a SET clause, so
-- that it becomes part of the query that calls it.
CREATE FUNCTION eventlog._keys(data jsonb) RETURNS SETOF text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT jsonb_object_keys(CASE WHEN jsonb_typeof(data) = 'object' THEN data ELSE '{}' END)
$$;
