"""What ``--python`` means: interpreters by path, or by version."""

from collections.abc import Sequence

from pycache_sys.discover import Admits


def parse_pythons(texts: Sequence[str]) -> tuple[list[str], list[Admits]]:
    """Divide what was given into paths and tests for an interpreter. Raises UsageError."""
    specifiers: list[Admits] = []
    for text in texts:
        if "/" not in text:
            from pycache_sys.core.specifiers import parse_specifier  # noqa: PLC0415 - loads packaging

            specifiers.append(parse_specifier(text).admits)
    return [text for text in texts if "/" in text], specifiers
