"""The use case ``explain``: which file would be loaded, from which layer, and why no other."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pycache_sys.core.errors import PycacheSysError, UsageError
from pycache_sys.core.explanation import Answer, Hooked, Layer, Module, Writing, parse_answer
from pycache_sys.core.model import Reason
from pycache_sys.core.report import InterpreterNote
from pycache_sys.core.why import HOOK_WORDS, Who, layer_reason, writing_reason
from pycache_sys.discover import Admits, select_interpreters
from pycache_sys.policy.model import Policy
from pycache_sys.system.access import Access
from pycache_sys.system.machine.mounts import Mounts
from pycache_sys.system.pythons.normal_starts import ask, start_environment
from pycache_sys.system.trust import OwnTrust

JSON_VERSION = 1
_NO_MATTER = (Reason.EXCLUDED, Reason.TOO_OLD, Reason.NO_CACHE_TAG)
_OTHERS = (Reason.WRONG_OWNER, Reason.WRITABLE_BY_OTHERS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Modules and paths, the interpreters to ask, and whose start it is.

    ``environ`` is the environment of that start, ``directory`` where it happens.
    """

    asked: Sequence[str]
    python_paths: Sequence[str] = ()
    python_specifiers: Sequence[Admits] = ()
    policy: Policy = Policy()  # noqa: RUF009 - frozen
    environ: Mapping[str, str] = field(default_factory=dict)
    directory: str = "/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """What one interpreter loads, or why it was not asked."""

    path: str
    folder: str = ""
    answer: Answer | None = None
    failure: str = ""
    hint: str = ""

    @property
    def is_loaded(self) -> bool:
        """Tell whether every module would be loaded."""
        return self.answer is not None and all(one.is_loaded for one in self.answer.modules)

    def as_json(self, who: Who) -> dict[str, Any]:
        """Return the documented JSON object."""
        answer = self.answer
        return {
            "path": self.path,
            "directory": self.folder or None,
            "failure": self.failure or None,
            "uid": answer.uid if answer else None,
            "hook": answer.hook is Hooked.ON if answer else None,
            "hook_detail": HOOK_WORDS[answer.hook] if answer else None,
            "pycache_prefix": (answer.prefix or None) if answer else None,
            "modules": [_module_as_json(one, answer, who) for one in answer.modules]
            if answer
            else [],
        }


def explain(request: Request) -> list[Explained]:
    """Ask each interpreter what it would load; nothing is executed of that, nothing is written."""
    asked = [as_asked(text, request.directory) for text in request.asked]
    access = Access(trust=OwnTrust(), account=None, mounts=Mounts(), is_restricted=False)
    notes = select_interpreters(
        request.python_paths, request.python_specifiers, access, request.policy
    )
    return [
        _explain(note, asked, request) for note in notes if note.named or not _is_no_matter(note)
    ]


def as_asked(text: str, directory: str) -> str:
    """Tell a path, which has a slash or ends in ``.py``, from a module; make it absolute.

    Raises UsageError for what is neither.
    """
    if "/" in text or text.endswith((".py", ".pyc")):
        return os.path.normpath(os.path.join(directory, text))
    if not all(text.split(".")):
        raise UsageError(
            f"{text!r} is no module", hint="a module is named like json.decoder, a file like ./x.py"
        )
    return text


def _is_no_matter(note: InterpreterNote) -> bool:
    return note.refusal is not None and note.refusal[0] in _NO_MATTER


def _explain(note: InterpreterNote, asked: Sequence[str], request: Request) -> Explained:
    interpreter = note.interpreter
    if interpreter is None or note.refusal is not None:
        reason, detail = note.refusal or (Reason.BROKEN, "")
        hint = "to look as its owner does, name that user with --user" if reason in _OTHERS else ""
        return Explained(path=note.path, failure=detail, hint=hint)
    is_root = os.geteuid() == 0
    variables = start_environment(request.environ, is_root=is_root, directory=request.directory)
    answer = None
    try:
        printed = ask(note.path, [request.directory, *asked], variables)
        answer = parse_answer(printed, asked)
        failure = "" if answer else "what it answers is not understood"
    except PycacheSysError as error:
        failure = str(error)
    return Explained(path=note.path, folder=interpreter.directory, answer=answer, failure=failure)


def _module_as_json(module: Module, answer: Answer, who: Who) -> dict[str, Any]:
    writing = module.writing
    return {
        "asked": module.asked,
        "kind": str(module.kind),
        "loaded": module.is_loaded,
        "path": module.path or None,
        "layer": str(module.served) or None,
        "file": module.file or None,
        "loader": module.loader or None,
        "failure": module.failure or module.detail or None,
        "locations": list(module.locations),
        "at_start": module.is_at_start,
        "layers": [_layer_as_json(layer, module, answer, who) for layer in module.layers],
        "write": _writing_as_json(writing, answer, who) if writing else None,
    }


def _layer_as_json(layer: Layer, module: Module, answer: Answer, who: Who) -> dict[str, Any]:
    words = layer_reason(layer, module, answer, who)
    return {
        "layer": str(layer.place),
        "path": layer.path or None,
        "why": str(layer.why) or None,
        "detail": words.text,
        "culprit": layer.culprit.path if layer.culprit else None,
    }


def _writing_as_json(writing: Writing, answer: Answer, who: Who) -> dict[str, Any]:
    return {
        "path": writing.path or None if not writing.why else None,
        "why": str(writing.why) or None,
        "detail": writing_reason(writing, answer, who).text,
        "culprit": writing.culprit.path if writing.culprit else None,
    }
