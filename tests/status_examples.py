"""Standings that tests of ``status`` show: the one of its page, and an odd one."""

from collections import Counter

from pycache_sys.core.last_run import LastRun
from pycache_sys.core.model import Interpreter, Outcome, Reason
from pycache_sys.core.report import InterpreterNote
from pycache_sys.core.standing import Cache, Folder, Hook, Hooked, Share, Space, Standing, Use

DIST_PACKAGES = "/usr/lib/python3/dist-packages"
PTH = f"{DIST_PACKAGES}/pycache-sys.pth"
NOW = 1_795_000_000.0
HOUR = 3600
MIB = 1 << 20


def interpreter(folder: str, path: str, version: tuple[int, int, int]) -> Interpreter:
    name = "pypy" if folder.startswith("pypy") else "cpython"
    return Interpreter(
        path=path,
        binary=path,
        version=version,
        implementation=name,
        cache_tag="cpython-311",
        magic=b"\xa7\r\r\n",
        directory=folder,
        environment="",
        library=("/usr/lib/python3.11",),
        site=(DIST_PACKAGES,),
    )


def healthy() -> Standing:
    """Give what the page shows: all is well but three new sources."""
    python = interpreter("3.11", "/usr/bin/python3.11", (3, 11, 2))
    failure = Outcome(f"{DIST_PACKAGES}/old.py", Reason.SYNTAX, "line 3: invalid syntax")
    return Standing(
        tree="/var/cache/python",
        is_there=True,
        notes=[InterpreterNote(path=python.path, interpreter=python)],
        folders=[
            Folder(
                directory="3.11",
                versions=["3.11.2"],
                paths=[python.path],
                fresh=2029,
                missing=3,
                uncompilable=1,
                skips=Counter({Reason.DANGLING_LINK: 1}),
                space=Space(2029, 29 * MIB, 33 * MIB),
            )
        ],
        hooks=[Hooked(python.path, "3.11", Hook.ON, files=(PTH,))],
        last_run=LastRun(
            when=NOW - 3 * HOUR,
            seconds=7.5,
            counts={"compiled": 12, "fresh": 2017, "removed": 1, "failed": 1, "skipped": 1},
            program="0.1.0",
            failures=(failure,),
            interpreters=((python.path, "3.11"),),
        ),
        caches=[Cache("ada", 1001, "/home/ada/.cache/pycache-sys", 1814, 24 * MIB, 312, 3 * MIB)],
        packages=[
            Share("libpython3.11-stdlib", Space(270, 6 * MIB, 7 * MIB)),
            Share("python3-networkx", Space(563, 7 * MIB, 7 * MIB)),
            Share("", Space(3, 1000, 12288)),
        ],
        seconds=0.412,
    )


def odd(*, name: str = "x") -> Standing:
    """Give everything that can be off at once, in names that are as long as it is asked for."""
    first = interpreter("3.11", f"/opt/{name}/bin/python3.11", (3, 11, 2))
    second = interpreter("pypy3.11", "/usr/bin/pypy3", (3, 11, 13))
    third = InterpreterNote("/usr/bin/python3.7", None, (Reason.TOO_OLD, "it is 3.7"))
    failures = [
        Outcome(f"/usr/lib/{name}/{number}.py", Reason.SYNTAX, "line 1: \x1b[31m" + name)
        for number in range(8)
    ]
    return Standing(
        tree=f"/srv/{name}/tree",
        is_there=True,
        notes=[
            InterpreterNote(path=first.path, interpreter=first),
            InterpreterNote(path=second.path, interpreter=second),
            third,
        ],
        folders=[
            Folder(
                directory="3.11",
                versions=["3.11.2", "3.11.9"],
                paths=[first.path, "/usr/bin/python3.11"],
                fresh=123456,
                stale=7890,
                missing=12345,
                uncompilable=8,
                skips=Counter({Reason.EXCLUDED: 4321, Reason.WRONG_OWNER: 2}),
                stray=17,
                foreign=5,
                space=Space(131346, 1900 * MIB, 2100 * MIB),
            ),
            Folder(directory="pypy3.11", versions=["3.11.13"], paths=[second.path], fresh=1),
            Folder(directory="3.9", use=Use.NOT_INSTALLED, stray=3, space=Space(3, 1, 12288)),
            Folder(directory="3.10", use=Use.LEFT_OUT, stray=1, space=Space(1, 1, 4096)),
        ],
        hooks=[
            Hooked(first.path, "3.11", Hook.ON, True, (PTH, f"/etc/{name}/sitecustomize.py"), 2),
            Hooked("/usr/bin/python3.11", "3.11", Hook.POLICY),
            Hooked(second.path, "pypy3.11", Hook.OFF),
        ],
        last_run=LastRun(
            when=NOW - 90,
            seconds=0.25,
            counts={"compiled": 0, "fresh": 1, "removed": 0, "failed": 1700, "skipped": 0},
            stopped=f"/var/{name}: No space left on device",
            failures=tuple(failures),
        ),
        caches=[
            Cache(name, 1001, f"/home/{name}/.cache/pycache-sys", 200000, 900 * MIB),
            Cache("bob", 1002, "/home/bob/.cache/pycache-sys", refused="not-own"),
        ],
        packages=[
            Share(f"{name}-{number}", Space(10, 10 * MIB >> number, 10 * MIB >> number))
            for number in range(30)
        ],
        failures=[Outcome(second.path, Reason.WORKER, "it does not start")],
    )
