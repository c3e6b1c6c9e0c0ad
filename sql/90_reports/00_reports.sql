-- The list of reports, which the command line and the gateway ask: a new report is a file here, and both
-- have it.

-- A report is a function that only reads, takes tenant_id, and runs with the rights of its caller.
-- `type` is written as SQL does, `default` as an expression.
CREATE FUNCTION eventlog.reports() RETURNS TABLE (name text, description text, arguments jsonb, columns jsonb)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 20
SET search_path = pg_catalog, pg_temp
-- Clients compare the names of types, and show the defaults.
SET quote_all_identifiers = off
SET datestyle = 'ISO, YMD'
SET intervalstyle = 'postgres'
AS $$
    SELECT p.proname::text, obj_description(p.oid, 'pg_proc'),
           (SELECT jsonb_agg(jsonb_build_object('name', p.proargnames[a.place], 'type', format_type(a.type, NULL),
                                                'is_required', a.place <= p.pronargs - p.pronargdefaults,
                                                'default', pg_get_function_arg_default(p.oid, a.place::integer)) ORDER BY a.place)
              FROM unnest(p.proargtypes::oid[]) WITH ORDINALITY AS a (type, place)),
           CASE WHEN p.proretset
                THEN (SELECT jsonb_agg(jsonb_build_object('name', p.proargnames[c.place], 'type', format_type(c.type, NULL)) ORDER BY c.place)
                        FROM unnest(p.proallargtypes) WITH ORDINALITY AS c (type, place) WHERE c.place > p.pronargs)
                ELSE jsonb_build_array(jsonb_build_object('name', p.proname, 'type', format_type(p.prorettype, NULL))) END
      FROM pg_proc p
     WHERE p.pronamespace = 'eventlog'::regnamespace AND p.prokind = 'f' AND p.provolatile = 's' AND p.proname !~ '^_'
       AND 'tenant_id' = ANY (p.proargnames[:p.pronargs]) AND NOT p.prosecdef AND has_function_privilege(p.oid, 'EXECUTE')
     ORDER BY p.proname
$$;

COMMENT ON FUNCTION eventlog.reports() IS
'Lists the reports that the current role can call: name, description, arguments (an array of objects with name, type, is_required and default) and columns (an array of objects with name and type).';
