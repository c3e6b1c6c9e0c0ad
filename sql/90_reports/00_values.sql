-- Values of single events, and sums of them, as reports show them.

-- Returns a sum of weights as a whole number. A bigint is large enough for all events, but not for weights
-- that an owner inserted by hand.
CREATE FUNCTION eventlog._as_count(weights double precision) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT CASE WHEN weights < 9e18 THEN round(weights)::bigint WHEN weights IS NOT NULL THEN 9000000000000000000 END
$$;

-- Returns when an event happened: by the client's clock, if its time is one that a calendar has, otherwise
-- by the server's. The difference of other times can exceed an interval.
CREATE FUNCTION eventlog._happened_at(occurred_at timestamptz, created_at timestamptz) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT CASE WHEN occurred_at >= timestamptz '0001-01-01 00:00:00+00' AND occurred_at < timestamptz '10000-01-01 00:00:00+00'
                THEN occurred_at ELSE created_at END
$$;

-- Returns a number in a payload that can be added up: zero or more, to nine digits.
CREATE FUNCTION eventlog._quantity(data jsonb, key text) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT CASE WHEN jsonb_typeof(data -> key) = 'number'
                THEN CASE WHEN (data -> key)::numeric BETWEEN 0 AND 1e15 THEN trim_scale(round((data -> key)::numeric, 9)) END END
$$;
