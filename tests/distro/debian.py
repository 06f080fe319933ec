"""The Debian releases under test: their interpreters, packages and modules."""

from dataclasses import dataclass

STDLIB = (
    "argparse",
    "asyncio",
    "calendar",
    "concurrent.futures",
    "configparser",
    "csv",
    "ctypes",
    "dataclasses",
    "decimal",
    "difflib",
    "email.message",
    "fractions",
    "gzip",
    "hashlib",
    "html.parser",
    "http.server",
    "ipaddress",
    "json",
    "logging.config",
    "multiprocessing",
    "pathlib",
    "pickle",
    "sqlite3",
    "ssl",
    "statistics",
    "tarfile",
    "tempfile",
    "unittest",
    "urllib.request",
    "uuid",
    "xml.etree.ElementTree",
    "xmlrpc.client",
    "zipfile",
    "zoneinfo",
)

PURE = (
    "attr",
    "babel",
    "bs4",
    "click",
    "dateutil.parser",
    "django",
    "docutils.core",
    "flask",
    "idna",
    "jinja2",
    "mako.template",
    "markdown",
    "packaging.version",
    "platformdirs",
    "pygments.lexers",
    "requests",
    "sqlalchemy",
    "twisted.internet.defer",
    "urllib3",
    "werkzeug.routing",
    "yaml",
)

EXTENSIONS = ("cryptography.x509", "lxml.etree", "numpy", "paramiko", "psutil")
"""Modules of packages whose extensions are built for CPython only."""

PYPY_BOOTSTRAP = frozenset(
    {
        "codecs.py",
        "encodings/__init__.py",
        "encodings/aliases.py",
        "encodings/latin_1.py",
        "encodings/utf_8.py",
    }
)
"""What PyPy imports before it reads the prefix, relative to its standard library."""

PACKAGES = (
    "passwd",
    "python3",
    "python3-attr",
    "python3-babel",
    "python3-bs4",
    "python3-click",
    "python3-cryptography",
    "python3-dateutil",
    "python3-django",
    "python3-docutils",
    "python3-flask",
    "python3-jinja2",
    "python3-lxml",
    "python3-mako",
    "python3-markdown",
    "python3-numpy",
    "python3-packaging",
    "python3-paramiko",
    "python3-platformdirs",
    "python3-psutil",
    "python3-pygments",
    "python3-requests",
    "python3-sqlalchemy",
    "python3-twisted",
    "python3-werkzeug",
    "python3-yaml",
    "rpm",
)

REINSTALLED = "python3-requests"
UPGRADED = "python3-idna"
REMOVED = "python3-markdown"
CHOSEN = "python3-jinja2"

DIST_PACKAGES = "/usr/lib/python3/dist-packages"
"""Where Debian's packages put their modules, for every interpreter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """An interpreter of a release: its command, its folder in the tree, its modules to import."""

    command: str
    directory: str
    cache_tag: str
    library: str
    modules: tuple[str, ...]
    bootstrap: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """A release of Debian and what is installed in its chroot.

    ``neighbour`` is the release that has another version of the upgraded package;
    ``packages_of_last`` is what the last interpreter is removed with; ``moving`` says that the
    archive itself may be broken on some days.
    """

    name: str
    interpreters: tuple[Interpreter, ...]
    extra_packages: tuple[str, ...]
    neighbour: str
    packages_of_last: tuple[str, ...] = ()
    moving: bool = False

    @property
    def packages(self) -> tuple[str, ...]:
        """Name everything that the chroot holds besides the essential packages."""
        return PACKAGES + self.extra_packages


def cpython(version: str) -> Interpreter:
    """Describe a CPython as Debian installs it."""
    return Interpreter(
        command=f"/usr/bin/python{version}",
        directory=version,
        cache_tag=f"cpython-{version.replace('.', '')}",
        library=f"/usr/lib/python{version}",
        modules=STDLIB + PURE + EXTENSIONS,
    )


def pypy(version: str) -> Interpreter:
    """Describe a PyPy as Debian installs it."""
    return Interpreter(
        command="/usr/bin/pypy3",
        directory=f"pypy{version}",
        cache_tag=f"pypy{version.replace('.', '')}",
        library=f"/usr/lib/pypy{version}",
        modules=STDLIB + PURE,
        bootstrap=PYPY_BOOTSTRAP,
    )


SUITES = (
    Suite(
        name="bookworm",
        interpreters=(cpython("3.11"),),
        extra_packages=(),
        neighbour="trixie",
    ),
    Suite(
        name="trixie",
        interpreters=(cpython("3.13"), pypy("3.11")),
        extra_packages=("pypy3",),
        neighbour="sid",
        packages_of_last=("pypy3", "pypy3-lib"),
    ),
    Suite(
        name="sid",
        interpreters=(cpython("3.14"), cpython("3.15")),
        extra_packages=("python3.14", "python3.15"),
        neighbour="trixie",
        packages_of_last=(
            "python3.15",
            "python3.15-minimal",
            "libpython3.15-stdlib",
            "libpython3.15-minimal",
        ),
        moving=True,
    ),
)
