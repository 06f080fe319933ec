"""Machines for pacman: what builds and installs its packages, and the packages themselves."""

import shutil
from pathlib import Path

from distro.chroots import Chroot, Image, call
from distro.debian import DIST_PACKAGES, Suite
from distro.layers import layer_on, locked, scratch_folder
from distro.rpm_machines import (
    COMMON,
    NEEDLESS,
    PRIVATE,
    REPLACED,
    Recipe,
    export,
    own_version,
    stage,
)

TOOLS = (
    "fakeroot",
    "file",
    "libarchive-tools",
    "make",
    "makepkg",
    "pacman-package-manager",
    "python3-hatchling",
    "python3-pip",
)
PACKAGES = "/srv/packages"
BUILDER = 1000
"""makepkg does not build as root."""
REGISTER = f"""\
mkdir -p "$pkgdir/usr/share/pycache-sys/roots.d"
echo '[root {PRIVATE}]' > "$pkgdir/usr/share/pycache-sys/roots.d/gizmo.conf"
"""
SEAL = f"""\
python3 -m compileall -q -b -s "$pkgdir" -p / "$pkgdir{DIST_PACKAGES}/sealed"
rm "$pkgdir{DIST_PACKAGES}/sealed/"*.py
"""
RECIPES = (
    Recipe(name="requests", wheel="requests-2.32.4", version="2.32.4"),
    Recipe(name="requests", wheel="requests-2.32.5", version="2.32.5"),
    Recipe(name="requests", wheel="requests-2.32.5", version="2.32.5.twin", is_twin=True),
    Recipe(name="gizmo", wheel="bottle-0.13.3", version="0.13.3", target=PRIVATE, install=REGISTER),
    Recipe(name="gizmo", wheel="bottle-0.13.4", version="0.13.4", target=PRIVATE, install=REGISTER),
    Recipe(
        name="sealed",
        wheel="six-1.17.0",
        version="1.17.0",
        target=f"{DIST_PACKAGES}/sealed",
        install=SEAL,
    ),
)
STAND_IN = """\
pkgname=stand-in
pkgver=1
pkgrel=1
pkgdesc='Says in the database of pacman what dpkg has installed.'
arch=(any)
options=(!strip)
provides=(python={version} python-packaging=25)
package() {{ for place in {places}; do mkdir -p "$pkgdir/usr/$place"; done; }}
"""
PKGBUILD = """\
pkgname={name}
pkgver={version}
pkgrel=1
pkgdesc='A package made for a test.'
arch=(any)
options=(!strip)
package() {{
cp -a /srv/stage/. "$pkgdir/"
{install}
}}
"""


def with_pacman(suite: Suite, base: Image) -> Image:
    """Return a machine that has pacman and makepkg, without dpkg's of the same projects."""
    install = "DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends "
    return layer_on(
        base,
        f"alpm-{suite.name}",
        (),
        install + " ".join(TOOLS),
        f"dpkg --purge --force-depends {' '.join((*REPLACED, *NEEDLESS))}",
        f"useradd --uid {BUILDER} --create-home builder",
    )


def built(suite: Suite, tools: Image) -> Path:
    """Return a folder with all packages, as the release's own makepkg makes them."""
    with scratch_folder() as folder:
        top = folder / f"pycache-sys-{own_version()}"
        digest = export(top)
        with locked(f"alpms-{suite.name}") as cache:
            wanted = cache / f"alpms-{suite.name}-{digest}"
            if not wanted.is_dir():
                (folder / "build").mkdir()
                with tools.running(folder / "build") as chroot:
                    build_all(suite, chroot, top)
                    for outdated in cache.glob(f"alpms-{suite.name}-*"):
                        shutil.rmtree(outdated)
                    partial = cache / f"alpms-{suite.name}-partial"
                    shutil.rmtree(partial, ignore_errors=True)
                    shutil.copytree(chroot.path(PACKAGES), partial)
                partial.rename(wanted)
            return wanted


def build_all(suite: Suite, chroot: Chroot, top: Path) -> None:
    """Build ours, in two releases, and all others."""
    chroot.path(PACKAGES).mkdir()
    own = {name: (top / "alpm" / name).read_bytes() for name in ("PKGBUILD", "pycache-sys.install")}
    text = own["PKGBUILD"].decode()
    place = chroot.path("/srv/build")
    for release in ("1", "2"):
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        call("tar", "-czf", str(place / f"{top.name}.tar.gz"), "-C", str(top.parent), top.name)
        (place / "pycache-sys.install").write_bytes(own["pycache-sys.install"])
        makepkg(chroot, text.replace("pkgrel=1", f"pkgrel={release}"))
    version = suite.interpreters[0].directory
    makepkg(chroot, STAND_IN.format(version=version, places=" ".join(COMMON)))
    for recipe in RECIPES:
        stage(chroot, recipe)
        makepkg(
            chroot,
            PKGBUILD.format(name=recipe.name, version=recipe.version, install=recipe.install),
        )


def makepkg(chroot: Chroot, text: str) -> None:
    """Build a package, and put it to the others."""
    place = chroot.path("/srv/build")
    place.mkdir(exist_ok=True)
    (place / "PKGBUILD").write_text(text)
    chroot.run("chown", "-R", f"{BUILDER}:{BUILDER}", "/srv/build")
    line = "cd /srv/build; HOME=/home/builder PKGEXT=.pkg.tar PKGDEST=/srv/build makepkg -d -f"
    done = chroot.attempt("sh", "-ec", line, user=BUILDER)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    (package,) = place.glob("*.pkg.tar")
    package.rename(chroot.path(PACKAGES) / package.name)


def archive(name: str, version: str, release: str = "1") -> str:
    """Say where a package is."""
    return f"{PACKAGES}/{name}-{version}-{release}-any.pkg.tar"


def ours(release: str = "1") -> str:
    """Say where our package is."""
    return archive("pycache-sys", own_version(), release)
