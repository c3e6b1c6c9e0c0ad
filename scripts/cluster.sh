# Private PostgreSQL clusters for scripts: source this file, with PG_CONFIG set.
#
#   cluster_create FOLDER    initdb into FOLDER/data; FOLDER must not exist
#   cluster_start  FOLDER    start it; it listens on a socket in FOLDER and on no TCP port
#   cluster_stop   FOLDER    stop it at once, if it runs
#   cluster_remove FOLDER    stop it and remove FOLDER
#   cluster_psql   FOLDER …  psql as its superuser, postgres
#
# PostgreSQL refuses to run as root: there the server runs as user postgres (or nobody). FOLDER is
# closed to others, because every client that reaches the socket is trusted. It must have a short path, such
# as one in /tmp: a socket's may have 107 bytes.

PG_CONFIG=${PG_CONFIG:-pg_config}
cluster_bin=$("$PG_CONFIG" --bindir)
cluster_port=5432

# What the caller's shell says to psql is not meant for these servers, and a server with
# RUST_BACKTRACE shows stack traces to its clients.
unset PGHOST PGHOSTADDR PGPORT PGDATABASE PGUSER PGPASSWORD PGSERVICE PGOPTIONS PGDATA PGSSLMODE \
    PGCLIENTENCODING PGTZ PGDATESTYLE PGAPPNAME RUST_BACKTRACE RUST_LIB_BACKTRACE

if [ "$(id -u)" = 0 ]; then
    cluster_user=postgres
    id -u "$cluster_user" >/dev/null 2>&1 || cluster_user=nobody
else
    cluster_user=$(id -un)
fi

# Runs a command as the user of the server, in a folder which that user can enter.
cluster_as_user() {
    if [ "$(id -u)" = 0 ]; then
        (cd / && exec setpriv --reuid="$cluster_user" --regid="$(id -g "$cluster_user")" --clear-groups "$@")
    else
        (cd / && exec "$@")
    fi
}

cluster_create() {
    local folder=$1 locale
    if ! cluster_as_user test -x "$cluster_bin/initdb"; then
        echo "eventlog: user $cluster_user cannot run $cluster_bin/initdb; put it where that user can read" >&2
        return 1
    fi
    mkdir -m 700 "$folder"
    chown "$cluster_user:" "$folder"
    for locale in C.UTF-8 C; do
        if cluster_as_user "$cluster_bin/initdb" -D "$folder/data" -U postgres -A trust -E UTF8 \
            --locale="$locale" --no-sync > "$folder/initdb.log" 2>&1; then
            return
        fi
    done
    cat "$folder/initdb.log" >&2
    return 1
}

cluster_start() {
    local folder=$1
    if ! cluster_as_user "$cluster_bin/pg_ctl" start -s -w -D "$folder/data" -l "$folder/server.log" \
        -o "-k '$folder' -p $cluster_port -c listen_addresses=''" < /dev/null > /dev/null 2>&1; then
        [ ! -f "$folder/server.log" ] || tail -n 20 "$folder/server.log" >&2
        return 1
    fi
}

cluster_stop() {
    local folder=$1
    if [ -f "$folder/data/postmaster.pid" ]; then
        cluster_as_user "$cluster_bin/pg_ctl" stop -s -w -m immediate -D "$folder/data" > /dev/null 2>&1 || true
    fi
}

cluster_remove() {
    local folder=$1
    cluster_stop "$folder"
    rm -rf "$folder"
}

cluster_psql() {
    local folder=$1
    shift
    "$cluster_bin/psql" -X -q -v ON_ERROR_STOP=1 -h "$folder" -p "$cluster_port" -U postgres "$@"
}
