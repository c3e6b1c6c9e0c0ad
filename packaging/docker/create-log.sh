#!/usr/bin/env bash
# Makes the log in a new database, and the role of the gateway. The image runs it once.
set -euo pipefail

psql -v ON_ERROR_STOP=1 -U "$POSTGRES_USER" -d "$POSTGRES_DB" -v password="$GATEWAY_PASSWORD" <<'SQL'
CREATE EXTENSION eventlog;
CREATE ROLE log_owner;
SELECT eventlog.create_log(owner => 'log_owner');
CREATE ROLE gateway LOGIN PASSWORD :'password';
SET ROLE log_owner;
SELECT eventlog.grant_gateway('gateway');
SQL
