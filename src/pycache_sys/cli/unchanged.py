"""``rebuild --if-changed``: at most boots nothing else is done, and nothing else is loaded."""

import argparse

from pycache_sys.core.errors import UsageError
from pycache_sys.system import stamp


def is_unchanged(namespace: argparse.Namespace) -> bool:
    """Tell whether everything is as the last run left it, and say so. Raises UsageError."""
    named = namespace.paths or namespace.package or namespace.from_stdin
    if named or namespace.python or namespace.tree or namespace.root or namespace.config:
        raise UsageError(
            "--if-changed is for the whole system tree",
            hint="leave out PATHs, --package, --from-stdin, --python, --tree, --root and --config",
        )
    if not stamp.is_current():
        return False
    if not namespace.quiet:
        print("pycache-sys: nothing has changed since the last run")
    return True
