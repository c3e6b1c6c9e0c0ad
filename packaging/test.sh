# What the tests of packages share: source it at the top of the tree.

fail() {
    echo "eventlog: $*" >&2
    exit 1
}

check() { # what, expected, found
    [ "$2" = "$3" ] || fail "$1: expected '$2', found '$3'"
}

# Copies a PostgreSQL into FOLDER/pg, without eventlog, and sets PG_CONFIG to the copy's: PostgreSQL
# finds its folders by where they are from its programs.
copy_postgres() { # pg_config, folder
    local bindir pkglibdir sharedir program
    bindir=$("$1" --bindir) pkglibdir=$("$1" --pkglibdir) sharedir=$("$1" --sharedir)
    # Of a build that brings its own libraries.
    LD_LIBRARY_PATH=$("$1" --libdir)${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
    export LD_LIBRARY_PATH
    chmod 755 "$2"
    mkdir -p "$2/pg$bindir" "$2/pg$pkglibdir" "$2/pg$sharedir"
    for program in postgres initdb pg_ctl pg_config psql; do
        cp -L "$bindir/$program" "$2/pg$bindir/"
    done
    cp -RL "$pkglibdir/." "$2/pg$pkglibdir/"
    cp -RL "$sharedir/." "$2/pg$sharedir/"
    rm -f "$2/pg$pkglibdir"/eventlog.* "$2/pg$sharedir"/extension/eventlog*
    PG_CONFIG=$2/pg$bindir/pg_config
}

# The statements up to a first event, as README has them.
first_event="CREATE ROLE log_owner; CREATE EXTENSION eventlog; SELECT eventlog.create_log(owner => 'log_owner');
SELECT eventlog.log_event('11111111-1111-4111-8111-111111111111', 'tool_used', '{\"toolName\": \"search\"}')"
