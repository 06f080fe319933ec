"""dpkg: the files of an installed Debian package."""

from pycache_sys.packagers.query import list_files


def files_of(package: str) -> list[str] | None:
    """List a package's files; None where dpkg is absent or does not know it.

    ``package`` may carry an architecture (``python3-lxml:amd64``).
    """
    return list_files(["dpkg-query", "--listfiles", "--", package])
