#!/bin/sh
# Removes what install.sh copied. Usage: uninstall.sh [PG_CONFIG]
# Logs stay in their databases: remove those first (see INSTALL), because they need the library.
set -eu

pg_config=${1:-${PG_CONFIG:-pg_config}}
program=${DESTDIR:-}${BINDIR:-/usr/local/bin}/eventlog

fail() {
    echo "eventlog: $*" >&2
    exit 1
}

command -v "$pg_config" >/dev/null || fail "no pg_config at '$pg_config'. Type: $0 /path/to/pg_config"
pkglibdir=${DESTDIR:-}$("$pg_config" --pkglibdir)
extdir=${DESTDIR:-}$("$pg_config" --sharedir)/extension
[ -e "$extdir/eventlog.control" ] || fail "eventlog is not installed in $extdir"
for folder in "$pkglibdir" "$extdir"; do
    [ -w "$folder" ] || fail "$(id -un) may not write to $folder. Type: sudo $0 $pg_config"
done

rm -f "$pkglibdir/eventlog.so" "$pkglibdir/eventlog.dylib" "$extdir/eventlog.control" "$extdir"/eventlog--*.sql
echo "eventlog: removed from $("$pg_config" --version): $pkglibdir, $extdir"
if [ -w "$(dirname "$program")" ]; then
    rm -f "$program"
elif [ -e "$program" ]; then
    echo "eventlog: $(id -un) may not remove $program. Type: sudo rm $program"
fi
echo "eventlog: where shared_preload_libraries names eventlog, take it out before the server is restarted"
