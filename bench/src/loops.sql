-- A contender's loop over n events of bench.input: µs for each, by the clock inside, so that neither
-- reading the input nor the connection counts. What is in braces is put in by world.rs.
CREATE FUNCTION bench.{name}(first integer, n integer) RETURNS double precision LANGUAGE plpgsql AS $loop$
#variable_conflict use_column
DECLARE
    own      uuid := nullif(current_setting('eventlog.tenant_id', true), '')::uuid;
    tenants  uuid[];
    names    text[];
    payloads jsonb[];
    subjects text[];
    tenant   uuid;
    name     text;
    payload  jsonb;
    subject  text;
    new_id   bigint;
    started  timestamptz;
BEGIN
    SELECT array_agg(coalesce(own, i.tenant_id)), array_agg(i.name), array_agg(i.data), array_agg(i.subject)
      INTO tenants, names, payloads, subjects
      FROM bench.input i
     WHERE i.number >= first AND i.number < first + n;
    started := clock_timestamp();
    FOR i IN 1 .. n LOOP
        -- Plain variables: an INSERT would set up a subscript anew each time (1.3 µs for four), a
        -- function call would not.
        tenant := tenants[i];
        name := names[i];
        payload := payloads[i];
        subject := subjects[i];
        {statement};
    END LOOP;
    RETURN EXTRACT(epoch FROM clock_timestamp() - started) * 1e6 / n;
END
$loop$;
