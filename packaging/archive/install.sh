#!/bin/sh
# Copies eventlog into a PostgreSQL, and the program `eventlog` into BINDIR (/usr/local/bin).
# Usage: install.sh [PG_CONFIG]
# Files are replaced by new ones, never written into: a running server may have the library mapped.
set -eu

pg_config=${1:-${PG_CONFIG:-pg_config}}
bindir=${DESTDIR:-}${BINDIR:-/usr/local/bin}
here=$(cd "$(dirname "$0")" && pwd)

fail() {
    echo "eventlog: $*" >&2
    exit 1
}

# version, postgresql, system, machine, glibc
glibc=
. "$here/BUILD"

command -v "$pg_config" >/dev/null || fail "no pg_config at '$pg_config'. Type: $0 /path/to/pg_config"
found=$("$pg_config" --version)
major=$(echo "$found" | sed -E 's/^PostgreSQL ([0-9]+).*/\1/')
[ "$major" = "$postgresql" ] || fail "this archive is for PostgreSQL $postgresql, and $pg_config is of $found"
[ "$(uname -s) $(uname -m)" = "$system $machine" ] \
    || fail "this archive is for $system $machine, and this machine is $(uname -s) $(uname -m)"
if [ -n "$glibc" ]; then
    libc=$(getconf GNU_LIBC_VERSION 2>/dev/null) || fail "this archive needs glibc $glibc, and this machine has another C library"
    oldest=$(printf '%s\n' "$glibc" "${libc#glibc }" | sort -V | head -n 1)
    [ "$oldest" = "$glibc" ] || fail "this archive needs glibc $glibc or newer, and this machine has $libc"
fi

pkglibdir=${DESTDIR:-}$("$pg_config" --pkglibdir)
extdir=${DESTDIR:-}$("$pg_config" --sharedir)/extension
[ -z "${DESTDIR:-}" ] || mkdir -p "$pkglibdir" "$extdir" "$bindir"
for folder in "$pkglibdir" "$extdir"; do
    [ -d "$folder" ] || fail "there is no folder $folder: is the server of $pg_config installed?"
    [ -w "$folder" ] || fail "$(id -un) may not write to $folder. Type: sudo $0 $pg_config"
done

install -m 755 "$here"/lib/eventlog.* "$pkglibdir/"
install -m 644 "$here"/extension/eventlog* "$extdir/"
echo "eventlog: version $version is in $found: $pkglibdir, $extdir"
if [ -d "$bindir" ] && [ -w "$bindir" ]; then
    install -m 755 "$here/bin/eventlog" "$bindir/"
    echo "eventlog: the program is $bindir/eventlog"
else
    echo "eventlog: the program stays at $here/bin/eventlog, because $(id -un) may not write to $bindir (BINDIR names another folder)"
fi
