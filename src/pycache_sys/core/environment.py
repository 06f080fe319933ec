"""The environment of the programs that are run."""

from collections.abc import Mapping


def environment(caller: Mapping[str, str], *, is_root: bool) -> dict[str, str]:
    """Return a child's environment: none of the caller's for root, none of Python's for others."""
    if is_root:
        return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
    return {name: value for name, value in caller.items() if not name.startswith("PYTHON")}
