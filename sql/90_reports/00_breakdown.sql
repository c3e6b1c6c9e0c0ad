-- Breaking down a report that counts actors or ranks: each value of the breakdown gets an answer of its own.

-- Returns for each of the values with the most events, and for all other events together, the filters that
-- leave just these; without a breakdown, the filters as they are. A value of 200 characters may be the start of
-- several, and is one of the others. Gives the notices about filters and breakdown.
CREATE FUNCTION eventlog._parts_of(tenant uuid, since timestamptz, until timestamptz, names text[], filters jsonb, breakdown text,
                                   top integer)
RETURNS TABLE (place bigint, value text, is_others boolean, part_filters jsonb)
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    -- Each value costs a report, and a filter takes a hundred values.
    most_values constant integer := 50;
    given jsonb := CASE jsonb_typeof(filters) WHEN 'array' THEN filters WHEN 'object' THEN jsonb_build_array(filters) ELSE '[]' END;
BEGIN
    IF breakdown IS NULL THEN
        PERFORM eventlog._check_filters_known(filters, names);
        RETURN QUERY SELECT 1::bigint, NULL::text, false, filters;
        RETURN;
    END IF;
    IF top IS NULL OR top < 1 OR top > most_values THEN
        RAISE EXCEPTION 'top must be from 1 to %, got %', most_values, coalesce(top::text, 'null')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'this report answers for each value by itself';
    END IF;
    RETURN QUERY
    WITH counted AS MATERIALIZED (
        SELECT c.value, c.is_others OR coalesce(length(c.value) >= 200, false) AS is_others, c.events
          FROM eventlog._cut(tenant, ARRAY[since], '{1}', until, names, filters, breakdown, top, false) c
         WHERE c.period IS NOT NULL
    ), listed AS (
        SELECT c.value, c.events FROM counted c WHERE NOT c.is_others
    )
    SELECT row_number() OVER (ORDER BY l.events DESC, l.value), l.value, false,
           given || jsonb_build_array(jsonb_build_object(breakdown, l.value))
      FROM listed l
     UNION ALL
    SELECT most_values + 1, NULL, true,
           given || (SELECT coalesce(jsonb_agg(jsonb_build_object(breakdown, jsonb_build_object('not', l.values))), '[]')
                       FROM (SELECT jsonb_agg(l.value) AS values FROM listed l) l WHERE l.values IS NOT NULL)
     WHERE EXISTS (SELECT FROM counted c WHERE c.is_others);
END
$$;
