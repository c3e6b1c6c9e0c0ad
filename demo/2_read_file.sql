-- The real input as it comes, in tables that stand for an application's own: 27,004 departures from
-- New York's airports in January 2013 (US Bureau of Transportation Statistics). A missing value
-- is written NA.
CREATE TABLE carriers (carrier text PRIMARY KEY, name text NOT NULL);

CREATE TABLE departures (
    year           integer,
    month          integer,
    day            integer,
    dep_time       integer,
    sched_dep_time integer,
    dep_delay      integer,
    arr_time       integer,
    sched_arr_time integer,
    arr_delay      integer,
    carrier        text,
    flight         integer,
    tailnum        text,
    origin         text,
    dest           text,
    air_time       integer,
    distance       integer,
    hour           integer,
    minute         integer,
    time_hour      timestamptz
);

\copy carriers FROM 'tests/data/airlines.csv' (FORMAT csv, HEADER)
\copy departures FROM PROGRAM 'gzip -dc tests/data/flights-2013-01.csv.gz' (FORMAT csv, HEADER, NULL 'NA')

-- Each carrier is a tenant. The demo makes up the tenants' ids from their codes.
CREATE FUNCTION tenant_of(carrier text) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN md5('carrier ' || carrier)::uuid;

CREATE INDEX ON departures (carrier, time_hour);
ANALYZE;
GRANT SELECT ON carriers, departures TO flights_writer;
