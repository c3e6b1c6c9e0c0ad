-- Values of single events and sums of them, as reports show them.

-- Weights as a whole number. A bigint holds more events than there are; of weights that an owner put in
-- by hand it may not.
CREATE FUNCTION eventlog._whole(weights double precision) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT CASE WHEN weights < 9e18 THEN round(weights)::bigint WHEN weights IS NOT NULL THEN 9000000000000000000 END
$$;

-- When an event happened: by the client's clock where it told a time that a calendar has, else by the
-- server's. Differences of others are more than an interval holds.
CREATE FUNCTION eventlog._happened_at(occurred_at timestamptz, created_at timestamptz) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT CASE WHEN occurred_at >= timestamptz '0001-01-01 00:00:00+00' AND occurred_at < timestamptz '10000-01-01 00:00:00+00'
                THEN occurred_at ELSE created_at END
$$;

-- A number of things in a payload, to be added up: what a count can be, to nine digits.
CREATE FUNCTION eventlog._quantity(data jsonb, key text) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT CASE WHEN jsonb_typeof(data -> key) = 'number'
                THEN CASE WHEN (data -> key)::numeric BETWEEN 0 AND 1e15 THEN trim_scale(round((data -> key)::numeric, 9)) END END
$$;
