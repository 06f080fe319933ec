#!/bin/sh
# py3compile, py3clean, pypy3compile and pypy3clean: this script has all four names.
#
# It runs the program of pycache-sys that has its name, and Debian's own, which dpkg-divert keeps
# as NAME.distrib, where that one cannot even start: while python3 is half upgraded, or a module is
# missing. The two cases are told apart by what the program writes to descriptor 3:
#
#   nothing           it did not start, or leaves the call to Debian's own: that runs now
#   started           it started, and did not live to its end
#   started STATUS    it has decided on this exit status
#
# A maintainer script that fails stops dpkg. None has to, for want of a cache.
set -e

python=/usr/bin/python3
program=${0##*/}
own=/usr/bin/$program.distrib

# In a root that is not this system's, its interpreters cannot be run, and this system's sources
# are not meant.
case ${DPKG_ROOT:-/} in
/) ;;
*) exit 0 ;;
esac

# usage: give_up STATUS MESSAGE...
# Say what went wrong, which is no failure within a maintainer script.
give_up() {
    status=$1
    shift
    echo "$program: $*" >&2
    [ -z "${DPKG_MAINTSCRIPT_PACKAGE:-}" ] || exit 0
    exit "$status"
}

# Debian's packages call the program wherever it is found: without PyPy, there is nothing to do.
case $program in
pypy3*)
    if [ ! -x /usr/bin/pypy3 ]; then
        [ -n "${DPKG_MAINTSCRIPT_PACKAGE:-}" ] || give_up 127 "pypy3 is not installed"
        exit 0
    fi
    ;;
esac

# A file must not become the standard output of a program that is given none.
{ : >&2; } 2>/dev/null || exec 2>/dev/null
{ command exec 4>&1; } 2>/dev/null || exec 4>/dev/null

said=$("$python" -I -B -X utf8 -c '
import sys
try:
    from pycache_sys.cli.'"py3${program#*py3}"' import main
except Exception as error:
    sys.exit(f"{sys.argv[1]}: pycache-sys cannot start: {error!r:.300}")
sys.exit(main())
' "$program" "$@" 3>&1 >&4 4>&- </dev/null) && status=0 || status=$?

case $said in
started)
    give_up "$status" "pycache-sys did not live to the end (status $status)"
    ;;
'started '*[0-9])
    exit "${said#started }"
    ;;
esac

[ -x "$own" ] || give_up 127 "neither pycache-sys nor $own can be run"
"$own" "$@" 4>&- && status=0 || status=$?
if [ "$status" -ne 0 ] && ! "$python" -I -B -c '' 2>/dev/null; then
    give_up "$status" "$python cannot be run: bytecode is left as it is"
fi
exit "$status"
