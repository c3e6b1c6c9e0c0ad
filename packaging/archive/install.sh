#!/bin/sh
# Copies eventlog into a PostgreSQL. Usage: install.sh [PG_CONFIG]
# Files are replaced by new ones, never written into: a running server may have the library mapped.
set -eu

pg_config=${1:-${PG_CONFIG:-pg_config}}
here=$(cd "$(dirname "$0")" && pwd)

fail() {
    echo "eventlog: $*" >&2
    exit 1
}

# version, postgresql, system, machine, libc
. "$here/BUILD"

command -v "$pg_config" >/dev/null || fail "no pg_config at '$pg_config'. Type: $0 /path/to/pg_config"
found=$("$pg_config" --version)
major=$(echo "$found" | sed -E 's/^PostgreSQL ([0-9]+).*/\1/')
[ "$major" = "$postgresql" ] || fail "this archive is for PostgreSQL $postgresql, and $pg_config is of $found"
[ "$(uname -s) $(uname -m)" = "$system $machine" ] \
    || fail "this archive is for $system $machine, and this machine is $(uname -s) $(uname -m)"

pkglibdir=${DESTDIR:-}$("$pg_config" --pkglibdir)
extdir=${DESTDIR:-}$("$pg_config" --sharedir)/extension
[ -z "${DESTDIR:-}" ] || mkdir -p "$pkglibdir" "$extdir"
for folder in "$pkglibdir" "$extdir"; do
    [ -d "$folder" ] || fail "there is no folder $folder: is the server of $pg_config installed?"
    [ -w "$folder" ] || fail "$(id -un) may not write to $folder. Type: sudo $0 $pg_config"
done

install -m 755 "$here"/lib/eventlog.* "$pkglibdir/"
install -m 644 "$here"/extension/eventlog* "$extdir/"
echo "eventlog: version $version is in $found: $pkglibdir, $extdir"
