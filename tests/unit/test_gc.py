"""``gc``: what goes from a cache and what stays, in real directories."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycache_sys import gc as module
from pycache_sys.core.errors import UsageError
from pycache_sys.core.tidying import HOUR, NO_LIMIT, SECOND, Limits, Refused, Tidied, Why
from pycache_sys.gc import Request, gc, tidy
from pycache_sys.policy.model import Policy
from pycache_sys.policy.parse import parse
from pycache_sys.system.machine import presence
from pycache_sys.system.users import as_user, user_cache
from pycache_sys.system.users.as_user import (
    FailedError,
    Login,
    NoAnswerError,
    caller,
    logins,
    work_as,
)
from pycache_sys_runtime import keep, layout
from strategies import components

DAY = 24 * HOUR
NOW = time.time_ns()
TAG = "cpython-311"
UID = os.geteuid()


@dataclass
class Watch:
    """Remembers what it heard."""

    caches: list[str] = field(default_factory=list)
    looks: int = 0
    gone: dict[str, Why] = field(default_factory=dict)
    stays: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def began(self, path: str) -> None:
        self.caches.append(path)

    def looked(self) -> None:
        self.looks += 1

    def removed(self, path: str, why: Why) -> None:
        self.gone[path] = why

    def left(self, path: str) -> None:
        self.stays.append(path)

    def failed(self, path: str, why: str) -> None:
        self.failures.append(f"{path}: {why}")


@dataclass(frozen=True)
class Place:
    """A cache, and a directory with sources."""

    cache: Path
    sources: Path

    def source(self, name: str = "module.py") -> Path:
        path = self.sources / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        return path

    def keep(self, name: str = "module.py", *, days: float = 0, size: int = 10) -> Path:
        """Write bytecode of a source, used so many days ago."""
        cached = layout.cache_path(str(self.sources / name), str(self.cache / "3.11"), TAG)
        assert cached is not None
        return self.put(Path(cached), days=days, size=size)

    def put(self, path: Path, *, days: float = 0, size: int = 10) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * size)
        used = NOW - int(days * DAY)
        os.utime(path, ns=(used, used))
        return path

    def tidy(
        self, *, max_age: int = NO_LIMIT, max_size: int = NO_LIMIT, dry_run: bool = False
    ) -> tuple[Tidied, Watch]:
        result, watch = Tidied(path=str(self.cache), user="me", uid=UID), Watch()
        limits = Limits(now=NOW, max_age=max_age, max_size=max_size)
        tidy(result, limits, watch, dry_run=dry_run)
        return result, watch

    def age(self) -> None:
        """Let all directories be old."""
        for path in (self.cache, *self.cache.rglob("*")):
            if path.is_dir() and not path.is_symlink():
                os.utime(path, ns=(NOW - DAY, NOW - DAY))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Give an empty cache, on a machine that has Python 3.11."""
    tmp_path.chmod(0o700)
    monkeypatch.setattr(presence, "SEARCHED", (str(tmp_path / "bin"),))
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python3.11").touch()
    found = Place(tmp_path / str(UID), tmp_path / "sources")
    found.source("other.py")
    found.cache.mkdir(mode=0o700)
    return found


def test_bytecode_of_a_source_that_is_there_stays(place: Place) -> None:
    place.source()
    kept = place.keep()
    result, watch = place.tidy()
    assert kept.exists()
    assert (result.left, result.left_space) == (1, kept.stat().st_blocks * 512)
    assert (result.files, result.directories, result.foreign, watch.looks) == (0, 0, 0, 1)


def test_bytecode_of_a_source_that_is_gone_goes_with_its_directories(place: Place) -> None:
    kept = place.keep("package/module.py")
    space = kept.stat().st_blocks * 512
    result, watch = place.tidy()
    assert watch.gone == {str(kept): Why.SOURCE_GONE}
    assert os.listdir(place.cache) == []
    assert (result.removed[Why.SOURCE_GONE], result.freed) == (1, space)
    assert result.directories == len(kept.relative_to(place.cache).parents) - 1


@pytest.mark.parametrize(
    ("accessed", "written", "goes"), [(91, 91, True), (91, 1, False), (1, 91, False)]
)
def test_the_later_of_both_times_says_when_it_was_used(
    place: Place, accessed: int, written: int, *, goes: bool
) -> None:
    place.source()
    kept = place.keep()
    os.utime(kept, ns=(NOW - accessed * DAY, NOW - written * DAY))
    result, _ = place.tidy(max_age=90 * DAY)
    assert kept.exists() != goes
    assert result.removed[Why.UNUSED] == goes


def test_beyond_the_size_the_longest_unused_go(place: Place) -> None:
    for number in range(5):
        place.source(f"module{number}.py")
    kept = [place.keep(f"module{number}.py", days=number, size=4000) for number in range(5)]
    space = kept[0].stat().st_blocks * 512
    result, watch = place.tidy(max_size=3 * space)
    assert [path.exists() for path in kept] == [True, True, True, False, False]
    assert set(watch.gone.values()) == {Why.OVER_SIZE}
    assert (result.removed[Why.OVER_SIZE], result.left, result.left_space) == (2, 3, 3 * space)
    assert place.tidy(max_size=3 * space)[0].files == 0


def test_what_goes_anyway_does_not_count_for_the_size(place: Place) -> None:
    place.source()
    kept = place.keep(size=4000)
    gone = place.keep("gone.py", size=4000)
    result, _ = place.tidy(max_size=kept.stat().st_blocks * 512)
    assert (kept.exists(), gone.exists(), result.files) == (True, False, 1)


def test_a_dry_run_says_the_same_and_does_nothing(place: Place) -> None:
    for number in range(6):
        if number != 2:
            place.source(f"package{number}/module.py")
        place.keep(f"package{number}/module.py", days=number, size=4000)
    place.put(place.cache / "3.11" / "srv" / keep_name(), days=1)
    place.put(place.cache / "3.11" / "srv" / "foreign.pyc")
    place.age()
    (place.cache / "3.11" / "empty").mkdir()
    os.utime(place.cache / "3.11" / "empty", ns=(NOW - DAY, NOW - DAY))
    before = seen(place.cache)
    space = 4096
    limits = {"max_age": 4 * DAY + HOUR, "max_size": 2 * space}
    said, heard = place.tidy(**limits, dry_run=True)
    assert seen(place.cache) == before
    done, watch = place.tidy(**limits)
    assert said == done
    assert heard.gone == watch.gone
    assert {why for why in Why if done.removed[why]} == {
        Why.SOURCE_GONE, Why.UNUSED, Why.OVER_SIZE, Why.LEFTOVER,
    }  # fmt: skip
    assert done.directories == 5


def keep_name() -> str:
    return f".pycache-sys-{'0' * 16}.tmp"


def seen(top: Path) -> dict[str, int]:
    return {str(path): path.lstat().st_mtime_ns for path in (top, *top.rglob("*"))}


@pytest.mark.parametrize(("hours", "goes"), [(0.9, False), (1.1, True)])
def test_what_a_killed_program_left_half_written_goes_after_an_hour(
    place: Place, hours: float, *, goes: bool
) -> None:
    place.source()
    left = place.put(place.keep().with_name(keep_name()), days=hours / 24)
    result, _ = place.tidy()
    assert left.exists() != goes
    assert result.removed[Why.LEFTOVER] == goes
    assert (result.left, result.foreign) == (1, 0)


@pytest.mark.parametrize("days", [29, 31])
def test_of_an_interpreter_that_is_not_found_only_what_is_in_use_stays(
    place: Place, days: int
) -> None:
    place.source()
    lost = place.put(
        Path(str(place.keep()).replace("3.11", "3.99").replace("311", "399")), days=days
    )
    place.keep(days=days)
    result, _ = place.tidy()
    assert lost.exists() == (days < 30)
    assert result.removed[Why.INTERPRETER_GONE] == (days > 30)


@pytest.mark.parametrize(
    "name",
    [
        "3.11/srv/gone.pyc",
        "3.11/srv/gone.cpython-312.pyc",
        "3.11/srv/gone.txt",
        "3.11/srv/__pycache__/gone.cpython-311.pyc",
        "3.11/gone.cpython-311.pyc",
        "3.11/srv/.pycache-sys-0.tmp",
        "other/srv/gone.cpython-311.pyc",
        "gone.cpython-311.pyc",
    ],
)
def test_what_the_hook_would_not_have_named_so_stays_and_is_counted(
    place: Place, name: str
) -> None:
    foreign = place.put(place.cache / name, days=1000)
    place.age()
    result, watch = place.tidy(max_age=1, max_size=1)
    assert foreign.exists()
    assert (result.files, result.foreign, len(watch.stays)) == (0, 1, 1)
    assert str(foreign).startswith(watch.stays[0])


@pytest.mark.parametrize("kind", ["link", "directory", "fifo"])
def test_what_is_no_file_stays(place: Place, tmp_path: Path, kind: str) -> None:
    named = place.keep("gone.py")
    named.unlink()
    if kind == "link":
        place.put(tmp_path / "outside", days=1000)
        named.symlink_to(tmp_path / "outside")
    elif kind == "fifo":
        os.mkfifo(named)
    else:
        place.put(named / "file", days=1000)
    result, _ = place.tidy(max_age=1, max_size=1)
    assert os.path.lexists(named)
    assert (result.files, result.foreign) == (0, 1)


def test_an_empty_directory_goes_unless_somebody_has_just_made_it(place: Place) -> None:
    empty = place.cache / "3.11" / "srv" / "empty"
    empty.mkdir(parents=True)
    assert place.tidy()[0].directories == 0
    assert empty.exists()
    place.age()
    assert place.tidy()[0].directories == 3
    assert place.cache.exists()


def test_a_directory_that_cannot_be_changed_is_a_failure(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = place.keep("gone.py")

    class Os:
        def __getattr__(self, name: str) -> object:
            return getattr(os, name)

        def unlink(self, name: str, **_: int) -> None:
            raise PermissionError(13, "Permission denied", name)

    monkeypatch.setattr(user_cache, "os", Os())
    result, watch = place.tidy()
    assert kept.exists()
    assert (result.failed, result.files, result.is_sound) == (1, 0, False)
    assert watch.failures == [f"{kept}: Permission denied"]


def test_what_vanishes_meanwhile_is_no_failure(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = place.keep("gone.py")

    class Os:
        def __getattr__(self, name: str) -> object:
            return getattr(os, name)

        def unlink(self, name: str, *, dir_fd: int) -> None:
            os.unlink(name, dir_fd=dir_fd)
            os.unlink(name, dir_fd=dir_fd)

        def rmdir(self, name: str, *, dir_fd: int) -> None:
            os.rmdir(name, dir_fd=dir_fd)
            os.rmdir(name, dir_fd=dir_fd)

    monkeypatch.setattr(user_cache, "os", Os())
    result, watch = place.tidy()
    assert not kept.exists()
    assert (result.failed, watch.failures, os.listdir(place.cache)) == (0, [], [])


def test_a_directory_that_somebody_writes_to_meanwhile_stays(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = place.keep("gone.py")

    class Os:
        def __getattr__(self, name: str) -> object:
            return getattr(os, name)

        def rmdir(self, name: str, *, dir_fd: int) -> None:
            if not kept.exists():
                place.put(kept)
            os.rmdir(name, dir_fd=dir_fd)

    monkeypatch.setattr(user_cache, "os", Os())
    result, _ = place.tidy()
    assert kept.exists()
    assert (result.failed, result.directories) == (0, 0)


def test_what_is_nested_too_deeply_is_left(place: Place) -> None:
    deep = "/".join("d" * (user_cache.DEEPEST + 5))
    descriptor = os.open(place.cache, os.O_RDONLY)
    for name in ("3.11", *deep.split("/")):
        os.mkdir(name, dir_fd=descriptor)
        below = os.open(name, os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    os.close(descriptor)
    result, _ = place.tidy()
    assert (result.foreign, result.failed, result.directories) == (1, 0, 0)


def test_no_cache_is_no_failure(place: Place) -> None:
    place.cache.rmdir()
    result, _ = place.tidy()
    assert (result.is_there, result.is_sound) == (False, True)


@pytest.mark.parametrize("mode", [0o720, 0o702, 0o1777])
def test_a_cache_that_others_write_is_refused(place: Place, mode: int) -> None:
    kept = place.keep("gone.py")
    place.cache.chmod(mode)
    result, _ = place.tidy()
    assert (kept.exists(), result.refused) == (True, Refused.NOT_OWN)


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_directories_are_looked_at_again_when_they_are_open(
    place: Place, monkeypatch: pytest.MonkeyPatch, depth: int
) -> None:
    """They may have been exchanged since they were looked at by name."""
    top = place.cache / "deep" / "cache"
    top.mkdir(parents=True, mode=0o700)
    monkeypatch.setattr(user_cache, "is_ones_own", lambda *_: True)
    with user_cache.opened(str(top), UID, dry_run=False, young=0) as found:
        assert found.names() == []
    (top, *top.parents)[depth].chmod(0o777)
    with pytest.raises(user_cache.RefusedError) as refused:  # noqa: SIM117 - the second is what fails
        with user_cache.opened(str(top), UID, dry_run=False, young=0):
            pass
    assert refused.value.reason is Refused.NOT_OWN


def test_a_cache_that_is_a_link_is_refused(place: Place) -> None:
    kept = place.keep("gone.py")
    place.cache.rename(place.cache.with_name("aside"))
    place.cache.symlink_to("aside")
    result, _ = place.tidy()
    assert (kept.exists(), result.refused) == (True, Refused.LINK)


def test_a_file_in_the_place_of_a_cache_is_refused(place: Place) -> None:
    place.cache.rmdir()
    place.cache.touch(0o600)
    assert place.tidy()[0].refused is Refused.NOT_OWN


def test_the_hook_writes_again_where_a_directory_was_removed(place: Place) -> None:
    """It remembers which directories it has made: the first file is lost, the next is not."""
    source = place.source("package/module.py")
    path = str(place.keep("package/module.py"))
    made: set[str] = set()
    data = source.read_bytes()
    code = compile(data, str(source), "exec")

    def write() -> bool:
        return keep.keep(path, code, data, str(source), source.stat(), made)

    assert write()
    assert os.path.exists(path)
    place.tidy(max_size=1)
    assert os.listdir(place.cache) == []
    assert write()
    assert write()
    assert os.path.exists(path)


# nothing that the rule would not give

entries = st.tuples(
    st.sampled_from(["3.11", "3.12", "pypy3.9", "3.11t", "x"]),
    st.lists(st.sampled_from(["srv", "a", "__pycache__", "é", "m.cpython-311.pyc"]), max_size=3),
    st.one_of(
        components,
        st.sampled_from([keep_name(), ".pycache-sys-.tmp", "m.pyc", "m.py"]),
        st.tuples(
            st.sampled_from(["m", "a.b", "", "é", "m.cpython-311"]),
            st.sampled_from([".cpython-311", ".cpython-312", ".pypy39", "", ".cpython-311-pytest"]),
            st.sampled_from(["", ".opt-1", ".opt-3", ".opt-xyz", ".opt-", ".opt-x-y"]),
            st.sampled_from([".pyc", ".py", ".pyc~"]),
        ).map("".join),
    ),
)
TAGS = {"3.11": "cpython-311", "3.12": "cpython-312", "pypy3.9": "pypy39", "3.11t": "cpython-311"}


def is_named_by_the_hook(path: Path, cache: Path) -> bool:
    """Try each source whose bytecode this could be."""
    folder = path.relative_to(cache).parts[0]
    prefix, tag = str(cache / folder), TAGS.get(folder)
    if tag is None:
        return False
    if path.name == keep_name():
        return True
    directory = "/" + str(path.parent.relative_to(cache / folder))
    stems = {path.name[:end] for end in range(len(path.name))}
    marks = {path.name[a:b] for a in range(len(path.name)) for b in range(a, len(path.name) + 1)}
    return any(
        layout.cache_path(f"{directory}/{stem}.py", prefix, tag, mark) == str(path)
        for stem in stems
        if path.name.startswith(f"{stem}.{tag}")
        for mark in marks
        if not mark or (mark.isdecimal() and mark.isascii() and mark[0] != "0")
    )


@given(found=st.lists(entries, min_size=1, max_size=8), limit=st.sampled_from([1, NO_LIMIT]))
def test_nothing_goes_that_the_hook_would_not_have_named_so(
    tmp_path_factory: pytest.TempPathFactory, found: list[tuple[str, list[str], str]], limit: int
) -> None:
    cache = tmp_path_factory.mktemp("cache", numbered=True)
    written = set()
    for folder, directories, name in found:
        path = cache.joinpath(folder, *directories, name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x")
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            continue
        os.utime(path, ns=(NOW - 1000 * DAY,) * 2)
        written.add(path)
    result = Tidied(path=str(cache), user="me", uid=UID)
    tidy(result, Limits(now=NOW, max_age=DAY, max_size=limit), Watch(), dry_run=False)
    gone = {path for path in written if not path.exists()}
    assert gone == {path for path in written if is_named_by_the_hook(path, cache)}
    assert result.files == len(gone)


# whose caches


def policy(text: str) -> Policy:
    found, problems = parse([("/etc/pycacheprefix.conf", text)], lambda *_: None)
    assert not [problem for problem in problems if not problem.is_warning]
    return found


def everywhere(top: Path, more: str = "") -> Policy:
    """Let everybody's cache be in one directory."""
    users = "".join(f"{key} = {top.parent}/{{uid}}\n" for key in ("user-cache", "service-cache"))
    return policy(f"{users}root-cache = {top.parent}/0\n{more}")


def run(request: Request) -> tuple[list[Tidied], Watch]:
    results: list[Tidied] = []
    watch = Watch()
    gc(request, results, watch)
    return results, watch


def test_the_policy_says_where_and_how_much(place: Place) -> None:
    place.source()
    place.source("old.py")
    fresh, old = place.keep(size=4000), place.keep("old.py", days=91)
    (result,), watch = run(Request(policy=everywhere(place.cache)))
    assert (result.path, result.uid) == (str(place.cache), UID)
    assert watch.caches == [str(place.cache)]
    assert (fresh.exists(), old.exists(), result.removed[Why.UNUSED]) == (True, False, 1)
    limits = f"[user {UID}]\ncache-max-size = 1\n"
    (result,), _ = run(Request(policy=everywhere(place.cache, limits)))
    assert (fresh.exists(), result.removed[Why.OVER_SIZE]) == (False, 1)


def test_without_limits_nothing_goes_that_is_of_use(place: Place) -> None:
    place.source()
    kept = place.keep(days=10_000)
    limits = "cache-max-size = none\ncache-max-age = none\n"
    run(Request(policy=everywhere(place.cache, limits)))
    assert kept.exists()


def test_the_command_line_overrides_the_policy(place: Place) -> None:
    place.source()
    kept = place.keep(days=2)
    limits = "cache-max-size = 1\ncache-max-age = 1s\n"
    keep_all = Request(policy=everywhere(place.cache, limits), max_age=NO_LIMIT, max_size=NO_LIMIT)
    run(keep_all)
    assert kept.exists()
    run(Request(policy=everywhere(place.cache), max_age=DAY // SECOND))
    assert not kept.exists()


def test_a_policy_without_caches_leaves_nothing_to_do() -> None:
    off = policy("user-cache = off\nroot-cache = off\nservice-cache = off\n")
    assert run(Request(policy=off))[0] == []


def test_each_place_counts_that_the_policy_has_for_some_interpreter(tmp_path: Path) -> None:
    places = {"3.12": f"{tmp_path}/{{uid}}/a", "pypy>=3.10.5": f"{tmp_path}/{{uid}}/b/"}
    text = "".join(f"[python {who}]\nuser-cache = {top}\n" for who, top in places.items())
    ada = Login("ada", 1001, 1001, (1001,))
    caches = [cache.path for cache in module._caches(Request(policy=policy(text)), ada)]
    assert caches[-2:] == [f"{tmp_path}/1001/a", f"{tmp_path}/1001/b"]


def test_only_root_asks_for_everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "geteuid", lambda: 1001)
    with pytest.raises(UsageError, match="only root"):
        run(Request(everybody=True))


def test_each_account_is_listed_once() -> None:
    uids = [login.uid for login in logins()]
    assert uids == sorted(set(uids))
    assert 0 in uids
    assert caller().uid == UID


# as somebody else

ME = caller()


@pytest.fixture
def become(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a process of ours be somebody's, whoever runs the tests."""
    monkeypatch.setattr(as_user, "_become", lambda _: None)


@pytest.mark.usefixtures("become")
class TestAnotherProcess:
    def test_its_numbers_come_back(self) -> None:
        assert work_as(ME, lambda _: [1, (1 << 64) - 1, 0], 3) == (1, (1 << 64) - 1, 0)

    def test_it_may_be_slow_while_it_shows_that_it_goes_on(self) -> None:
        def work(beat: Callable[[], None]) -> list[int]:
            for _ in range(25):
                time.sleep(0.1)
                beat()
            return [7]

        assert work_as(ME, work, 1, silence=1.8) == (7,)

    @pytest.mark.parametrize("limits", [{"silence": 0.3}, {"total": 0.3}])
    def test_it_is_left_behind_when_it_is_silent(self, limits: dict[str, float]) -> None:
        def work(beat: object) -> list[int]:
            time.sleep(60)
            return []

        began = time.monotonic()
        with pytest.raises(NoAnswerError):
            work_as(ME, work, 0, **limits)
        assert time.monotonic() - began < 5

    @pytest.mark.parametrize("numbers", [[], [1, 2], [-1], [1 << 64], ["x"]])
    def test_anything_else_is_no_answer(self, numbers: list[int]) -> None:
        with pytest.raises(FailedError):
            work_as(ME, lambda _: numbers, 1)

    def test_one_that_ends_before_is_a_failure(self) -> None:
        def work(beat: object) -> list[int]:
            os.kill(os.getpid(), 9)
            return [1]

        with pytest.raises(FailedError):
            work_as(ME, work, 1)

    def test_one_that_says_too_much_is_not_listened_to(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(as_user, "_BEAT_SECONDS", -1)
        monkeypatch.setattr(as_user, "_LONGEST", 100)

        def work(beat: Callable[[], None]) -> list[int]:
            for _ in range(1000):
                beat()
            return [1]

        with pytest.raises(NoAnswerError):
            work_as(ME, work, 1)

    def test_the_result_is_that_of_the_process(
        self, place: Place, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The account has this uid, but is taken for somebody else's."""
        kept = place.keep("gone.py")
        monkeypatch.setattr(module, "geteuid", lambda: 0)
        monkeypatch.setattr(module, "caller", lambda: Login("root", -1, 0, ()))
        monkeypatch.setattr(module, "logins", lambda: [ME])
        (result,), watch = run(Request(policy=everywhere(place.cache), everybody=True))
        assert not kept.exists()
        assert (result.files, watch.looks) == (1, 0)

    @pytest.mark.parametrize(
        ("error", "refused"),
        [
            (NoAnswerError(), Refused.NO_ANSWER),
            (FailedError("ended"), Refused.FAILED),
            (BlockingIOError(11, "no process more"), Refused.FAILED),
        ],
    )
    def test_one_that_fails_is_said_of_the_cache(
        self, place: Place, monkeypatch: pytest.MonkeyPatch, error: Exception, refused: Refused
    ) -> None:
        def fail(*_: object) -> None:
            raise error

        monkeypatch.setattr(module, "geteuid", lambda: 0)
        monkeypatch.setattr(module, "caller", lambda: Login("root", -1, 0, ()))
        monkeypatch.setattr(module, "logins", lambda: [ME])
        monkeypatch.setattr(module, "work_as", fail)
        (result,), _ = run(Request(policy=everywhere(place.cache), everybody=True))
        assert result.refused is refused
