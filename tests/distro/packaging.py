"""Build the checkout's Debian packages once for each release, and machines that have them."""

import hashlib
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from distro.chroots import Chroot, Image
from distro.conftest import REPOSITORY
from distro.debian import Suite
from distro.layers import layer_on, locked, scratch_folder
from distro.product import TREE

RECIPE = "1"
"""Raise this where packages are built differently: cached ones are then made anew."""
PACKAGES = ("python3-pycache-sys", "pycache-sys")
"""What a user installs."""
DEBS = "/srv/debs"
PACKAGED = ("apparmor", "completions", "conf", "debian", "docs", "man", "src", "systemd")
PACKAGED_FILES = ("LICENSE", "README.md", "pyproject.toml")
LATER = {
    "sid": ("python3.15", "python3.15-minimal", "libpython3.15-minimal", "libpython3.15-stdlib")
}
"""Interpreters that tests take away and install again: their archives are fetched."""
SUMMARY = "pycache-sys: compiled "


@dataclass(frozen=True, slots=True)
class Packaged:
    """A machine with the packages installed, and what dpkg said meanwhile."""

    image: Image
    output: str


def packaged_files() -> list[Path]:
    """List what the packages are built from, as git knows it or would."""
    git = ["git", "-c", "safe.directory=*", "ls-files", "-z", "-co", "--exclude-standard", "--"]
    wanted = [*git, *PACKAGED, *PACKAGED_FILES]
    done = subprocess.run(wanted, cwd=REPOSITORY, stdout=subprocess.PIPE, check=True)
    listed = done.stdout.decode()
    names = sorted({name for name in listed.split("\0") if name})
    return [path for path in map(Path, names) if (REPOSITORY / path).is_file()]


def export(target: Path) -> str:
    """Copy the sources to a folder; return a digest of them."""
    digest = hashlib.sha256(RECIPE.encode())
    for name in packaged_files():
        source, copy = REPOSITORY / name, target / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, copy)
        digest.update(f"{name}\0{source.stat().st_mode & 0o111}\0".encode())
        digest.update(copy.read_bytes())
    return digest.hexdigest()[:16]


def build_dependencies() -> tuple[str, ...]:
    """Read what a build without tests needs, so that other changes to control keep the layer."""
    control = (REPOSITORY / "debian/control").read_text()
    field = control.partition("Build-Depends:")[2].partition("\nStandards-Version")[0]
    names = (line.strip().rstrip(",") for line in field.splitlines())
    wanted = [name for name in names if name and "nocheck" not in name]
    return tuple(name.replace("debhelper-compat (= 13)", "debhelper") for name in wanted)


def built(suite: Suite, base: Image) -> Path:
    """Return a folder with the packages, as the release itself builds them."""
    tools = ("dpkg-dev", "fakeroot", "python3", *build_dependencies())
    with scratch_folder() as folder:
        sources = folder / "sources"
        digest = export(sources)
        with locked(f"debs-{suite.name}") as cache:
            wanted = cache / f"debs-{suite.name}-{digest}"
            if wanted.is_dir():
                return wanted
            install = "DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends "
            image = layer_on(base, f"build-{suite.name}", (), install + " ".join(tools))
            (folder / "build").mkdir()
            with image.running(folder / "build") as chroot:
                shutil.move(sources, chroot.path("/build/sources"))
                chroot.run(
                    "sh",
                    "-ec",
                    "cd /build/sources; "
                    "export DEB_BUILD_OPTIONS=nocheck DEB_BUILD_PROFILES=nocheck; "
                    "dpkg-buildpackage --build=binary --unsigned-changes --no-check-builddeps",
                )
                partial = cache / f"debs-{suite.name}-partial"
                shutil.rmtree(partial, ignore_errors=True)
                partial.mkdir()
                for deb in chroot.path("/build").glob("*.deb"):
                    shutil.copy(deb, partial)
            for outdated in cache.glob(f"debs-{suite.name}-*"):
                if outdated != partial:
                    shutil.rmtree(outdated)
            partial.rename(wanted)
            return wanted


def install_packages(chroot: Chroot, *options: str) -> str:
    """Install the packages with the chroot's own apt; return what was printed."""
    archives = [path for name in PACKAGES for path in archives_of(chroot, name)]
    done = chroot.attempt("apt-get", "install", "--yes", *options, *archives)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def archives_of(chroot: Chroot, package: str) -> list[str]:
    """Name a package's archives as the chroot sees them."""
    found = sorted(chroot.path(DEBS).glob(f"{package}_*.deb"))
    assert found, f"there is no archive of {package}"
    return [f"{DEBS}/{path.name}" for path in found]


def summaries(output: str) -> list[str]:
    """Pick the lines that say what was compiled."""
    return [line for line in output.splitlines() if line.startswith(SUMMARY)]


def tree_files(chroot: Chroot) -> set[str]:
    """List the files of the tree, relative to it."""
    top = chroot.path(TREE)
    return {str(path.relative_to(top)) for path in top.rglob("*") if not path.is_dir()}
