"""The sources that a call of py3compile or py3clean names: a package's, or what is below a path."""

import os

from pycache_sys.core.errors import ExitStatus, PycacheSysError
from pycache_sys.packagers import dpkg


class NoSuchPackageError(PycacheSysError):
    """dpkg does not list the files of a package."""

    exit_status = ExitStatus.SOME_FAILED


def files_of(package: str) -> list[str]:
    """List a package's files, or raise NoSuchPackageError."""
    files = dpkg.files_of(package)
    if files is None:
        raise NoSuchPackageError(
            f"cannot get content of {package}",
            hint="is it installed? dpkg has no list of its files",
        )
    return files


def sources_of(package: str) -> list[str]:
    """List a package's sources, or raise NoSuchPackageError."""
    return [path for path in files_of(package) if path.endswith(".py")]


def sources_in(place: str) -> list[str]:
    """List the sources that a path names: itself, or what is below it. Links are not followed."""
    path = os.path.abspath(place)
    if path.endswith(".py") and os.path.isfile(path):
        return [path]
    found = []
    for directory, directories, names in os.walk(path):
        if "__pycache__" in directories:
            directories.remove("__pycache__")
        found += [f"{directory}/{name}" for name in names if name.endswith(".py")]
    return found
