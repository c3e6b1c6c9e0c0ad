# The second half of the demo: an application of three tenants, its reports, the gateway and the
# dashboard. Sourced by demo/run.

eventlog=$demo_folder/eventlog

# step TEXT: says what is under way; done_with TEXT: what came of it.
step() { printf '    %-54s' "$1" && began=$(date +%s); }
done_with() { printf '%s%s, %s s%s\n' "$green" "$1" "$(($(date +%s) - began))" "$plain"; }

fail() {
    printf '\n    %s%s%s\n' "$red" "$1" "$plain"
    exit 1
}

value() { demo_psql postgres '' -At -c "$1"; }

# report TENANT ARGUMENTS…: shows a command and what it gives.
report() {
    local tenant=$1
    shift
    show_command "eventlog report $*"
    EVENTLOG_TENANT=$tenant COLUMNS=120 demo_program product_analyst "$eventlog" report "$@" --table | sed 's/^/    /'
    echo
}

# http PATH KEY: the status of an answer of the gateway.
http() {
    local status
    exec 3<> "/dev/tcp/${address/://}"
    printf 'GET %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nConnection: close\r\n\r\n' "$1" "$address" "$2" >&3
    read -r _ status _ <&3
    exec 3>&-
    echo "$status"
}

cluster_as_user tee "$eventlog" < target/release/eventlog > /dev/null
cluster_as_user tee "$demo_folder/product" < target/release/examples/product > /dev/null
cluster_as_user chmod 755 "$eventlog" "$demo_folder/product"

heading '7. A simulated application beside it: three tenants, sixty days'
step 'its table, its roles (demo/4_create_product.sql)'
demo_psql postgres '' -f demo/4_create_product.sql > /dev/null
done_with 'made'
step 'its history, the last thirty days and thirty before'
demo_psql postgres '' -f demo/5_make_history.sql > /dev/null
history=$(value 'SELECT count(*) FROM history')
done_with "$(commas "$history") events"
step "taken over: SELECT eventlog.import_events('history')"
IFS='|' read -r imported refused_rows _ < <(
    demo_psql postgres '-c role=log_owner' -At -c "SELECT * FROM eventlog.import_events('history')")
[ "$imported $refused_rows" = "$history 0" ] \
    || fail "import_events gave $imported and refused $refused_rows of $history"
done_with "$(commas "$imported") events, none refused"
step 'counted: CALL eventlog.maintain()'
demo_psql postgres '' -c 'CALL eventlog.maintain()'
done_with "$(commas "$(value 'SELECT count(*) FROM eventlog.hourly_counts')") counts of an hour"
step '40 sessions now, by eventlog-writer in Rust'
read -r submitted written rejected in_transactions < <(demo_program product_app "$demo_folder/product" 40 0)
[ "$submitted" = $((written + rejected)) ] || fail "$submitted were submitted, $written written, $rejected rejected"
done_with "$written events, and $rejected in quarantine"
echo

# By tenant and name, what went in and what is there.
differences=$(value "
    WITH expected AS (
        SELECT tenant_id, name, count(*) FROM history GROUP BY 1, 2
    ), found AS (
        SELECT tenant_id, name, count(*) FROM eventlog.events
         WHERE id BETWEEN 1000001 AND 1000000 + $history GROUP BY 1, 2
    ), either AS (
        (TABLE expected EXCEPT TABLE found) UNION ALL (TABLE found EXCEPT TABLE expected)
    ) SELECT count(*) FROM either")
[ "$differences" = 0 ] || fail "the log and the history differ in $differences counts"
now_there=$(value "SELECT count(*) FROM eventlog.events JOIN accounts a ON a.id = tenant_id")
[ "$now_there" = $((history + written + in_transactions)) ] \
    || fail "$now_there events are in the log, $((history + written + in_transactions)) expected"
quarantined=$(value "SELECT count(*) FROM eventlog.rejected_events WHERE name = 'skil_executed'")
[ "$quarantined" = "$rejected" ] || fail "$quarantined events are in quarantine, $rejected expected"
differences=$(demo_psql postgres '-c role=log_owner' -At -c \
    'SELECT count(*) FROM eventlog.verify_rollups() WHERE NOT is_sealed')
[ "$differences" = 0 ] || fail "$differences counts of the rollups are wrong"
printf '    %sYes, it is all there: %s events, and the counts that reports read agree with them.%s\n\n' \
    "$green" "$(commas "$now_there")" "$plain"

heading "8. Reports, as product_analyst of Northwind's tenant"
northwind=$(value "SELECT id FROM accounts WHERE name = 'Northwind'")
show_command "export EVENTLOG_TENANT=$northwind"
report "$northwind" escalation_rate
report "$northwind" success_rate
report "$northwind" checkout_conversion
report "$northwind" top_subjects --names tool_used --limit 3
report "$northwind" summary --names skill_executed --breakdown data.skillName --top 3
report "$northwind" summary --filter data.skillName=export --filter 'data.durationMs>3000'
report "$northwind" cohort_retention period=week --since "$(value "SELECT (now() - interval '28 days')::date")"
query product_analyst "$(as_tenant "$northwind")" "SELECT subject, events, success_rate, median_duration AS median, p95_duration AS p95
  FROM eventlog.subject_stats('{skill_executed}');"
query product_analyst "$(as_tenant "$northwind")" "SELECT step, name, reached, conversion, round(median_seconds) AS \"median, s\"
  FROM eventlog.funnel('{quota_exceeded,checkout_completed,plan_updated}',
                       since => now() - interval '60 days');"
query postgres '-c role=log_owner' "SELECT display_name, events, previous_events AS before, growth, actors, failures
  FROM eventlog.tenants_overview() WHERE display_name IS NOT NULL;"
counted=$(EVENTLOG_TENANT=$northwind demo_program product_analyst "$eventlog" \
    report summary --since "$(value "SELECT now() - interval '61 days'")" --json | sed -n 's/.*"events":\([0-9]*\).*/\1/p')
raw=$(value "SELECT count(*) FROM eventlog.events WHERE tenant_id = '$northwind'")
[ "$counted" = "$raw" ] || fail "the summary of Northwind counts $counted events, the log has $raw"

heading '9. The gateway, and the dashboard'
key() { demo_program postgres "$eventlog" key create --tenant "$(value "SELECT id FROM accounts WHERE name = '$1'")" "${@:2}" 2> /dev/null; }
read_keys=()
for name in Northwind Globex Initech; do
    read_keys+=("$(key "$name" --kind read --description "dashboard of $name")")
done
write_key=$(key Northwind --description 'events of Northwind')
all_key=$(demo_program postgres "$eventlog" key create --all-tenants --kind read --can-replay --description 'all tenants' 2> /dev/null)
demo_start gateway env PGHOST="$demo_folder" PGPORT="$cluster_port" PGDATABASE="$demo_database" PGUSER=gateway \
    "$eventlog" serve --listen 127.0.0.1:0
address=
for _ in {1..100}; do
    address=$(sed -n 's|.*listening on http://||p' "$demo_folder/gateway.log" 2> /dev/null) || true
    [ -z "$address" ] || break
    sleep 0.1
done
[ -n "$address" ] || { cat "$demo_folder/gateway.log" >&2; fail 'the gateway does not start'; }
[ "$(http /readyz '')" = 200 ] || fail 'the gateway is not ready'
[ "$(http /api/analytics/tenants_overview "$all_key")" = 200 ] || fail 'the gateway refuses the key of all tenants'
for key in "${read_keys[@]}"; do
    [ "$(http /api/analytics/summary "$key")" = 200 ] || fail 'the gateway refuses a key'
done
# Somebody goes on using the application, for an hour: about as many sessions as an hour of the
# history has on a busy day, so that today looks like a day.
demo_start product env PGHOST="$demo_folder" PGPORT="$cluster_port" PGDATABASE="$demo_database" PGUSER=product_app \
    "$demo_folder/product" 40 90000

echo "    ${bold}http://$address$plain"
echo
echo '    asks once for a key, which decides whose figures it shows. Click on what you see: it filters.'
echo
names=(Northwind Globex Initech 'All tenants')
keys=("${read_keys[@]}" "$all_key")
for n in 0 1 2 3; do
    printf '    %s\n      %s%s%s\n' "${names[n]}" "$bold" "${keys[n]}" "$plain"
done
echo
echo '    The application goes on for an hour, a session every 90 seconds: the page follows.'
echo '    An event of yours, into Northwind:'
echo
show_command "KEY=$write_key
curl -H \"Authorization: Bearer \$KEY\" -H 'Content-Type: application/json' \\
     -d '{\"name\": \"tool_used\", \"data\": {\"toolName\": \"mine\"}, \"actor\": \"me\"}' \\
     http://$address/api/track"
echo
