# What the demo prints with, and where its server is. Sourced after scripts/cluster.sh.

demo_folder=/tmp/eventlog-demo-$(id -u)
demo_database=demo

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ] && [ "${TERM:-dumb}" != dumb ]; then
    bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' green=$'\e[32m' cyan=$'\e[36m' plain=$'\e[0m'
else
    bold='' dim='' red='' green='' cyan='' plain=''
fi

case ${LC_ALL:-${LC_CTYPE:-${LANG:-}}} in
*UTF-8 | *utf8) block='█' ;;
*) block='#' ;;
esac

heading() { printf '%s%s%s\n\n' "$bold" "$1" "$plain"; }

# 27004 -> 27,004
commas() { sed -E ':a; s/^([0-9]+)([0-9]{3})/\1,\2/; ta' <<< "$1"; }

# demo_start NAME COMMAND…: runs a program in the background, as the server's user; NAME.pid and
# NAME.log are in the folder.
demo_start() {
    local name=$1
    shift
    cluster_as_user sh -c 'trap "" HUP; echo $$ > "$0.pid"; exec "$@" > "$0.log" 2>&1' \
        "$demo_folder/$name" "$@" < /dev/null &
}

# Whether a process is one of a program in the folder: its number may be another's by now.
demo_runs() {
    [[ $(readlink "/proc/$1/exe" 2> /dev/null || ps -o comm= -p "$1" 2> /dev/null) == "$demo_folder"/* ]]
}

# Ends a program that demo_start started, and waits for it: what it has queued is written first.
demo_end() {
    local pid
    [ -s "$demo_folder/$1.pid" ] || return 0
    pid=$(< "$demo_folder/$1.pid")
    if demo_runs "$pid"; then
        kill "$pid"
        for _ in {1..300}; do
            demo_runs "$pid" || return 0
            sleep 0.1
        done
        echo "eventlog: the demo's $1 does not end, and is killed" >&2
        kill -9 "$pid"
    fi
}

# Stops all of a demo and removes its folder, and nothing else that may be there.
demo_remove() {
    # One that was interrupted at once left an empty folder.
    if [ -L "$demo_folder" ] || { [ -e "$demo_folder" ] && [ ! -e "$demo_folder/initdb.log" ] && ! rmdir "$demo_folder" 2> /dev/null; }; then
        echo "eventlog: $demo_folder is not the demo's; please move it away" >&2
        exit 1
    fi
    demo_end product
    demo_end gateway
    if [ -f "$demo_folder/data/postmaster.pid" ]; then
        cluster_as_user "$cluster_bin/pg_ctl" stop -s -w -m fast -D "$demo_folder/data" > /dev/null 2>&1 || true
    fi
    cluster_remove "$demo_folder"
}

# psql ROLE SETTINGS ARGUMENTS…, SETTINGS as libpq's options, such as '-c eventlog.tenant_id=…'
demo_psql() {
    local role=$1 settings=$2
    shift 2
    PGOPTIONS=$settings "$cluster_bin/psql" -X -q -v ON_ERROR_STOP=1 -P footer=off -P null=- -P format=wrapped -P columns=92 \
        -h "$demo_folder" -p "$cluster_port" -d "$demo_database" -U "$role" "$@"
}

# program NAME ARGUMENTS…, set to the demo's server, as role NAME.
demo_program() {
    local role=$1
    shift
    PGHOST=$demo_folder PGPORT=$cluster_port PGDATABASE=$demo_database PGUSER=$role "$@"
}

show_command() {
    sed -e "s/^/    $cyan/" -e "s/\$/$plain/" <<< "$1"
}

# query ROLE SETTINGS SQL: shows a query and what it gives.
query() {
    show_command "$3"
    demo_psql "$1" "$2" <<< "$3" | sed '/^$/d; s/^/    /'
    echo
}

# refused SQLSTATE ROLE SETTINGS SQL: shows a statement and the error, which must be this one.
refused() {
    local state=$1 error
    show_command "$4"
    if error=$(demo_psql "$2" "$3" -v VERBOSITY=verbose -c "$4" 2>&1 > /dev/null); then
        echo "    ${red}this should have been refused, and was not$plain"
        exit 1
    fi
    if [[ $error != "ERROR:  $state:"* ]]; then
        printf '    %sexpected SQLSTATE %s, got:%s\n%s\n' "$red" "$state" "$plain" "$error"
        exit 1
    fi
    # As psql shows it: without the SQLSTATE and the place in the source, which verbose adds.
    error=$(sed -e "1s/$state: //" -e '/^LOCATION:/d' <<< "$error")
    fold -s -w 88 <<< "$error" | sed -E "s/^(ERROR:)/    $red\1$plain/; t; s/^(DETAIL:|HINT:|CONTEXT:)/    $bold\1$plain/; t; s/^/            /"
    printf '    %sSQLSTATE %s%s\n\n' "$dim" "$state" "$plain"
}
