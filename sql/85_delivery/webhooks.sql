-- Webhooks: creating and managing them. `eventlog deliver` sends (webhook_leases.sql, webhook_notes.sql).
--
-- The first argument of each door is the tenant whose webhooks the call is about: all_tenants() for the log's
-- owner and services, the caller's own for roles of grant_webhooks().

-- Returns the tenant whose webhooks the caller manages.
CREATE FUNCTION eventlog._managed_tenant() RETURNS uuid
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM eventlog._require_layout(2);
    RETURN CASE WHEN has_column_privilege('eventlog.log_config', 'service_roles', 'REFERENCES') THEN eventlog.all_tenants()
                ELSE eventlog.current_tenant() END;
END
$$;

-- Raises 22023 for a URL that no webhook may have. The deliverer looks at every address again when it sends,
-- and at those that a name stands for; this is so that a mistake is found where it is made.
CREATE FUNCTION eventlog_private.check_webhook_url(url text, may_be_private boolean) RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    parts   constant text[] := regexp_match(url, '^(?:https?)://([^/?#]*)([^#]*)$', 'i');
    host    text;
    address inet;
    fault   text;
BEGIN
    IF url IS NULL THEN
        RAISE EXCEPTION 'url must not be null' USING ERRCODE = 'null_value_not_allowed';
    ELSIF octet_length(url) > 2000 THEN
        fault := format('must have at most 2000 bytes, got %s', octet_length(url));
    ELSIF url ~ '[^!-~]' OR url ~ '\\' THEN
        fault := 'must not have spaces, backslashes or characters outside ASCII';
    ELSIF parts IS NULL THEN
        fault := 'must begin with https:// or http:// and have no fragment';
    ELSIF strpos(parts[1], '@') > 0 THEN
        fault := 'must not have a user or password';
    ELSE
        host := lower((regexp_match(parts[1], '^(\[[0-9a-fA-F:.]+\]|[^:]+)(?::[0-9]{1,5})?$'))[1]);
        IF host IS NULL THEN
            fault := 'must have a host, and a port that is a number';
        ELSIF host ~ '^[0-9.]+$' AND host !~ '^([0-9]{1,3}\.){3}[0-9]{1,3}$' OR host ~ '^0x' THEN
            fault := 'must have an IPv4 address of four decimal numbers';
        ELSIF host ~ '^[0-9.]+$' OR host LIKE '[%' THEN
            BEGIN
                address := trim(host, '[]')::inet;
            EXCEPTION WHEN data_exception THEN
                fault := 'must have a valid address';
            END;
        END IF;
    END IF;
    IF fault IS NULL AND NOT may_be_private
       AND (host ~ '(^|\.)localhost\.?$'
            OR address <<= ANY ('{0.0.0.0/8,10.0.0.0/8,100.64.0.0/10,127.0.0.0/8,169.254.0.0/16,172.16.0.0/12,192.0.0.0/24,192.168.0.0/16,198.18.0.0/15,224.0.0.0/3,::/96,::ffff:0:0/96,64:ff9b::/96,fc00::/7,fe80::/10,ff00::/8}'::inet[])) THEN
        fault := 'must not have a private or link-local address';
    END IF;
    IF fault IS NOT NULL THEN
        RAISE EXCEPTION 'the URL of a webhook %', fault
            USING ERRCODE = 'invalid_parameter_value', HINT = 'such as ''https://example.com/hooks/eventlog''';
    END IF;
END
$$;

-- Returns a new secret: 32 bytes from more than 256 bits of the server's strong random numbers.
CREATE FUNCTION eventlog_private.new_webhook_secret() RETURNS text
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT 'whsec_' || encode(sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())), 'base64')
$$;

CREATE FUNCTION eventlog_private.add_webhook(tenant uuid, url text, names text[], with_alerts boolean, start text,
                                             may_be_private boolean, OUT webhook_id uuid, OUT secret text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    most_webhooks constant integer := 20;
    after_id      bigint;
BEGIN
    -- No names at all is for alerts alone.
    after_id := eventlog_private.check_consumer('webhook', CASE WHEN NOT (with_alerts AND names = '{}') THEN names END, start);
    PERFORM eventlog_private.check_webhook_url(url, coalesce(may_be_private, false));
    IF with_alerts IS NULL THEN
        RAISE EXCEPTION 'with_alerts must not be null' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    secret := eventlog_private.new_webhook_secret();
    INSERT INTO eventlog.webhooks AS w (tenant_id, url, names, with_alerts, delivered_id, alert_delivered_id)
    VALUES (tenant, url, names, with_alerts, after_id,
            CASE WHEN start = 'beginning' THEN 0 ELSE (SELECT coalesce(max(c.id), 0) FROM eventlog.alert_changes c) END)
    RETURNING w.webhook_id INTO webhook_id;
    INSERT INTO eventlog.webhook_secrets (webhook_id, tenant_id, secrets) VALUES (webhook_id, tenant, ARRAY[secret]);
    IF tenant <> eventlog.all_tenants() AND (SELECT count(*) FROM eventlog.webhooks w WHERE w.tenant_id = tenant) > most_webhooks THEN
        RAISE EXCEPTION 'a tenant can have % webhooks', most_webhooks
            USING ERRCODE = 'program_limit_exceeded', HINT = 'SELECT * FROM eventlog.stat_webhooks;';
    END IF;
END
$$;

-- Locks a webhook of this tenant for a change, and takes it from its deliverer, which looks at it again within
-- a second. Raises 42704 if there is none.
CREATE FUNCTION eventlog_private.lock_webhook(tenant uuid, webhook_id uuid, OUT of_tenant uuid, OUT names text[], OUT delivered_id bigint)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    UPDATE eventlog.webhooks w SET leased_by = NULL
     WHERE w.webhook_id = webhook_id AND eventlog._is_tenant(tenant, w.tenant_id)
    RETURNING w.tenant_id, w.names, w.delivered_id INTO of_tenant, names, delivered_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'unknown webhook %', coalesce(webhook_id::text, 'null')
            USING ERRCODE = 'undefined_object', HINT = 'SELECT webhook_id, url FROM eventlog.stat_webhooks;';
    END IF;
END
$$;

CREATE FUNCTION eventlog_private.remove_webhook(tenant uuid, webhook_id uuid) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    PERFORM eventlog_private.lock_webhook(tenant, webhook_id);
    DELETE FROM eventlog.consumer_losses l WHERE l.consumer = 'webhook ' || webhook_id;
    DELETE FROM eventlog.webhook_retries r WHERE r.webhook_id = webhook_id;
    DELETE FROM eventlog.webhook_deliveries d WHERE d.webhook_id = webhook_id;
    DELETE FROM eventlog.webhook_secrets s WHERE s.webhook_id = webhook_id;
    DELETE FROM eventlog.webhooks w WHERE w.webhook_id = webhook_id;
END
$$;

-- Disables a webhook, or enables it again where it stood: what failed is sent again at once.
CREATE FUNCTION eventlog_private.switch_webhook(tenant uuid, webhook_id uuid, is_enabled boolean) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    PERFORM eventlog_private.lock_webhook(tenant, webhook_id);
    UPDATE eventlog.webhooks w SET is_enabled = is_enabled, disabled_reason = NULL WHERE w.webhook_id = webhook_id;
    IF is_enabled THEN
        UPDATE eventlog.webhooks w SET failures = 0, failing_since = NULL, next_attempt_at = NULL WHERE w.webhook_id = webhook_id;
        UPDATE eventlog.webhook_retries r SET next_attempt_at = clock_timestamp()
         WHERE r.webhook_id = webhook_id AND r.next_attempt_at IS NOT NULL;
    END IF;
END
$$;

CREATE FUNCTION eventlog_private.rotate_secret(tenant uuid, webhook_id uuid, keep_old_for interval) RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    most_secrets constant integer := 3;
    secret       constant text    := eventlog_private.new_webhook_secret();
BEGIN
    IF keep_old_for IS NULL OR keep_old_for < '0'::interval OR keep_old_for > interval '30 days' THEN
        RAISE EXCEPTION 'keep_old_for must be from 0 to 30 days, got %', coalesce(keep_old_for::text, 'null')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'such as ''24 hours''';
    END IF;
    PERFORM eventlog_private.lock_webhook(tenant, webhook_id);
    UPDATE eventlog.webhook_secrets s
       SET secrets = CASE WHEN keep_old_for = '0'::interval THEN ARRAY[secret]
                          -- Old ones whose time is over do not come back.
                          ELSE secret || CASE WHEN s.old_secrets_until > now() THEN s.secrets[1:most_secrets - 1] ELSE s.secrets[1:1] END END,
           old_secrets_until = now() + keep_old_for
     WHERE s.webhook_id = webhook_id;
    IF NOT FOUND THEN
        -- A dump may have left the secrets out.
        INSERT INTO eventlog.webhook_secrets (webhook_id, tenant_id, secrets)
        SELECT w.webhook_id, w.tenant_id, ARRAY[secret] FROM eventlog.webhooks w WHERE w.webhook_id = webhook_id;
    END IF;
    RETURN secret;
END
$$;

-- Goes back to a time or an id, or sends again what was given up. Returns how many events are behind the
-- point, or how many had been given up.
CREATE FUNCTION eventlog_private.replay_webhook(tenant uuid, webhook_id uuid, since timestamptz, after_id bigint, failed boolean) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    webhook record;
    replays bigint := 0;
BEGIN
    IF (since IS NOT NULL)::integer + (after_id IS NOT NULL)::integer + coalesce(failed, false)::integer <> 1 THEN
        RAISE EXCEPTION 'replay_webhook needs one of since, after_id and failed'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'such as since => now() - interval ''1 hour''';
    ELSIF NOT isfinite(since) OR after_id < 0 THEN
        RAISE EXCEPTION 'since must be a time, and after_id an id' USING ERRCODE = 'invalid_parameter_value',
              HINT = 'from the beginning of the log: after_id => 0';
    END IF;
    SELECT l.* INTO webhook FROM eventlog_private.lock_webhook(tenant, webhook_id) l;
    IF failed THEN
        UPDATE eventlog.webhook_retries r SET attempts = 0, next_attempt_at = clock_timestamp()
         WHERE r.webhook_id = webhook_id AND r.next_attempt_at IS NULL;
        GET DIAGNOSTICS replays = ROW_COUNT;
        RETURN replays;
    END IF;
    IF since IS NOT NULL THEN
        after_id := (SELECT min(e.id) - 1 FROM eventlog.events e WHERE e.created_at >= since);
    END IF;
    IF after_id >= webhook.delivered_id OR after_id IS NULL THEN
        RETURN 0;
    END IF;
    UPDATE eventlog.webhooks w SET delivered_id = after_id WHERE w.webhook_id = webhook_id;
    -- They come again in their order.
    DELETE FROM eventlog.webhook_retries r WHERE r.webhook_id = webhook_id AND r.event_id > after_id AND NOT r.is_alert;
    RETURN (SELECT count(*) FROM eventlog.events e
             WHERE e.id > after_id AND e.id <= webhook.delivered_id AND eventlog._is_tenant(webhook.of_tenant, e.tenant_id)
               AND (webhook.names IS NULL OR e.name = ANY (webhook.names)));
END
$$;

CREATE FUNCTION eventlog._add_webhook(tenant uuid, url text, names text[], with_alerts boolean, start text,
                                      may_be_private boolean, OUT webhook_id uuid, OUT secret text)
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'as_manager_wrapper';

CREATE FUNCTION eventlog._remove_webhook(tenant uuid, webhook_id uuid) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'as_manager_wrapper';

CREATE FUNCTION eventlog._switch_webhook(tenant uuid, webhook_id uuid, is_enabled boolean) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'as_manager_wrapper';

CREATE FUNCTION eventlog._rotate_secret(tenant uuid, webhook_id uuid, keep_old_for interval) RETURNS text
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'as_manager_wrapper';

CREATE FUNCTION eventlog._replay_webhook(tenant uuid, webhook_id uuid, since timestamptz, after_id bigint, failed boolean) RETURNS bigint
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'as_manager_wrapper';

CREATE FUNCTION eventlog.create_webhook(tenant_id uuid, url text, names text[] DEFAULT NULL, with_alerts boolean DEFAULT false,
                                        start text DEFAULT 'now', OUT webhook_id uuid, OUT secret text)
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    -- Who runs the log may send within its own network, if the deliverer is allowed to.
    SELECT w.* FROM eventlog._add_webhook(coalesce(create_webhook.tenant_id, eventlog.current_tenant()), url, names, with_alerts, start,
                                          eventlog._managed_tenant() = eventlog.all_tenants()) w
$$;

COMMENT ON FUNCTION eventlog.create_webhook(uuid, text, text[], boolean, text) IS
'Creates a webhook: eventlog deliver sends every event of the tenant (null: the connection''s; all_tenants() for the log''s owner and services) to the URL, signed with the secret that is returned and never shown again. names limits it to events of these names, with_alerts adds the tenant''s alerts (with names => ''{}'' it gets nothing else). start as in create_consumer(), by default from now on. A tenant can have 20.';

CREATE FUNCTION eventlog.drop_webhook(webhook_id uuid) RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT eventlog._remove_webhook(eventlog._managed_tenant(), webhook_id) $$;

COMMENT ON FUNCTION eventlog.drop_webhook(uuid) IS
'Drops a webhook with its secrets, retries and log of deliveries. Unknown: 42704.';

CREATE FUNCTION eventlog.disable_webhook(webhook_id uuid) RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT eventlog._switch_webhook(eventlog._managed_tenant(), webhook_id, false) $$;

COMMENT ON FUNCTION eventlog.disable_webhook(uuid) IS
'Sends nothing more to a webhook until enable_webhook().';

CREATE FUNCTION eventlog.enable_webhook(webhook_id uuid) RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT eventlog._switch_webhook(eventlog._managed_tenant(), webhook_id, true) $$;

COMMENT ON FUNCTION eventlog.enable_webhook(uuid) IS
'Enables a webhook that was disabled or put aside, and goes on where it stood: nothing is skipped.';

CREATE FUNCTION eventlog.rotate_secret(webhook_id uuid, keep_old_for interval DEFAULT '24 hours') RETURNS text
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT eventlog._rotate_secret(eventlog._managed_tenant(), webhook_id, keep_old_for) $$;

COMMENT ON FUNCTION eventlog.rotate_secret(uuid, interval) IS
'Gives a webhook a new secret and returns it. For this long (default 24 hours, at most 30 days) messages are signed with the old one too.';

CREATE FUNCTION eventlog.replay_webhook(webhook_id uuid, since timestamptz DEFAULT NULL, after_id bigint DEFAULT NULL,
                                        failed boolean DEFAULT false) RETURNS bigint
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT eventlog._replay_webhook(eventlog._managed_tenant(), webhook_id, since, after_id, failed) $$;

COMMENT ON FUNCTION eventlog.replay_webhook(uuid, timestamptz, bigint, boolean) IS
'Sends events to a webhook again: all that were logged since a time, all with an id above after_id, or with failed => true those that were given up after the last attempt. Returns how many it had got before, or how many had been given up. Receivers tell repeated ones by webhook-id.';
