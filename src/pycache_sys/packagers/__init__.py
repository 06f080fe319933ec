"""Package managers: which files belong to this package? Nothing else."""

from collections.abc import Callable

from pycache_sys.core.errors import UsageError
from pycache_sys.packagers import alpm, dpkg, rpm

PACKAGERS: dict[str, Callable[[str], list[str] | None]] = {
    "dpkg": dpkg.files_of,
    "rpm": rpm.files_of,
    "pacman": alpm.files_of,
}


def files_of(package: str) -> list[str]:
    """List a package's files as absolute paths, from the first package manager that knows it.

    Raises UsageError where none does.
    """
    for list_files in PACKAGERS.values():
        files = list_files(package)
        if files is not None:
            return files
    raise UsageError(
        f"no package {package!r} is installed",
        hint=f"asked were: {', '.join(PACKAGERS)}; the name is the one they know it by",
    )
