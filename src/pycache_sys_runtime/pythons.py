"""Match an interpreter with a version specifier, without a library: a start-up loads none."""

SEVERAL_PYTHONS = 1
ONE_PYTHON = 2
"""How specific a section for interpreters is, among those of ``policy``."""

_IMPLEMENTATIONS = (("cpython", "cpython"), ("python", "cpython"), ("pypy", "pypy"))
_OPERATORS = (">=", "<=", "==", "!=", "~=", ">", "<")


def match_python(text, implementation, version):
    # type: (str, str, tuple[int, int, int]) -> int
    """Match what stands behind ``python`` in a section with an interpreter.

    ``>=3.12``, ``3.11`` (any 3.11.x), ``cpython<3.13``, ``pypy``: an implementation, the version
    specifiers of PEP 440 without pre-releases, or both. Returns ``ONE_PYTHON`` where one version
    is named, ``SEVERAL_PYTHONS`` where more fit, -1 where this one does not fit, and -2 where the
    text is not understood.
    """
    rest = text
    fits = True
    for word, name in _IMPLEMENTATIONS:
        if text.startswith(word):
            fits = name == implementation
            rest = text[len(word) :].strip()
            if not rest:
                return SEVERAL_PYTHONS if fits else -1
            break
    if rest[:1].isdigit():
        first, comma, others = rest.partition(",")
        first = first.strip()
        first += "" if first[-1:] == "*" or first.count(".") > 1 else ".*"
        rest = "==" + first + comma + others
    for clause in rest.split(","):
        verdict = _fits(clause.strip(), version)
        if verdict is None:
            return -2
        fits = fits and verdict
    if not fits:
        return -1
    return ONE_PYTHON if rest[:2] == "==" and "," not in rest else SEVERAL_PYTHONS


def _fits(clause, version):
    # type: (str, tuple[int, int, int]) -> bool | None
    """Compare a version with one clause of a specifier; None where it is not understood."""
    for operator in _OPERATORS:
        if clause.startswith(operator):
            break
    else:
        return None
    text = clause[len(operator) :].strip()
    has_star = text.endswith(".*")
    parts = (text[:-2] if has_star else text).split(".")
    if len(parts) > 3 or not all(p.isdigit() and p.isascii() and len(p) < 6 for p in parts):
        return None
    if has_star and operator not in ("==", "!="):
        return None
    if operator == "~=" and len(parts) < 2:
        return None
    wanted = [int(part) for part in parts]
    return _holds(operator, version, wanted, len(wanted) if has_star else 3)


def _holds(operator, version, wanted, length):
    # type: (str, tuple[int, int, int], list[int], int) -> bool
    """Compare the first parts of a version, as PEP 440 does: missing ones are 0."""
    have = list(version[:length])
    want = [*wanted, 0, 0][:length]
    if operator == "==":
        return have == want
    if operator == "!=":
        return have != want
    if operator == "~=":
        return have >= want and have[: len(wanted) - 1] == wanted[:-1]
    if operator[0] == ">":
        return have > want or (operator == ">=" and have == want)
    return have < want or (operator == "<=" and have == want)
