"""Machines for the RPM packages: what builds and installs them, and the packages themselves."""

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from distro.chroots import Chroot, Image, call
from distro.conftest import REPOSITORY
from distro.debian import DIST_PACKAGES, Suite
from distro.layers import layer_on, locked, scratch_folder
from distro.packaging_life import change

RECIPE = "1"
"""Raise this where packages are built differently: cached ones are then made anew."""
TOOLS = ("createrepo-c", "dnf", "make", "python3-hatchling", "python3-pip", "rpm", "zypper")
REPLACED = ("python3-django", "python3-requests")
"""dpkg's packages that rpm's take the place of."""
NEEDLESS = (
    "python3-babel",
    "python3-cryptography",
    "python3-docutils",
    "python3-numpy",
    "python3-pygments",
    "python3-sqlalchemy",
    "python3-twisted",
)
"""Large packages that nothing here needs: without them each run is quicker."""
PARTS = ("alpm", "completions", "conf", "debian", "docs", "man", "rpm", "src", "systemd")
PARTS_FILES = ("LICENSE", "Makefile", "README.md", "pyproject.toml")
RPMS = "/srv/rpms"
STAGE = "/srv/stage"
CLAMPED = 1_704_067_200
"""2024-01-01: the day that a reproducible build gives to every file."""
OURS = ("pycache-sys", "python3-pycache-sys")
PRIVATE = "/usr/share/gizmo"
SEALED = f"{DIST_PACKAGES}/sealed/six.pyc"
MANY = 20_000

WHEELS = (
    "django==5.2.7",
    "django==5.2.8",
    "requests==2.32.4",
    "requests==2.32.5",
    "bottle==0.13.3",
    "bottle==0.13.4",
    "six==1.17.0",
)
"""The projects that the packages are made from; what these depend on, dpkg has installed."""

STAND_IN = """\
Name: stand-in
Version: 1
Release: 1
Summary: what dpkg has installed
License: MIT
BuildArch: noarch
Provides: /bin/sh /usr/bin/find /usr/bin/flock /usr/bin/python3 /usr/sbin/useradd
Provides: python3 = {version} python3-packaging = 25 python3-platformdirs = 4 glibc = 2
%description
Says in the database of rpm what dpkg has installed.
%install
for place in {places}; do mkdir -p %{{buildroot}}/usr/$place; done
%files
{owned}
"""
COMMON = (
    "lib/sysusers.d",
    "lib/systemd/system",
    "lib/systemd/system-preset",
    "lib/systemd/user",
    "lib/systemd/user-preset",
    "lib/tmpfiles.d",
    "share/bash-completion/completions",
    "share/doc",
    "share/fish/vendor_completions.d",
    "share/licenses",
    "share/man/man5",
    "share/man/man8",
    "share/user-tmpfiles.d",
    "share/zsh/site-functions",
)
"""Directories that every such system has."""

SPEC = """\
{head}
Name: {name}
Version: {version}
Release: 1
Summary: a package made for a test
License: MIT
BuildArch: noarch
%description
A package made for a test.
%install
cp -a {stage}/. %{{buildroot}}/
{install}
%files
{files}
"""

BESIDE = """\
/usr/bin/python3 -m compileall -q -s %{{buildroot}} -p / --invalidation-mode timestamp \
%{{buildroot}}{0}
"""
"""What Fedora's build policy does at the end of each build, which Debian's rpm has not."""


@dataclass(frozen=True, slots=True)
class Installed:
    """A machine that has our packages, and what rpm said meanwhile."""

    image: Image
    output: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A package to build from a wheel."""

    name: str
    wheel: str
    version: str
    target: str = DIST_PACKAGES
    install: str = ""
    head: str = ""
    files: Sequence[str] = ()
    is_twin: bool = False


DJANGO = (f"{DIST_PACKAGES}/django", f"{DIST_PACKAGES}/django-*.dist-info")
REQUESTS_FILES = (f"{DIST_PACKAGES}/requests", f"{DIST_PACKAGES}/requests-*.dist-info")
GIZMO_FILES = (PRIVATE, "%pycache_sys_files")
RECIPES = (
    *(
        Recipe(
            name="django",
            wheel=f"django-{version}",
            version=version,
            install=BESIDE.format(f"{DIST_PACKAGES}/django"),
            files=DJANGO,
        )
        for version in ("5.2.7", "5.2.8")
    ),
    *(
        Recipe(
            name="requests",
            wheel=f"requests-{version[:6]}",
            version=version,
            head="%pycache_sys_no_bytecompile",
            files=REQUESTS_FILES,
            is_twin=version.endswith("+twin"),
        )
        for version in ("2.32.4", "2.32.5", "2.32.5+twin")
    ),
    *(
        Recipe(
            name="gizmo",
            wheel=f"bottle-{version}",
            version=version,
            target=PRIVATE,
            install=f"%pycache_sys_root {PRIVATE} >=3.9",
            files=GIZMO_FILES,
        )
        for version in ("0.13.3", "0.13.4")
    ),
    Recipe(
        name="sealed",
        wheel="six-1.17.0",
        version="1.17.0",
        target=f"{DIST_PACKAGES}/sealed",
        install=(
            f"/usr/bin/python3 -m compileall -q -b -s %{{buildroot}} -p / "
            f"%{{buildroot}}{DIST_PACKAGES}/sealed; rm %{{buildroot}}{DIST_PACKAGES}/sealed/*.py"
        ),
        files=(f"{DIST_PACKAGES}/sealed",),
    ),
)
"""Django has bytecode beside its sources, as Fedora's packages have; gizmo has its own bottle."""


def with_tools(suite: Suite, base: Image) -> Image:
    """Return a machine that builds and installs RPM packages, without dpkg's like them."""
    install = "DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends "
    return layer_on(
        base,
        f"rpm-{suite.name}",
        (),
        install + " ".join(TOOLS),
        f"dpkg --purge --force-depends {' '.join((*REPLACED, *NEEDLESS))}",
    )


def wheels() -> Path:
    """Return a folder with the projects' wheels, fetched by pip once."""
    digest = hashlib.sha256("\n".join((RECIPE, *WHEELS)).encode()).hexdigest()[:12]
    with locked("wheels") as cache:
        wanted = cache / f"wheels-{digest}"
        if not wanted.is_dir():
            for outdated in cache.glob("wheels-*"):
                shutil.rmtree(outdated)
            partial = cache / "wheels-partial"
            for one in WHEELS:
                pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
                options = ["--only-binary=:all:", "--python-version=3.11", "--dest", str(partial)]
                subprocess.run([*pip, *options, one], check=True)
            partial.rename(wanted)
        return wanted


def export(target: Path) -> str:
    """Copy what a source tarball has to a folder, as git knows it or would; return a digest."""
    git = ["git", "-c", "safe.directory=*", "ls-files", "-z", "-co", "--exclude-standard", "--"]
    command = [*git, *PARTS, *PARTS_FILES]
    done = subprocess.run(command, cwd=REPOSITORY, stdout=subprocess.PIPE, check=True)
    digest = hashlib.sha256(RECIPE.encode())
    for name in sorted({name for name in done.stdout.decode().split("\0") if name}):
        source, copy = REPOSITORY / name, target / name
        if source.is_file():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, copy)
            digest.update(f"{name}\0{source.stat().st_mode & 0o111}\0".encode())
            digest.update(copy.read_bytes())
    digest.update(repr((RECIPES, STAND_IN, COMMON, SPEC, WHEELS, MANY)).encode())
    return digest.hexdigest()[:16]


def built(suite: Suite, tools: Image) -> Path:
    """Return a folder with all packages, as the release's own rpmbuild makes them."""
    with scratch_folder() as folder:
        top = folder / f"pycache-sys-{own_version()}"
        digest = export(top)
        with locked(f"rpms-{suite.name}") as cache:
            wanted = cache / f"rpms-{suite.name}-{digest}"
            if not wanted.is_dir():
                (folder / "build").mkdir()
                with tools.running(folder / "build") as chroot:
                    tarball = chroot.path(f"/srv/{top.name}.tar.gz")
                    call("tar", "-czf", str(tarball), "-C", str(folder), top.name)
                    build_all(suite, chroot, f"/srv/{tarball.name}")
                    for outdated in cache.glob(f"rpms-{suite.name}-*"):
                        shutil.rmtree(outdated)
                    partial = cache / f"rpms-{suite.name}-partial"
                    shutil.rmtree(partial, ignore_errors=True)
                    shutil.copytree(chroot.path("/srv/build/RPMS/noarch"), partial)
                partial.rename(wanted)
            return wanted


def own_version() -> str:
    """Read the version that the package says it has."""
    text = (REPOSITORY / "src/pycache_sys/__init__.py").read_text()
    return text.partition('__version__ = "')[2].partition('"')[0]


def rpmbuild(chroot: Chroot, *arguments: str) -> str:
    """Build in the chroot; what builds is dpkg's, so that rpm knows of no build dependency."""
    done = chroot.attempt("rpmbuild", "--nodeps", "--define", "_topdir /srv/build", *arguments)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    return done.stdout


def build_all(suite: Suite, chroot: Chroot, tarball: str) -> None:
    """Build ours, in two releases, and then, with our macros, all others."""
    rpmbuild(chroot, "-ta", tarball)
    rpmbuild(chroot, "-ta", "--define", "dist .1", tarball)
    macros = f"pycache-sys-rpm-macros-{own_version()}-1.noarch.rpm"
    inside = f"/srv/build/RPMS/noarch/{macros}"
    chroot.run("rpm", "--upgrade", "--nodeps", "--nosignature", inside)
    version = suite.interpreters[0].directory
    owned = "\n".join(f"/usr/{place}" for place in COMMON)
    build_spec(chroot, STAND_IN.format(version=version, places=" ".join(COMMON), owned=owned))
    for recipe in RECIPES:
        stage(chroot, recipe)
        build_spec(chroot, spec_of(recipe))
    build_spec(chroot, many_files())


def build_spec(chroot: Chroot, text: str, *arguments: str) -> str:
    """Build binary packages from the text of a spec."""
    chroot.path("/srv/one.spec").write_text(text)
    return rpmbuild(chroot, "-bb", *arguments, "/srv/one.spec")


def spec_of(recipe: Recipe) -> str:
    """Write the spec of a package whose files are staged."""
    return SPEC.format(
        head=recipe.head,
        name=recipe.name,
        version=recipe.version,
        stage=STAGE,
        install=recipe.install,
        files="\n".join(recipe.files),
    )


def stage(chroot: Chroot, recipe: Recipe) -> None:
    """Lay out a wheel's files, all of one time, as they are in the package."""
    folder = chroot.path(STAGE)
    shutil.rmtree(folder, ignore_errors=True)
    target = chroot.path(STAGE + recipe.target)
    target.mkdir(parents=True)
    (archive,) = wheels().glob(f"{recipe.wheel}-*.whl")
    with zipfile.ZipFile(archive) as wheel:
        for name in wheel.namelist():
            if recipe.target == DIST_PACKAGES or ".dist-info/" not in name:
                wheel.extract(name, target)
    scripts = [path for path in target.glob("*.data") if path.is_dir()]
    for path in scripts:
        shutil.rmtree(path)
    for path in [*folder.rglob("*"), folder]:
        path.chmod(0o755 if path.is_dir() else 0o644)
        os.utime(path, (CLAMPED, CLAMPED))
    if recipe.is_twin:
        changed = [path for path in target.rglob("*.py") if change(path)]
        assert changed, "nothing differs"


def many_files() -> str:
    """Write the spec of a package with more files than a pipe takes unread.

    They are listed like others, but do not have to be written each time.
    """
    place = f"{DIST_PACKAGES}/many"
    write = f"seq -f 'a-file-with-a-name-that-is-not-short-%06.0f.txt' {MANY} | xargs touch"
    return f"""\
%global __os_install_post %{{nil}}
Name: many
Version: 1
Release: 1
Summary: a package made for a test
License: MIT
BuildArch: noarch
AutoReqProv: no
%description
A package made for a test.
%install
mkdir -p %{{buildroot}}{place}
cd %{{buildroot}}{place}
{write}
%files
%dir {place}
%ghost {place}/*
"""


@contextmanager
def system_in(outer: Chroot, image: Image) -> Iterator[Chroot]:
    """Mount another machine in one that runs, for tools that install into a root of theirs."""
    place = outer.path("/srv/system")
    place.mkdir()
    with scratch_folder() as folder, image.running(folder) as inner:
        subprocess.run(["mount", "--rbind", inner.root, place], check=True)
        try:
            yield inner
        finally:
            subprocess.run(["umount", "--recursive", "--lazy", place], check=True)


def archive(name: str, version: str, release: str = "1") -> str:
    """Say where a package is, as each chroot sees it."""
    return f"{RPMS}/{name}-{version}-{release}.noarch.rpm"


def ours(release: str = "1") -> list[str]:
    """Say where our packages are."""
    return [archive(name, own_version(), release) for name in OURS]
