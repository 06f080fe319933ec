# shellcheck shell=sh
# What follows the functions of debian/pycache-sys.postrm in %postun: the build puts them together.
#
# Nobody removes the account: rpm knows no purge, and a package of systemd's or the administrator's may
# count on the number. What `migrate` could not put back is no longer worth a note.
if [ "$1" = 0 ]; then
    remove_caches || :
    rm -f /var/lib/pycache-sys/in-place
    rmdir /var/lib/pycache-sys 2>/dev/null || :
fi

exit 0
