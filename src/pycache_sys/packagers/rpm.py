"""rpm: the files of an installed RPM package."""

from pycache_sys.packagers.query import list_files


def files_of(package: str) -> list[str] | None:
    """List a package's files; None where rpm is absent or does not know it.

    A package name that stands for several installed versions or architectures gives the files of
    all of them.
    """
    return list_files(["rpm", "--query", "--queryformat", "[%{FILENAMES}\\n]", "--", package])
