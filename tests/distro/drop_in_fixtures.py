"""The fixture of the drop-in's tests: each such module names this one as its plugin."""

from collections.abc import Iterator

import pytest

from distro.chroots import Image
from distro.drop_in import GIZMO, dpkg, make_deb, make_drop_in
from distro.layers import scratch_folder
from distro.product import add_account


@pytest.fixture(scope="session")
def dropped_in(installed: Image) -> Iterator[Image]:
    """Install the account, the drop-in's package and one to try it on."""
    with scratch_folder() as folder:
        with installed.running(folder) as chroot:
            add_account(chroot)
            dpkg(chroot, "-i", make_drop_in(chroot))
            dpkg(chroot, "-i", make_deb(chroot, "gizmo", "1", GIZMO, {}))
        yield installed.topped_by(folder)
