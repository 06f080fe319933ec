"""Which names in a tree are ours: what a verb that deletes may take. No I/O.

``debian/pycache-sys.postrm`` has the same rule in sh, for when no Python is left.
"""

from pycache_sys.core.names import tag_of
from pycache_sys.core.plan import is_temporary
from pycache_sys_runtime import layout

_OPTIMIZATIONS = ("", "1", "2")
_OURS = ("3.", "pypy3.")


def source_of_entry(path: str, tag: str | None) -> tuple[str, str] | None:
    """Name the source and the optimization of an entry, by its path below the top.

    None for every path that no run of ours would give, and without a tag.
    """
    folder = path.partition("/")[0]
    named = layout.source_path(path, folder, tag) if tag else None
    return named if named and named[1] in _OPTIMIZATIONS else None


def entries_of(source: str, folder: str, tag: str) -> list[str]:
    """Name a source's entries of all levels, by their paths below the top."""
    paths = [layout.cache_path(source, folder, tag, level) for level in _OPTIMIZATIONS]
    return [path for path in paths if path is not None]


def is_folder_of_ours(name: str) -> bool:
    """Tell whether a name at the top is that of an interpreter's folder."""
    return name.isascii() and name.startswith(_OURS) and tag_of(name) is not None


def is_named_by_us(path: str) -> bool:
    """Tell whether a regular file has a name that a run of ours gives, whatever is in it."""
    folder, _, rest = path.partition("/")
    if is_temporary(path.rpartition("/")[2]):
        return not rest or is_folder_of_ours(folder)
    return is_folder_of_ours(folder) and source_of_entry(path, tag_of(folder)) is not None
