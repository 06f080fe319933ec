"""Read the policy's files where start-up reads them, and say of each why it would not count."""

import os
from collections.abc import Iterable

from pycache_sys.core.model import Reason, Refusal
from pycache_sys.policy import BCEP, REGISTRY
from pycache_sys.policy.exclusion import Exemption, parse_exemption
from pycache_sys.policy.problems import Location, Problem
from pycache_sys.system.sources import examine
from pycache_sys.system.trust import Trust, refusal_of
from pycache_sys_runtime import policy as runtime

_OPEN = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC  # a FIFO must not hold us up
_NOT_TEXT = frozenset(map(chr, (*range(32), 127))) - {"\t", "\n"}
_IGNORED = "until then it does not count for any interpreter"


class Reader:
    """Reads files that a rule trusts, and collects problems."""

    def __init__(self, trust: Trust) -> None:
        self._trust = trust
        self.problems: list[Problem] = []

    def system(self) -> list[tuple[str, str]]:
        """Read the system's policy: (path, text), the lowest precedence first."""
        return runtime.read_files(
            runtime.MAIN_FILES, runtime.DROP_IN_DIRECTORIES, self.read, self.names
        )

    def registry(self) -> list[tuple[str, str]]:
        """Read what packages have registered, in the order of the files' names."""
        found = []
        for name in sorted(self.names(REGISTRY)):
            text = self.read(f"{REGISTRY}/{name}") if name.endswith(".conf") else None
            if text:
                found.append((f"{REGISTRY}/{name}", text))
        return found

    def exemptions(self) -> tuple[Exemption, ...]:
        """Read what Debian's packages ask to be left out, as py3compile(1) does."""
        found = []
        for name in sorted(self.names(BCEP)):
            path = f"{BCEP}/{name}"
            text = None if name.startswith(".") else self.read(path)
            for number, line in enumerate((text or "").split("\n"), 1):
                exemption = parse_exemption(line, f"{path}:{number}")
                if exemption is not None:
                    found.append(exemption)
        return tuple(found)

    def names(self, directory: str) -> list[str]:
        """List a directory's names; one that others may write is a problem."""
        try:
            names = os.listdir(directory)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            self._complain(directory, f"cannot be read: {error.strerror}")
            return []
        refusal = self._trust.directory(directory)
        if refusal is not None:
            self._refuse(directory, refusal)
            return []
        return names

    def read(self, path: str) -> str | None:
        """Read one file; "" where it is masked, None where it is absent."""
        try:
            if os.path.islink(path) and os.readlink(path) == os.devnull:
                return ""
            if not os.path.lexists(path):
                return None
            refusal = self._trust.directory(os.path.dirname(path))
            if refusal is None:
                found = examine(path, self._trust)
                refusal = found if isinstance(found, Refusal) else None
            if refusal is not None:
                self._refuse(path, refusal)
                return ""
            return self._read(path)
        except OSError as error:
            self._complain(path, refusal_of(error).detail, "make it readable, or remove it")
            return ""

    def _read(self, path: str) -> str:
        with open(os.open(path, _OPEN), "rb") as file:
            content = file.read(runtime.SIZE_LIMIT + 1)
        if len(content) > runtime.SIZE_LIMIT:
            self._complain(
                path,
                f"it is longer than {runtime.SIZE_LIMIT} bytes",
                f"divide it: drop-ins go to {path}.d; {_IGNORED}",
            )
            return ""
        text = content.decode("utf-8", "surrogateescape")
        self.problems += problems_of_text(path, text)
        return text

    def _refuse(self, path: str, refusal: Refusal) -> None:
        detail = refusal.detail
        about_itself = detail.startswith((f"{path} ", f"{path}:"))
        self._complain(path, f"it{detail[len(path) :]}" if about_itself else detail, _mend(refusal))

    def _complain(self, path: str, message: str, hint: str = "") -> None:
        self.problems.append(Problem(at=Location(file=path), message=message, hint=hint))


def problems_of_text(path: str, text: str) -> Iterable[Problem]:
    """Find what is no text: bytes that are not UTF-8, control characters, DOS's line ends.

    One problem of each kind is enough, at its first place.
    """
    told = set()
    for number, line in enumerate(text.split("\n"), 1):
        if line.isprintable():
            continue
        for column, character in enumerate(line, 1):
            found = _judge_character(character, is_last=column == len(line))
            if found is not None and found[0] not in told:
                told.add(found[0])
                yield Problem(
                    at=Location(file=path, line=number, column=column),
                    message=found[0],
                    hint=found[1],
                    source=line,
                )


def _judge_character(character: str, *, is_last: bool) -> tuple[str, str] | None:
    if "\udc80" <= character <= "\udcff":
        return "a byte that is not UTF-8", "write the file in UTF-8"
    if character == "\r" and is_last:
        return "the line ends as in DOS, in CR LF", "take the CRs out: sed -i 's/\\r$//' FILE"
    if character == "\ufeff":
        return "a byte order mark", "save the file without it"
    if character in _NOT_TEXT:
        return f"the control character U+{ord(character):04X}", "take it out"
    return None


def _mend(refusal: Refusal) -> str:
    match refusal.reason:
        case Reason.WRONG_OWNER | Reason.WRITABLE_BY_OTHERS:
            return f"chown root and chmod go-w what is named; {_IGNORED}"
        case Reason.NOT_READABLE_BY_ALL:
            return "chmod a+r: everybody's interpreters read it"
        case Reason.NOT_REGULAR:
            return f"put a file there, or nothing; {_IGNORED}"
        case Reason.DANGLING_LINK | Reason.LINK_LOOP:
            return f"mend the link; to mask a file, link it to /dev/null; {_IGNORED}"
        case _:
            return _IGNORED
