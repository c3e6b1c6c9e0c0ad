-- The keys and indexes that create_log() makes, as the server writes them.
WITH key AS (
    SELECT r.table_name AS relation, r.table_name || CASE WHEN r.key LIKE 'PRIMARY %' THEN '_pkey' ELSE '_key' END AS name,
           r.key AS definition
      FROM eventlog_private.relations() r WHERE r.key IS NOT NULL
), index (relation, name, definition) AS (
    VALUES ('events', 'events_tenant_id_name_created_at_idx', 'btree (tenant_id, name, created_at DESC)'),
           ('events', 'events_tenant_id_created_at_idx', 'btree (tenant_id, created_at DESC)'),
           ('rejected_events', 'rejected_events_tenant_id_created_at_idx', 'btree (tenant_id, created_at DESC)'),
           ('hygiene_counts', 'hygiene_counts_tenant_id_created_at_idx', 'btree (tenant_id, created_at DESC)'),
           ('daily_counts', 'daily_counts_totals', 'btree (tenant_id, day) INCLUDE (weighted_events, failures, successes)'),
           ('api_tokens', 'api_tokens_key_id_created_at_idx', 'btree (key_id, created_at DESC)')
), keyed AS (
    SELECT k.*, c.oid AS relid, n.oid AS has, pg_get_constraintdef(n.oid) AS is_now
      FROM key k
      JOIN pg_class c ON c.oid = to_regclass(format('eventlog.%I', k.relation))
      LEFT JOIN pg_constraint n ON n.conrelid = c.oid AND n.conname = k.name
), indexed AS (
    SELECT i.*, c.oid AS relid, x.indexrelid AS has, x.indisvalid AS is_valid,
           regexp_replace(pg_get_indexdef(x.indexrelid), '^.* USING ', '') AS is_now
      FROM index i
      JOIN pg_class c ON c.oid = to_regclass(format('eventlog.%I', i.relation))
      LEFT JOIN pg_index x ON x.indrelid = c.oid AND x.indexrelid = to_regclass(format('eventlog.%I', i.name))
)
SELECT true,
       format(CASE WHEN k.has IS NULL THEN 'the key %s of %s is missing' ELSE 'the key %s of %s has other columns' END, k.name, k.relid::regclass),
       format('ALTER TABLE %s %s ADD CONSTRAINT %I %s;', k.relid::regclass,
              CASE WHEN k.has IS NOT NULL THEN format('DROP CONSTRAINT %I,', k.name) END, k.name, k.definition), 'owner'
  FROM keyed k
 WHERE k.is_now IS DISTINCT FROM k.definition
 UNION ALL
SELECT true,
       format(CASE WHEN i.has IS NULL THEN 'the index %s of %s is missing'
                   WHEN i.is_now <> i.definition THEN 'the index %s of %s has other columns'
                   ELSE 'the index %s is missing on a partition of %s' END, i.name, i.relid::regclass),
       CASE WHEN i.has IS NULL THEN '' ELSE format('DROP INDEX %s; ', i.has::regclass) END
       || 'SELECT eventlog.create_log();', 'owner'
  FROM indexed i
 WHERE i.has IS NULL OR i.is_now <> i.definition
    OR (NOT i.is_valid AND (SELECT c.relkind = 'I' FROM pg_class c WHERE c.oid = i.has))
 UNION ALL
SELECT true, format('the index %s is not valid', x.indexrelid::regclass),
       format(CASE WHEN x.indisprimary OR i.inhrelid IS NOT NULL OR x.indexrelid IN (SELECT n.has FROM indexed n)
                   THEN 'REINDEX INDEX %s;' ELSE 'DROP INDEX %s;' END, x.indexrelid::regclass), 'owner'
  FROM pg_index x
  JOIN pg_class c ON c.oid = x.indrelid AND c.relnamespace = 'eventlog'::regnamespace
  LEFT JOIN pg_inherits i ON i.inhrelid = x.indexrelid
 WHERE NOT x.indisvalid AND c.relkind <> 'p'
