"""Build and install a small RPM package, by the release's own rpm: 4.18, 4.20, 6."""

from distro.chroots import Chroot
from distro.debian import DIST_PACKAGES

SPEC = f"""\
%global __os_install_post %{{nil}}
Name: pycache-sample-rpm
Version: 1
Release: 1
Summary: a package made for a test
License: MIT
BuildArch: noarch

%description
A package made for a test.

%install
mkdir -p %{{buildroot}}{DIST_PACKAGES}/pycache_rpm %{{buildroot}}/usr/share/doc/pycache-sample
echo 'ANSWER = 1' > %{{buildroot}}{DIST_PACKAGES}/pycache_rpm/__init__.py
echo 'ANSWER = 2' > %{{buildroot}}{DIST_PACKAGES}/pycache_rpm/other.py
echo 'ANSWER = 3' > %{{buildroot}}/usr/share/doc/pycache-sample/example.py

%files
{DIST_PACKAGES}/pycache_rpm
/usr/share/doc/pycache-sample
"""


def install_rpm(chroot: Chroot) -> None:
    """Build the package in the chroot and install it there."""
    chroot.path("/srv/sample.spec").write_text(SPEC)
    chroot.run("rpmbuild", "-bb", "--define", "_topdir /srv/rpm", "/srv/sample.spec")
    (built,) = chroot.path("/srv/rpm/RPMS/noarch").glob("*.rpm")
    inside = f"/srv/rpm/RPMS/noarch/{built.name}"
    chroot.run("rpm", "--install", "--nodeps", "--nosignature", inside)
