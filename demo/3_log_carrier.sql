-- Logs the departures of one carrier, as a role that policies bind to the carrier's tenant.
-- Missing values are JSON nulls, which log_event strips. Prints: departed, cancelled, milliseconds.
BEGIN;
SELECT set_config('eventlog.tenant_id', tenant_of(:'carrier')::text, true) \g /dev/null
SELECT clock_timestamp() AS began \gset

WITH logged AS (
    SELECT e.name,
           eventlog.log_event(NULL, e.name, e.data, occurred_at => e.occurred_at, actor => e.tailnum) AS id
      FROM (SELECT tailnum,
                   CASE WHEN dep_time IS NULL THEN 'flight_cancelled' ELSE 'flight_departed' END AS name,
                   time_hour + make_interval(mins => minute + coalesce(dep_delay, 0)) AS occurred_at,
                   jsonb_build_object(
                       'flight',   carrier || flight,
                       'origin',   origin,
                       'dest',     dest,
                       'distance', distance,
                       'depDelay', dep_delay,
                       'arrDelay', arr_delay,
                       'airTime',  air_time) AS data
              FROM departures
             WHERE carrier = :'carrier'
             ORDER BY time_hour, minute) AS e
)
SELECT count(id) FILTER (WHERE name = 'flight_departed')  AS departed,
       count(id) FILTER (WHERE name = 'flight_cancelled') AS cancelled
  FROM logged \gset

COMMIT;
SELECT :departed, :cancelled, round(extract(epoch FROM clock_timestamp() - :'began') * 1000, 3);
