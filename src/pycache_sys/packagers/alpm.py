"""alpm: the files of a package that pacman has installed."""

from pycache_sys.packagers.query import list_files


def files_of(package: str) -> list[str] | None:
    """List a package's files; None where pacman is absent or does not know it."""
    return list_files(["pacman", "--query", "--list", "--quiet", "--", package])
