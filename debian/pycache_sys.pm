# SPDX-License-Identifier: MIT
# The debhelper sequence of the package dh-pycache-sys; see dh_pycache_sys(1).
use strict;
use warnings;
use Debian::Debhelper::Dh_Lib;

# Late, so that all the files are in their places: whatever dh_install, dh_python3 and dh_link do
# is done. debputy's sequence takes dh_installdeb away, and may do so before this is read.
insert_before('dh_installdeb', 'dh_pycache_sys')
	or insert_before('dh_debputy', 'dh_pycache_sys');

1;
