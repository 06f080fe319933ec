"""Choose one release or interpreter for each test: what ``--each-once`` runs."""

import re
import zlib
from collections.abc import Iterable, Mapping, Sequence

VARYING = ("suite", "python")
"""The parameters that a test may differ by and still be the same test."""


def name_without(test: str, parameters: str, varying: Iterable[str]) -> str:
    """Return a test's name and the ids of its parameters, without the ids of those that vary.

    An id is cut only where it stands as a whole: ``3.11`` stays in ``pypy3.11`` and in ``-V 3.11``.
    """
    for label in sorted(varying):
        whole = rf"(?:^|(?<=-)){re.escape(label)}(?:-|$)"
        parameters = re.sub(whole, "", parameters, count=1)
    return f"{test}[{parameters.rstrip('-')}]"


def labels(parameters: Mapping[str, object]) -> set[str]:
    """Return the ids of the parameters that vary, among all of a test's parameters.

    A release has a name, an interpreter is written as its version; some tests name an
    interpreter by its release.
    """
    found = set()
    for name in VARYING:
        value = parameters.get(name)
        for one in (value, getattr(value, "suite", None)):
            if one is not None:
                found.add(str(getattr(one, "name", one)))
    return found


def chosen(names: Sequence[str]) -> list[bool]:
    """Tell which tests run, given the name of each without what varies: one of each name.

    The choice depends on the name and on how many have it, so that it is the same everywhere and
    each release gets its share.
    """
    places: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        places.setdefault(name, []).append(place)
    run = {found[zlib.crc32(name.encode()) % len(found)] for name, found in places.items()}
    return [place in run for place in range(len(names))]
