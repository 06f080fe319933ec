"""Read what ``--python`` says when it is not a path.

Loads ``packaging``: import this module only when there is something to read.
"""

from dataclasses import dataclass

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from pycache_sys.core.errors import UsageError
from pycache_sys.core.model import Interpreter


@dataclass(frozen=True, slots=True, kw_only=True)
class Specifier:
    """Interpreters by implementation (any where empty) and PEP 440 version specifier."""

    implementation: str
    versions: SpecifierSet

    def admits(self, interpreter: Interpreter) -> bool:
        """Tell whether an interpreter is chosen."""
        version = ".".join(map(str, interpreter.version))
        return self.implementation in ("", interpreter.implementation) and self.versions.contains(
            version, prereleases=True
        )


def parse_specifier(text: str) -> Specifier:
    """Read ``>=3.12``, ``3.11`` (any 3.11.x), ``python3.13``, ``pypy3.11``, ``cpython<3.13``.

    Raises UsageError. Specifiers: https://peps.python.org/pep-0440/#version-specifiers
    """
    rest = text.strip()
    implementation = ""
    for word, name in (("cpython", "cpython"), ("python", "cpython"), ("pypy", "pypy")):
        if rest.startswith(word):
            implementation, rest = name, rest[len(word) :].strip()
            break
    if rest[:1].isdigit():
        rest = f"=={rest}" if rest.endswith("*") or rest.count(".") > 1 else f"=={rest}.*"
    try:
        return Specifier(implementation=implementation, versions=SpecifierSet(rest))
    except InvalidSpecifier as error:
        raise UsageError(
            f"--python {text!r} is neither a path nor a version specifier",
            hint="a path has a slash in it; versions look like 3.12, '>=3.11,<3.14', pypy3.11",
        ) from error
