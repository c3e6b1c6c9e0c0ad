-- The starter taxonomy: names that a SaaS product logs sooner or later. create_log() loads it, all
-- of it or the domains it is told; afterwards the rows are the log's own, to change and to retire.

CREATE FUNCTION eventlog_private.starter_taxonomy() RETURNS TABLE (
    name             text,
    domain           text,
    description      text,
    required_keys    text[],
    optional_keys    text[],
    allowed_values   jsonb,
    subject_keys     text[],
    duration_key     text,
    success_key      text,
    success_values   text[],
    error_key        text,
    occurred_at_key  text,
    default_values   jsonb,
    default_when_key text,
    sample_key       text,
    path_keys        text[],
    count_subjects   boolean
)
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT v.name, v.domain, v.description, v.required_keys::text[], v.optional_keys::text[],
           v.allowed_values::jsonb, v.subject_keys::text[], v.duration_key, v.success_key,
           -- A conflict is no success, nor is what somebody gave up.
           CASE v.domain WHEN 'artifacts' THEN '{success}' ELSE '{}' END::text[], v.error_key,
           -- A hook tells its own clock, and that it was a hook.
           CASE v.name WHEN 'tool_used' THEN 'clientTimestamp' END,
           CASE v.name WHEN 'tool_used' THEN jsonb '{"source": "hook"}' ELSE '{}' END,
           CASE v.name WHEN 'tool_used' THEN 'hookEvent' END,
           -- Where somebody sets a rate, conversations stay whole.
           CASE v.name WHEN 'message_sent' THEN 'conversationId' END,
           -- A path below a home folder names its owner.
           CASE v.domain WHEN 'artifacts' THEN '{projectPath}' ELSE '{}' END::text[],
           -- A conversation has few events: counted one by one, counts would be as many as events.
           v.name NOT IN ('conversation_started', 'message_sent', 'escalation_triggered')
      FROM (VALUES
        ('conversation_started',   'conversation', 'A conversation began.',
         '{sessionId,conversationId}', '{}', '{}', '{conversationId}', NULL, NULL, NULL),
        ('message_sent',           'conversation', 'A message was sent in a conversation.',
         '{conversationId,role}', '{confidence}', '{"role": ["user", "assistant"]}', '{conversationId}', NULL, NULL, NULL),
        ('escalation_triggered',   'escalation',   'A conversation was handed to a person.',
         '{conversationId,reason}', '{integrationId}', '{}', '{conversationId}', NULL, NULL, NULL),
        ('plan_updated',           'billing',      'A subscription changed its plan or status.',
         '{previousPlan,newPlan,status}', '{}', '{}', '{}', NULL, NULL, NULL),
        ('checkout_completed',     'billing',      'A checkout was paid.',
         '{plan,stripeSessionId}', '{}', '{}', '{}', NULL, NULL, NULL),
        ('ingest_started',         'ingestion',    'Ingestion of a source began.',
         '{sourceType,url}', '{}', '{}', '{sourceType}', NULL, NULL, NULL),
        ('ingest_completed',       'ingestion',    'Ingestion of a source ended well.',
         '{sourceType,url,docs,chunks}', '{}', '{}', '{sourceType}', NULL, NULL, NULL),
        ('ingest_failed',          'ingestion',    'Ingestion of a source failed.',
         '{sourceType,url,errorCode}', '{}', '{}', '{sourceType}', NULL, NULL, 'errorCode'),
        ('integration_failed',     'integrations', 'A call of an integration failed.',
         '{integrationId,type,errorCode}', '{}', '{}', '{type,integrationId}', NULL, NULL, 'errorCode'),
        ('integration_succeeded',  'integrations', 'A call of an integration went well.',
         '{integrationId,type}', '{}', '{}', '{type,integrationId}', NULL, NULL, NULL),
        ('quota_exceeded',         'limits',       'A tenant tried to use more than its quota.',
         '{quotaType,limit,attempted}', '{}', '{}', '{quotaType}', NULL, NULL, NULL),
        ('tool_used',              'usage',        'A tool was used, as told by a hook callback.',
         '{toolName}', '{skillId,skillName,hookEvent,source,clientTimestamp,metadata}', '{}', '{toolName}', NULL, NULL, NULL),
        ('skill_executed',         'usage',        'A skill ran to its end.',
         '{skillName,success,durationMs}', '{errorType,errorMessage,metadata}', '{"success": [true, false]}', '{skillName}', 'durationMs', 'success', 'errorType'),
        ('artifact_deployed',      'artifacts',    'An artifact was deployed.',
         '{artifactName,artifactType}', '{collectionName,projectPath,result,success,conflicts,metadata}',
         '{"artifactType": ["skill", "command", "agent"], "result": ["success", "conflict", "error", "cancelled"]}',
         '{artifactType,artifactName}', NULL, 'result', NULL),
        ('artifact_updated',       'artifacts',    'An artifact was updated.',
         '{artifactName,artifactType}', '{collectionName,projectPath,result,success,conflicts,metadata}',
         '{"artifactType": ["skill", "command", "agent"], "result": ["success", "conflict", "error", "cancelled"]}',
         '{artifactType,artifactName}', NULL, 'result', NULL),
        ('artifact_synced',        'artifacts',    'An artifact was synchronised.',
         '{artifactName,artifactType}', '{collectionName,projectPath,result,success,conflicts,metadata}',
         '{"artifactType": ["skill", "command", "agent"], "result": ["success", "conflict", "error", "cancelled"]}',
         '{artifactType,artifactName}', NULL, 'result', NULL),
        ('artifact_removed',       'artifacts',    'An artifact was removed.',
         '{artifactName,artifactType}', '{collectionName,projectPath,result,success,conflicts,metadata}',
         '{"artifactType": ["skill", "command", "agent"], "result": ["success", "conflict", "error", "cancelled"]}',
         '{artifactType,artifactName}', NULL, 'result', NULL),
        ('artifact_searched',      'artifacts',    'An artifact was among the first five results of a search.',
         '{artifactName,artifactType}', '{collectionName,projectPath,result,success,conflicts,metadata}',
         '{"artifactType": ["skill", "command", "agent"], "result": ["success", "conflict", "error", "cancelled"]}',
         '{artifactType,artifactName}', NULL, 'result', NULL)
      ) AS v (name, domain, description, required_keys, optional_keys, allowed_values, subject_keys,
              duration_key, success_key, error_key)
$$;

-- Loads the domains given, all of them for null; rows that are there stay as they are.
CREATE FUNCTION eventlog_private.load_taxonomy(taxonomies text[]) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    unknown text := (SELECT string_agg(format('"%s"', t), ', ')
                       FROM unnest(taxonomies) AS t
                      WHERE t IS NULL OR t NOT IN (SELECT domain FROM eventlog_private.starter_taxonomy()));
BEGIN
    IF unknown IS NOT NULL THEN
        RAISE EXCEPTION 'unknown taxonomy %', unknown
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = format('there are: %s', (SELECT string_agg(DISTINCT domain, ', ' ORDER BY domain)
                                                    FROM eventlog_private.starter_taxonomy()));
    END IF;
    INSERT INTO eventlog.event_types (name, domain, description, required_keys, optional_keys,
            allowed_values, subject_keys, duration_key, success_key, success_values, error_key, occurred_at_key,
            default_values, default_when_key, sample_key, path_keys, count_subjects)
    SELECT name, domain, description, required_keys, optional_keys,
           allowed_values, subject_keys, duration_key, success_key, success_values, error_key, occurred_at_key,
           default_values, default_when_key, sample_key, path_keys, count_subjects
      FROM eventlog_private.starter_taxonomy()
     WHERE taxonomies IS NULL OR domain = ANY (taxonomies)
    ON CONFLICT ON CONSTRAINT event_types_pkey DO NOTHING;
END
$$;
