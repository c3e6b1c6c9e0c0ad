-- Functions of the library for reports: histograms, presence, funnels and distinct actors, and the
-- aggregates over them.

CREATE FUNCTION eventlog_private.histogram_step(state internal, value double precision, weight double precision) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'histogram_step_wrapper';

CREATE FUNCTION eventlog_private.merge_histograms_step(state internal, histogram double precision[]) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'merge_histograms_step_wrapper';

CREATE FUNCTION eventlog_private.histogram_final(state internal) RETURNS double precision[]
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'histogram_final_wrapper';

-- Builds a histogram of values: pairs of a bucket and its weight.
CREATE AGGREGATE eventlog._histogram(value double precision, weight double precision) (
    SFUNC = eventlog_private.histogram_step,
    STYPE = internal,
    FINALFUNC = eventlog_private.histogram_final
);

CREATE AGGREGATE eventlog._merge_histograms(histogram double precision[]) (
    SFUNC = eventlog_private.merge_histograms_step,
    STYPE = internal,
    FINALFUNC = eventlog_private.histogram_final
);

CREATE FUNCTION eventlog_private.add_histograms(a double precision[], b double precision[]) RETURNS double precision[]
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'add_histograms_wrapper';

-- Returns the value below which a share (0 to 1) of a histogram lies, within 2 %.
CREATE FUNCTION eventlog._percentile(histogram double precision[], share double precision) RETURNS double precision
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'percentile_wrapper';

-- The days of a time zone on which actors were active, in the format of extension/src/report/presence.rs. A
-- row is a month of a rollup, or one instant.
CREATE FUNCTION eventlog_private.presence_step(state internal, actor text, month date, days integer, quarters bytea, at timestamptz,
                                        is_first boolean, is_returning boolean, first_day date, day_starts timestamptz[])
RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'presence_step_wrapper';

CREATE FUNCTION eventlog_private.presence_final(state internal) RETURNS bytea
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'presence_final_wrapper';

CREATE AGGREGATE eventlog._presence(actor text, month date, days integer, quarters bytea, at timestamptz, is_first boolean,
                                    is_returning boolean, first_day date, day_starts timestamptz[]) (
    SFUNC = eventlog_private.presence_step,
    STYPE = internal,
    FINALFUNC = eventlog_private.presence_final
);

CREATE FUNCTION eventlog._present_within(presence bytea, days_back integer, days integer) RETURNS integer[]
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'present_within_wrapper';

CREATE FUNCTION eventlog._retention_of(presence bytea, starts integer[]) RETURNS integer[]
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'retention_of_wrapper';

-- Goes through the events of a funnel; returns JSON (extension/src/report/funnel.rs).
CREATE FUNCTION eventlog_private.funnel_step(state internal, who text, steps_of_event integer, at timestamptz, id bigint,
                                      deadline timestamptz, value text, is_sampled boolean, steps integer, any_attempt boolean,
                                      top integer, step integer) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'funnel_step_wrapper';

CREATE FUNCTION eventlog_private.funnel_final(state internal) RETURNS text
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'funnel_final_wrapper';

CREATE AGGREGATE eventlog._funnel(who text, steps_of_event integer, at timestamptz, id bigint, deadline timestamptz, value text,
                                  is_sampled boolean, steps integer, any_attempt boolean, top integer, step integer) (
    SFUNC = eventlog_private.funnel_step,
    STYPE = internal,
    FINALFUNC = eventlog_private.funnel_final
);

CREATE FUNCTION eventlog_private.period_actors_step(state internal, actor text, month date, days integer, quarters bytea, at timestamptz,
                                             bounds timestamptz[]) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'period_actors_step_wrapper';

CREATE FUNCTION eventlog_private.period_actors_final(state internal) RETURNS bigint[]
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'period_actors_final_wrapper';

-- Counts the distinct actors of each period. A row is a month of a rollup (with quarters, or with days of UTC
-- alone) or one instant. `bounds` are the starts of the periods and the end of the last. Of quarters only those
-- count that lie wholly in the span.
CREATE AGGREGATE eventlog._period_actors(actor text, month date, days integer, quarters bytea, at timestamptz, bounds timestamptz[]) (
    SFUNC = eventlog_private.period_actors_step,
    STYPE = internal,
    FINALFUNC = eventlog_private.period_actors_final
);

-- Goes through the exposures of an experiment and the events of its metric; returns JSON
-- (extension/src/report/experiment.rs).
CREATE FUNCTION eventlog_private.experiment_step(state internal, who text, at timestamptz, variant text, deadline timestamptz,
                                          value double precision) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'experiment_step_wrapper';

CREATE FUNCTION eventlog_private.experiment_final(state internal) RETURNS text
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'experiment_final_wrapper';

CREATE AGGREGATE eventlog._experiment(who text, at timestamptz, variant text, deadline timestamptz, value double precision) (
    SFUNC = eventlog_private.experiment_step,
    STYPE = internal,
    FINALFUNC = eventlog_private.experiment_final
);

-- Compares two variants: {difference, low, high, p}, or null if there is no telling. Deviations are the sum of
-- the squared deviations from the mean.
CREATE FUNCTION eventlog._difference_of_means(control_actors bigint, control_mean double precision, control_deviations double precision,
                                              actors bigint, mean double precision, deviations double precision,
                                              confidence double precision) RETURNS double precision[]
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'difference_of_means_wrapper';

CREATE FUNCTION eventlog._difference_of_rates(control_actors bigint, control_converted bigint, actors bigint, converted bigint,
                                              confidence double precision) RETURNS double precision[]
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'difference_of_rates_wrapper';

-- Returns the p-value of counts against the ratios that they should have.
CREATE FUNCTION eventlog._mismatch_p(counts bigint[], ratios double precision[]) RETURNS double precision
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'mismatch_p_wrapper';
