-- Functions of the library for seals (extension/src/seal/), and the aggregates over them: hashes, the pass that
-- seals, the pass that verifies, and letting events go.

-- Returns the digest of an event: SHA-256 of its canonical form.
CREATE FUNCTION eventlog._event_digest(id bigint, tenant_id uuid, name text, data jsonb, actor text, subject text,
                                       occurred_at timestamptz, created_at timestamptz, weight real) RETURNS bytea
LANGUAGE c IMMUTABLE PARALLEL SAFE COST 100
AS 'MODULE_PATHNAME', 'event_digest_wrapper';

CREATE FUNCTION eventlog._seal_hash(tenant_id uuid, number bigint, day date, part integer, events bigint, root bytea,
                                    previous bytea) RETURNS bytea
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'seal_hash_wrapper';

CREATE FUNCTION eventlog._receipt_hash(tenant_id uuid, id bigint, first_day date, last_day date, events bigint, call text,
                                       role_name text, at timestamptz) RETURNS bytea
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'receipt_hash_wrapper';

CREATE FUNCTION eventlog._day_digest(number bigint, day date, root bytea, previous bytea) RETURNS bytea
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'day_digest_wrapper';

-- Returns the root of the Merkle tree over hashes.
CREATE FUNCTION eventlog._tree_root(leaves bytea[]) RETURNS bytea
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'tree_root_wrapper';

-- Returns the steps from a leaf, counted from 1, to the root, as JSON.
CREATE FUNCTION eventlog._tree_path(leaves bytea[], place bigint) RETURNS text
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'tree_path_wrapper';

-- Returns the events of a list of a supplement's block.
CREATE FUNCTION eventlog._seal_keys(keys bytea) RETURNS TABLE (created_at timestamptz, id bigint)
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE ROWS 256
AS 'MODULE_PATHNAME', 'seal_keys_wrapper';

-- Seals events, which must come in the order of tenant, day, name (by bytes), created_at and id; keeps what it
-- made until the transaction ends, and returns the number of events.
CREATE FUNCTION eventlog_private.seal_step(state internal, tenant_id uuid, day date, is_supplement boolean, name text,
                                           created_at timestamptz, id bigint, digest bytea) RETURNS internal
LANGUAGE c VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'seal_step_wrapper';

CREATE FUNCTION eventlog_private.seal_final(state internal) RETURNS bigint
LANGUAGE c VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'seal_final_wrapper';

CREATE AGGREGATE eventlog_private.seal_events(tenant_id uuid, day date, is_supplement boolean, name text, created_at timestamptz,
                                              id bigint, digest bytea) (
    SFUNC = eventlog_private.seal_step,
    STYPE = internal,
    FINALFUNC = eventlog_private.seal_final,
    FINALFUNC_MODIFY = READ_WRITE,
    PARALLEL = RESTRICTED
);

CREATE FUNCTION eventlog_private.sealed_seals() RETURNS TABLE (tenant_id uuid, day date, events bigint, root bytea)
LANGUAGE c VOLATILE PARALLEL RESTRICTED ROWS 1000
AS 'MODULE_PATHNAME', 'sealed_seals_wrapper';

CREATE FUNCTION eventlog_private.sealed_blocks() RETURNS TABLE (
    tenant_id uuid, day date, block integer, events integer, first_name text, first_at timestamptz, first_id bigint,
    lowest_id bigint, highest_id bigint, hash bytea, seeds bytea, keys bytea)
LANGUAGE c VOLATILE PARALLEL RESTRICTED ROWS 1000
AS 'MODULE_PATHNAME', 'sealed_blocks_wrapper';

-- Checks seals; _check_seals() in sql/75_seals/verify.sql says in which order what must come.
CREATE FUNCTION eventlog._check_step(state internal, kind integer, tenant_id uuid, day date, part integer, name text,
                                     created_at timestamptz, id bigint, hash bytea, events bigint, gone bigint, previous_or_seeds bytea,
                                     gone_slots bytea, gone_hashes bytea, keys bytea, first_name text, first_at timestamptz,
                                     first_id bigint, lowest_id bigint, highest_id bigint)
RETURNS internal
LANGUAGE c VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'check_step_wrapper';

CREATE FUNCTION eventlog._check_final(state internal) RETURNS bigint
LANGUAGE c VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'check_final_wrapper';

CREATE AGGREGATE eventlog._check_events(kind integer, tenant_id uuid, day date, part integer, name text, created_at timestamptz, id bigint,
                                        hash bytea, events bigint, gone bigint, previous_or_seeds bytea, gone_slots bytea,
                                        gone_hashes bytea, keys bytea, first_name text, first_at timestamptz, first_id bigint,
                                        lowest_id bigint, highest_id bigint) (
    SFUNC = eventlog._check_step,
    STYPE = internal,
    FINALFUNC = eventlog._check_final,
    FINALFUNC_MODIFY = READ_WRITE,
    PARALLEL = RESTRICTED
);

CREATE FUNCTION eventlog._checked_seals() RETURNS TABLE (
    tenant_id uuid, day date, part integer, number bigint, events bigint, gone bigint, differs text)
LANGUAGE c VOLATILE PARALLEL RESTRICTED ROWS 1000
AS 'MODULE_PATHNAME', 'checked_seals_wrapper';

-- Collects sealed events that are being deleted, and returns their number; let_collected_go() then changes the
-- blocks that they were in, and returns how many events of each tenant's day were in a seal.
CREATE FUNCTION eventlog_private.collect_step(state internal, tenant_id uuid, day date, name text, created_at timestamptz,
                                              id bigint, digest bytea) RETURNS internal
LANGUAGE c VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'collect_step_wrapper';

CREATE FUNCTION eventlog_private.collect_final(state internal) RETURNS bigint
LANGUAGE c VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'collect_final_wrapper';

CREATE AGGREGATE eventlog_private.collect_gone(tenant_id uuid, day date, name text, created_at timestamptz, id bigint,
                                               digest bytea) (
    SFUNC = eventlog_private.collect_step,
    STYPE = internal,
    FINALFUNC = eventlog_private.collect_final,
    FINALFUNC_MODIFY = READ_WRITE,
    PARALLEL = RESTRICTED
);

CREATE FUNCTION eventlog_private.let_collected_go() RETURNS TABLE (tenant_id uuid, day date, events bigint)
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'let_collected_go_wrapper';

-- Lists the events of each block of a tenant's day, as a supplement has them.
CREATE FUNCTION eventlog_private.list_events_of_seals(tenant_id uuid, day date) RETURNS void
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'list_events_of_seals_wrapper';

-- Returns part, salt and steps of a sealed event as JSON; null if no seal has it.
CREATE FUNCTION eventlog._event_path(tenant_id uuid, day date, name text, created_at timestamptz, id bigint) RETURNS text
LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'event_path_wrapper';
