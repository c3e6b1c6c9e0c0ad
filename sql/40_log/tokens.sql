-- What the gateway's role does to the log besides logging: it makes and ends sessions and share links
-- (api_tokens), and replays a tenant's rejected events. The doors run as the log's owner, for the owner and
-- for roles that may check keys, which is what marks a gateway.

-- The columns of the tables of keys that a gateway reads. The time of a key's last use is not recorded: that
-- would need a privilege to write.
CREATE FUNCTION eventlog_private.gateway_columns() RETURNS TABLE (table_name name, columns name[])
LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 2
SET search_path = pg_catalog, pg_temp
AS $$
    VALUES ('api_keys'::name, '{id,tenant_id,kind,event_names,secret_hash,rate_limit,description,expires_at,revoked_at,actor,no_actor,tenant_ids,can_replay}'::name[]),
           ('api_tokens', '{id,key_id,kind,secret_hash,tenant_id,scope,description,created_at,expires_at,revoked_at}')
$$;

-- The most tokens of a key, ended ones included, and how many of them may be share links that are still
-- good: a key always has room for sessions.
CREATE FUNCTION eventlog_private.most_tokens(kind text) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT CASE kind WHEN 'share' THEN 900 ELSE 1000 END $$;

-- Stores a session or share link, and returns when it expires: after this time, and no later than its key.
-- Makes room first: ended tokens of the key go, then its oldest sessions.
CREATE FUNCTION eventlog_private.create_token(id text, key_id text, kind text, secret_hash bytea, tenant_id uuid, scope jsonb,
                                              description text, expires_in interval) RETURNS timestamptz
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    key     eventlog.api_keys;
    excess  bigint;
    expires timestamptz;
BEGIN
    -- Two that come at the same time take turns, so that the limits hold.
    SELECT * INTO key FROM eventlog.api_keys k WHERE k.id = create_token.key_id FOR UPDATE;
    IF NOT FOUND OR key.kind <> 'read' OR key.revoked_at IS NOT NULL OR key.expires_at <= now() THEN
        RAISE EXCEPTION 'a token needs a valid key to read'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'eventlog key list';
    END IF;
    -- A key of all tenants has all_tenants() as its own.
    IF create_token.tenant_id <> key.tenant_id AND create_token.tenant_id <> ALL (coalesce(key.tenant_ids, '{}'))
       AND key.tenant_id <> eventlog.all_tenants() THEN
        RAISE EXCEPTION 'the key is of another tenant'
            USING ERRCODE = 'insufficient_privilege', HINT = 'eventlog key list';
    END IF;
    IF expires_in IS NULL OR expires_in <= '0'::interval OR expires_in > interval '366 days' THEN
        RAISE EXCEPTION 'expires_in must be positive and at most 366 days, got %', coalesce(expires_in::text, 'null')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'such as ''30 days''';
    END IF;
    IF create_token.kind = 'share'
       AND (SELECT count(*) FROM eventlog.api_tokens t
             WHERE t.key_id = key.id AND t.kind = 'share' AND t.revoked_at IS NULL AND t.expires_at > now())
           >= eventlog_private.most_tokens('share') THEN
        RAISE EXCEPTION 'the key has % share links, limit %', eventlog_private.most_tokens('share'), eventlog_private.most_tokens('share')
            USING ERRCODE = 'program_limit_exceeded', HINT = 'end those that nobody needs';
    END IF;
    excess := (SELECT count(*) FROM eventlog.api_tokens t WHERE t.key_id = key.id) + 1 - eventlog_private.most_tokens('session');
    IF excess > 0 THEN
        DELETE FROM eventlog.api_tokens t WHERE t.id IN (
            SELECT o.id FROM eventlog.api_tokens o
             WHERE o.key_id = key.id AND (o.kind = 'session' OR o.revoked_at IS NOT NULL OR o.expires_at <= now())
             ORDER BY o.revoked_at IS NULL AND o.expires_at > now(), o.created_at, o.id
             LIMIT excess);
    END IF;
    -- An interval of months depends on the zone; least() takes no notice of a null.
    expires := least(now() + expires_in, key.expires_at);
    INSERT INTO eventlog.api_tokens (id, key_id, kind, secret_hash, tenant_id, scope, description, expires_at)
    VALUES (create_token.id, key.id, create_token.kind, create_token.secret_hash, create_token.tenant_id, create_token.scope,
            left(create_token.description, 200), expires);
    RETURN expires;
END
$$;

CREATE FUNCTION eventlog._create_token(id text, key_id text, kind text, secret_hash bytea, tenant_id uuid, scope jsonb,
                                       description text, expires_in interval) RETURNS timestamptz
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'as_owner_for_gateway_wrapper';

-- Ends a session or share link of this key. Returns false if there is none. A session goes at once; a share
-- link stays for a while, so that it can say what happened to it.
CREATE FUNCTION eventlog_private.end_token(id text, key_id text) RETURNS boolean
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    DELETE FROM eventlog.api_tokens t WHERE t.id = end_token.id AND t.key_id = end_token.key_id AND t.kind = 'session';
    IF FOUND THEN
        RETURN true;
    END IF;
    UPDATE eventlog.api_tokens t SET revoked_at = coalesce(t.revoked_at, now())
     WHERE t.id = end_token.id AND t.key_id = end_token.key_id;
    RETURN FOUND;
END
$$;

CREATE FUNCTION eventlog._end_token(id text, key_id text) RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'as_owner_for_gateway_wrapper';
