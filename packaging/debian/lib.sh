# What both Debian packages share. Source it at the top of the tree.
#
# DEB_REVISION      what follows the version of eventlog, 1 unless set (as in 0.2.0-1)
# DEBFULLNAME, DEBEMAIL   who makes the package

: "${DEBFULLNAME:=eventlog contributors}" "${DEBEMAIL:=maintainers@eventlog.invalid}"
: "${SOURCE_DATE_EPOCH:=$(date +%s)}"
export SOURCE_DATE_EPOCH
deb_arch=$(dpkg --print-architecture)

for tool in dpkg-shlibdeps strip; do
    if ! command -v "$tool" >/dev/null; then
        echo "eventlog: $tool is missing. Type: sudo apt-get install dpkg-dev binutils" >&2
        exit 1
    fi
done

# Copies a program or a library without what only a debugger reads.
deb_install_stripped() { # mode, from, to
    install -D -m "$1" "$2" "$3"
    strip --strip-unneeded --remove-section=.comment --remove-section=.note "$3"
}

# Copies the manual, whose pages link to each other.
deb_install_manual() { # folder
    install -D -m 644 README.md "$1/README.md"
    cp -R docs "$1/docs"
    chmod -R u=rwX,go=rX "$1/docs"
}

# Prints the packages that these files need, by the symbols that they use.
deb_depends_of() { # file...
    local scratch
    scratch=$(mktemp -d)
    mkdir "$scratch/debian"
    echo 'Source: eventlog' > "$scratch/debian/control"
    (cd "$scratch" && dpkg-shlibdeps -O "$@" 2>/dev/null) | sed -n 's/^shlibs:Depends=//p'
    rm -rf "$scratch"
}

# The releases of CHANGELOG.md, in the form that Debian wants.
deb_changelog() { # package version
    local heading release day
    sed -nE 's/^## ([0-9.]+) \((.*)\)$/\1 \2/p' CHANGELOG.md | while read -r release day; do
        case $day in
        [0-9]*) day=$(date -u -R -d "$day 12:00 UTC") ;;
        *) day=$(date -u -R -d "@$SOURCE_DATE_EPOCH") ;;
        esac
        printf 'eventlog (%s) unstable; urgency=medium\n\n  * See changelog.gz.\n\n -- %s <%s>  %s\n\n' \
            "$release-${DEB_REVISION:-1}" "$DEBFULLNAME" "$DEBEMAIL" "$day"
    done
}

# Writes what every package has into ROOT, and makes of it target/package/NAME_VERSION_ARCH.deb.
# ROOT/DEBIAN holds maintainer scripts, if there are any. PROGRAMS are absolute paths.
deb_build() { # root, name, version, template of control, sed expressions of its other variables, programs...
    local root=$1 name=$2 version=$3-${DEB_REVISION:-1} template=$4 variables=$5 doc file
    shift 5
    doc=$root/usr/share/doc/$name
    mkdir -p "$doc" "$root/DEBIAN"
    install -m 644 packaging/debian/copyright "$doc/copyright"
    sed 1,2d LICENSE | sed -e 's/^/ /' -e 's/^ $/ ./' >> "$doc/copyright"
    gzip -9n < CHANGELOG.md > "$doc/changelog.gz"
    deb_changelog | gzip -9n > "$doc/changelog.Debian.gz"

    find "$root" -path "$root/DEBIAN" -prune -o -type d -exec chmod 755 {} +
    (cd "$root" && find . -path ./DEBIAN -prune -o -type f -printf '%P\0' | LC_ALL=C sort -z | xargs -0 md5sum) > "$root/DEBIAN/md5sums"
    sed -e "s|@VERSION@|$version|" -e "s|@ARCH@|$deb_arch|" -e "s|@MAINTAINER@|$DEBFULLNAME <$DEBEMAIL>|" \
        -e "s|@SIZE@|$(du -k -s --apparent-size --exclude=DEBIAN "$root" | cut -f 1)|" \
        -e "s|@DEPENDS@|$(deb_depends_of "$@")|" -e "$variables" "packaging/debian/$template" > "$root/DEBIAN/control"
    find "$root" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
    file=target/package/${name}_${version}_$deb_arch.deb
    # Needs no root: the files are root's in the package.
    dpkg-deb --root-owner-group -Zxz --build "$root" "$file" >/dev/null
    echo "eventlog: $file"
}
