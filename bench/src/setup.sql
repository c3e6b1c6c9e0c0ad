-- What the log is measured against, in a database that has one. Run by a superuser; everything
-- here belongs to the log's owner, and `member` may use it as it may use the log.
CREATE SCHEMA bench AUTHORIZATION log_owner;
GRANT USAGE ON SCHEMA bench TO member;
SET ROLE log_owner;

-- A twin of events: the same columns, indexes, partitions, policies and grants, and no guard.
CREATE PROCEDURE bench.make_twin(twin text) LANGUAGE plpgsql AS $$
DECLARE
    partition record;
BEGIN
    EXECUTE format('CREATE TABLE bench.%I (
                        LIKE eventlog.events INCLUDING DEFAULTS INCLUDING IDENTITY INCLUDING INDEXES
                    ) PARTITION BY RANGE (created_at)', twin);
    FOR partition IN
        SELECT c.relname, pg_get_expr(c.relpartbound, c.oid) AS bound
          FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
         WHERE i.inhparent = 'eventlog.events'::regclass
    LOOP
        EXECUTE format('CREATE TABLE bench.%I PARTITION OF bench.%I %s',
                       twin || '_' || partition.relname, twin, partition.bound);
    END LOOP;
    EXECUTE format('ALTER TABLE bench.%I ENABLE ROW LEVEL SECURITY', twin);
    EXECUTE format('CREATE POLICY tenant_select ON bench.%I FOR SELECT
                        USING (tenant_id = eventlog.current_tenant())', twin);
    EXECUTE format('CREATE POLICY tenant_insert ON bench.%I FOR INSERT
                        WITH CHECK (tenant_id = eventlog.current_tenant())', twin);
    EXECUTE format('GRANT SELECT, INSERT (tenant_id, name, data, occurred_at, actor, subject, weight)
                        ON bench.%I TO member', twin);
END
$$;

-- One for each contender that writes into a twin, so that no table grows faster than another.
CALL bench.make_twin('twin');
CALL bench.make_twin('twin_bare');
CALL bench.make_twin('twin_plpgsql');

CREATE TABLE bench.tenants (id uuid PRIMARY KEY DEFAULT gen_random_uuid());
INSERT INTO bench.tenants SELECT FROM generate_series(1, 100);

-- The table that applications keep their events in before they have a log.
CREATE TABLE bench.classic (
    id         bigserial   PRIMARY KEY,
    tenant_id  uuid        NOT NULL REFERENCES bench.tenants ON DELETE CASCADE,
    name       text        NOT NULL,
    data       jsonb       NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON bench.classic (tenant_id, created_at DESC);
CREATE INDEX ON bench.classic (tenant_id, name, created_at DESC);

CREATE TABLE bench.event_types AS SELECT name, required_keys, max_bytes FROM eventlog.event_types;
ALTER TABLE bench.event_types ADD PRIMARY KEY (name);
GRANT SELECT ON bench.event_types TO member;

-- log_event as one writes it by hand.
CREATE FUNCTION bench.log_event(p_tenant_id uuid, p_name text, p_data jsonb, p_subject text)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    event_type bench.event_types;
    stored     jsonb := jsonb_strip_nulls(p_data);
    new_id     bigint;
BEGIN
    SELECT * INTO event_type FROM bench.event_types WHERE name = p_name;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'unknown event name "%"', p_name USING ERRCODE = 'undefined_object';
    END IF;
    IF NOT stored ?& event_type.required_keys THEN
        RAISE EXCEPTION 'a required key is missing' USING ERRCODE = 'check_violation';
    END IF;
    IF pg_column_size(stored) > event_type.max_bytes THEN
        RAISE EXCEPTION 'payload is too large' USING ERRCODE = 'program_limit_exceeded';
    END IF;
    INSERT INTO bench.twin_plpgsql (tenant_id, name, data, subject)
    VALUES (p_tenant_id, p_name, stored, p_subject) RETURNING id INTO new_id;
    RETURN new_id;
END
$$;

-- Events to log: five names, a hundred tenants, payloads of about 200 bytes, and the subject that
-- log_event makes of each (it is given to the others, so that all store the same row).
CREATE TABLE bench.input (
    number    integer PRIMARY KEY,
    tenant_id uuid    NOT NULL,
    name      text    NOT NULL,
    data      jsonb   NOT NULL,
    subject   text
);
GRANT SELECT ON bench.input TO member;
INSERT INTO bench.input (number, tenant_id, name, data)
SELECT i, t.ids[1 + (hashint4(i) & 1048575) % 100], e.name, e.data
  FROM generate_series(0, 19999) AS i,
       (SELECT array_agg(id) AS ids FROM bench.tenants) AS t,
       LATERAL (SELECT md5(i::text) AS a, md5((i / 7)::text) AS b) AS m,
       LATERAL (VALUES
         (0, 'message_sent', jsonb_build_object('conversationId', b, 'role', (ARRAY['user', 'assistant'])[1 + i % 2],
             'messageId', a, 'channel', 'web', 'tokens', i % 800, 'confidence', (i % 100) / 100.0)),
         (1, 'skill_executed', jsonb_build_object('skillName', 'skill-' || i % 90, 'success', i % 9 > 0,
             'durationMs', i % 5000, 'sessionId', b, 'runId', a, 'model', 'large', 'attempt', 1)),
         (2, 'tool_used', jsonb_build_object('toolName', 'tool-' || i % 40, 'skillId', a, 'skillName', 'canvas design',
             'hookEvent', 'PostToolUse', 'source', 'hook', 'sessionId', b)),
         (3, 'conversation_started', jsonb_build_object('sessionId', a, 'conversationId', b, 'channel', 'widget',
             'locale', 'de-CH', 'referrer', 'https://example.com/pricing')),
         (4, 'artifact_deployed', jsonb_build_object('artifactName', 'artifact-' || i % 300, 'artifactType', 'skill',
             'collectionName', 'default', 'projectPath', '~/projects/' || left(a, 12), 'result', 'success', 'runId', b))
       ) AS e (kind, name, data)
 WHERE e.kind = i % 5;
UPDATE bench.input i
   SET subject = (SELECT string_agg(i.data ->> k.key, '/' ORDER BY k.place)
                    FROM eventlog.event_types t, unnest(t.subject_keys) WITH ORDINALITY AS k (key, place)
                   WHERE t.name = i.name);

RESET ROLE;
ANALYZE;
