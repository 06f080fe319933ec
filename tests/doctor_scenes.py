"""Scenes for the checks of ``doctor`` in which all is well, but for some parts."""

from collections.abc import Callable
from typing import Any

from pycache_sys.core.findings import Diagnosis, Finding
from pycache_sys.core.model import Interpreter
from pycache_sys.core.plan import Order, Plan
from pycache_sys.core.report import InterpreterNote, Report
from pycache_sys.doctor.scene import Request, Scene, Survey
from pycache_sys.enable import Delivery
from pycache_sys.policy.model import Policy
from pycache_sys.policy.parse import parse
from pycache_sys.system.users.as_user import Login

PYTHON = Interpreter(
    path="/usr/bin/python3.13",
    binary="/usr/bin/python3.13",
    version=(3, 13, 5),
    implementation="cpython",
    cache_tag="cpython-313",
    magic=b"\xf3\r\r\n",
    directory="3.13",
    environment="",
    library=("/usr/lib/python3.13",),
    site=("/usr/local/lib/python3.13/dist-packages",),
)
ADA = Login("ada", 1001, 1002, (1002,))
OLD = (3425).to_bytes(2, "little") + b"\r\n"


def policy_of(text: str) -> Policy:
    return parse([("/etc/x.conf", text)], lambda *_: None)[0]


def scene(text: str = "", **parts: Any) -> Scene:
    """Give a scene in which all is well, but for some parts."""
    made = Scene(Request(), Diagnosis())
    survey = Survey(Report(tree="/var/cache/python", dry_run=True))
    survey.report.interpreters = [InterpreterNote(path=PYTHON.path, interpreter=PYTHON)]
    usual = {
        "examined": (policy_of(text), []),
        "survey": survey,
        "top_is_usable": True,
        "deliveries": [delivery()],
        "looks": [],
        "is_root": True,
    }
    vars(made).update(usual | parts)
    return made


def delivery(**more: Any) -> Delivery:
    hooked = {"path": PYTHON.path, "is_hooked": True, "files": ["/usr/lib/x/pycache-sys.pth"]}
    return Delivery(**(hooked | more))


def unhooked(**more: Any) -> Delivery:
    """Give what ``enable --show`` says of an interpreter without the hook."""
    return delivery(**({"is_hooked": False, "files": []} | more))


def plan(directory: str = "3.13", **more: Any) -> tuple[Plan, str]:
    tag = f"cpython-{directory.replace('.', '')}"
    made = Plan(Order(tree="/var/cache/python", directory=directory, cache_tag=tag, magic=b""))
    for name, value in more.items():
        setattr(made, name, value)
    return made, directory if directory != "3.13" else PYTHON.path


def check(make: Callable[[Scene], None], place: Scene) -> list[Finding]:
    make(place)
    return place.result.findings


def one(make: Callable[[Scene], None], place: Scene) -> Finding:
    (found,) = check(make, place)
    return found
