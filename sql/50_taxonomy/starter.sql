-- The starter taxonomy: event types that most SaaS products log sooner or later. create_log() loads all
-- of it, or the domains that it is given. From then on the rows are the log's own, to change and to retire.

CREATE FUNCTION eventlog_private.starter_taxonomy() RETURNS TABLE (name text, domain text, rules jsonb)
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT v.name, v.domain, jsonb_build_object(
           'domain', v.domain, 'description', v.description,
           'required_keys', v.required_keys::text[], 'optional_keys', v.optional_keys::text[],
           'allowed_values', v.allowed_values::jsonb, 'subject_keys', v.subject_keys::text[],
           'duration_key', v.duration_key, 'success_key', v.success_key, 'error_key', v.error_key,
           -- A conflict is not a success, nor is a deployment that somebody cancelled.
           'success_values', CASE v.domain WHEN 'artifacts' THEN '{success}' ELSE '{}' END::text[],
           -- A hook sends its own clock, and says that it is a hook.
           'occurred_at_key', CASE v.name WHEN 'tool_used' THEN 'clientTimestamp' END,
           'default_values', CASE v.name WHEN 'tool_used' THEN jsonb '{"source": "hook"}' ELSE '{}' END,
           'default_when_key', CASE v.name WHEN 'tool_used' THEN 'hookEvent' END,
           -- Sampling, where a rate is set, keeps or drops whole conversations.
           'sample_key', CASE v.name WHEN 'message_sent' THEN 'conversationId' END,
           -- A path below a home folder names its owner.
           'path_keys', CASE v.domain WHEN 'artifacts' THEN '{projectPath}' ELSE '{}' END::text[],
           -- A conversation has few events: with a count for each there would be as many counts as events.
           'count_subjects', v.name NOT IN ('conversation_started', 'message_sent', 'escalation_triggered'))
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

-- Loads the given domains, or all of them for null. Event types that exist stay as they are.
CREATE FUNCTION eventlog_private.load_taxonomy(taxonomies text[]) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    unknown text := (SELECT string_agg(format('"%s"', t), ', ')
                       FROM unnest(taxonomies) AS t
                      WHERE t IS NULL OR t NOT IN (SELECT s.domain FROM eventlog_private.starter_taxonomy() s));
BEGIN
    IF unknown IS NOT NULL THEN
        RAISE EXCEPTION 'unknown taxonomy %', unknown
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = format('known taxonomies: %s', (SELECT string_agg(DISTINCT s.domain, ', ' ORDER BY s.domain)
                                                           FROM eventlog_private.starter_taxonomy() s));
    END IF;
    PERFORM eventlog_private.write_event_type(s.name, s.rules, replaced => '{}')
       FROM eventlog_private.starter_taxonomy() s
      WHERE taxonomies IS NULL OR s.domain = ANY (taxonomies);
END
$$;
