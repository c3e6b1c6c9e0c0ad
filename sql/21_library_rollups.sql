-- Functions of the library for the rollups, and the aggregates over them: the pass that counts events, and
-- the quarter-hours in which actors were active.

-- The pass of the rollups (extension/src/report/rollup/): counts events for all rollups at once, keeps the
-- counts until the transaction ends or forget_counts() is called, and returns the number of events and how
-- many rows each rollup gets at most. `rules` are the event types, by name.
CREATE FUNCTION eventlog_private.count_step(state internal, id bigint, tenant_id uuid, name text, data jsonb, actor text,
                                     subject text, created_at timestamptz, weight real, rules jsonb) RETURNS internal
LANGUAGE c VOLATILE PARALLEL SAFE COST 20
AS 'MODULE_PATHNAME', 'count_step_wrapper';

CREATE FUNCTION eventlog_private.count_serialize(state internal) RETURNS bytea
LANGUAGE c VOLATILE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'count_serialize_wrapper';

CREATE FUNCTION eventlog_private.count_deserialize(counts bytea, state internal) RETURNS internal
LANGUAGE c VOLATILE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'count_deserialize_wrapper';

CREATE FUNCTION eventlog_private.count_combine(state internal, other internal) RETURNS internal
LANGUAGE c VOLATILE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'count_combine_wrapper';

CREATE FUNCTION eventlog_private.count_final(state internal) RETURNS bigint[]
LANGUAGE c VOLATILE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'count_final_wrapper';

CREATE AGGREGATE eventlog_private.count_all(id bigint, tenant_id uuid, name text, data jsonb, actor text, subject text,
                                            created_at timestamptz, weight real, rules jsonb) (
    SFUNC = eventlog_private.count_step,
    STYPE = internal,
    FINALFUNC = eventlog_private.count_final,
    FINALFUNC_MODIFY = READ_WRITE,
    COMBINEFUNC = eventlog_private.count_combine,
    SERIALFUNC = eventlog_private.count_serialize,
    DESERIALFUNC = eventlog_private.count_deserialize,
    PARALLEL = SAFE
);

CREATE FUNCTION eventlog_private.forget_counts() RETURNS void
LANGUAGE c VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'forget_counts_wrapper';

-- Returns the events that cannot be counted, for a message; null if there are none.
CREATE FUNCTION eventlog_private.counted_without() RETURNS text
LANGUAGE c VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'counted_without_wrapper';

CREATE FUNCTION eventlog_private.counted_tenants() RETURNS uuid[]
LANGUAGE c VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'counted_tenants_wrapper';

-- Returns the start of the first hour of the events that were counted.
CREATE FUNCTION eventlog_private.counted_since() RETURNS timestamptz
LANGUAGE c VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'counted_since_wrapper';

-- The rows for the rollup of the same name, in the order of its index.
CREATE FUNCTION eventlog_private.counted_hourly_counts() RETURNS TABLE (
    tenant_id uuid, hour timestamptz, name text, events bigint, weighted_events double precision, failures
    double precision, successes double precision, duration_count double precision, duration_sum double
    precision, duration_histogram double precision[])
LANGUAGE c VOLATILE PARALLEL RESTRICTED ROWS 10000000
AS 'MODULE_PATHNAME', 'counted_hourly_counts_wrapper';

CREATE FUNCTION eventlog_private.counted_daily_counts() RETURNS TABLE (
    tenant_id uuid, day date, name text, events bigint, weighted_events double precision, failures double
    precision, successes double precision, duration_count double precision, duration_sum double precision,
    duration_histogram double precision[])
LANGUAGE c VOLATILE PARALLEL RESTRICTED ROWS 10000000
AS 'MODULE_PATHNAME', 'counted_daily_counts_wrapper';

CREATE FUNCTION eventlog_private.counted_daily_subjects() RETURNS TABLE (
    tenant_id uuid, day date, name text, subject text, events bigint, weighted_events double precision,
    failures double precision, successes double precision, duration_count double precision, duration_sum
    double precision, duration_histogram double precision[], first_at timestamptz, last_at timestamptz)
LANGUAGE c VOLATILE PARALLEL RESTRICTED ROWS 10000000
AS 'MODULE_PATHNAME', 'counted_daily_subjects_wrapper';

CREATE FUNCTION eventlog_private.counted_monthly_actors() RETURNS TABLE (
    tenant_id uuid, month date, name text, actor text, days integer, quarters bytea)
LANGUAGE c VOLATILE PARALLEL RESTRICTED ROWS 10000000
AS 'MODULE_PATHNAME', 'counted_monthly_actors_wrapper';

CREATE FUNCTION eventlog_private.counted_first_events() RETURNS TABLE (
    tenant_id uuid, name text, actor text, first_at timestamptz)
LANGUAGE c VOLATILE PARALLEL RESTRICTED ROWS 10000000
AS 'MODULE_PATHNAME', 'counted_first_events_wrapper';

CREATE FUNCTION eventlog_private.counted_hourly_keys() RETURNS TABLE (
    tenant_id uuid, hour timestamptz, name text, key text, value text, events bigint, weighted_events double
    precision, failures double precision, successes double precision, duration_count double precision,
    duration_sum double precision, duration_histogram double precision[])
LANGUAGE c VOLATILE PARALLEL RESTRICTED ROWS 10000000
AS 'MODULE_PATHNAME', 'counted_hourly_keys_wrapper';

CREATE FUNCTION eventlog_private.counted_daily_keys() RETURNS TABLE (
    tenant_id uuid, day date, name text, key text, value text, events bigint, weighted_events double
    precision, failures double precision, successes double precision, duration_count double precision,
    duration_sum double precision, duration_histogram double precision[])
LANGUAGE c VOLATILE PARALLEL RESTRICTED ROWS 10000000
AS 'MODULE_PATHNAME', 'counted_daily_keys_wrapper';

CREATE FUNCTION eventlog_private.counted_monthly_key_actors() RETURNS TABLE (
    tenant_id uuid, key text, value text, name text, month date, actor text, days integer, quarters bytea)
LANGUAGE c VOLATILE PARALLEL RESTRICTED ROWS 10000000
AS 'MODULE_PATHNAME', 'counted_monthly_key_actors_wrapper';

-- The quarter-hours of a month in UTC: bytea of two bytes each, big-endian, ascending and unique
-- (extension/src/report/quarters.rs). Days of every time zone begin and end with a quarter-hour of UTC.
CREATE FUNCTION eventlog._quarters_union(a bytea, b bytea) RETURNS bytea
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'quarters_union_wrapper';

CREATE FUNCTION eventlog_private.quarters_before(quarters bytea, quarter integer) RETURNS bytea
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'quarters_before_wrapper';

CREATE FUNCTION eventlog_private.quarters_step(state internal, at timestamptz) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'quarters_step_wrapper';

CREATE FUNCTION eventlog_private.quarters_final(state internal) RETURNS bytea
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'quarters_final_wrapper';

-- Collects the quarter-hours of instants of one month.
CREATE AGGREGATE eventlog._quarters(at timestamptz) (
    SFUNC = eventlog_private.quarters_step,
    STYPE = internal,
    FINALFUNC = eventlog_private.quarters_final
);
