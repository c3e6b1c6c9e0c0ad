-- A partition that was away while maintain() went past its time.
SELECT true, format('events of partition %s are in no report', p.partition_name),
       format('SELECT eventlog.count_events(''eventlog.%I'');', p.partition_name), 'owner'
  FROM eventlog_private.partitions_to_count() p
