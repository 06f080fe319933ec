"""Where caches of users are: as platformdirs says, without it."""

import os
import pwd
import stat
import sys
from collections.abc import Mapping
from itertools import product
from pathlib import Path, PurePath
from types import SimpleNamespace

import platformdirs
import pytest

from fake_system import ADA, USER, FakeProcess
from pycache_sys_runtime import caches, keep
from pycache_sys_runtime.caches import APPLICATION, cache_key, expand, user_cache_dir
from pycache_sys_runtime.layout import running_version_directory
from pycache_sys_runtime.policy import BUILT_IN

SERVICE = 500
HOMES = {"ordinary": "/home/ada", "slash": "/home/ada//", "root": "/", "relative": "ada"}
WHO = (*HOMES, "unknown", "myself")
ABSOLUTE_HOMES = ("/home/eve", "/home/eve/", "/", "//")
PLAIN_CACHES = (None, "", " ", "/x/cache", "/x/cache/", "/")
RELATIVE_CACHES = ("relative", "./x", "~/.cache")


def account(uid: int, home: str = "/home/ada", name: str = "ada") -> pwd.struct_passwd:
    return pwd.struct_passwd((name, "x", uid, uid, "", home, "/bin/sh"))


def become(
    monkeypatch: pytest.MonkeyPatch, uid: int, accounts: Mapping[int, pwd.struct_passwd]
) -> None:
    """Take another uid, in a system with these accounts."""

    def look_up(wanted: int) -> pwd.struct_passwd:
        return accounts[wanted]

    monkeypatch.setattr(os, "getuid", lambda: uid)
    monkeypatch.setattr(pwd, "getpwuid", look_up)


@pytest.fixture(autouse=True)
def _nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PLATFORMDIRS_USE_SITE_FOR_ROOT", raising=False)


def expected() -> str | None:
    try:
        return platformdirs.user_cache_dir(APPLICATION)
    except RuntimeError:  # it knows no home directory
        return None


@pytest.mark.parametrize("home", ABSOLUTE_HOMES)
@pytest.mark.parametrize("cache", PLAIN_CACHES)
@pytest.mark.parametrize("who", WHO)
def test_platformdirs_agrees(
    monkeypatch: pytest.MonkeyPatch, home: str, cache: str | None, who: str
) -> None:
    check_agreement(monkeypatch, home, cache, who)


@pytest.mark.parametrize(
    ("home", "cache"),
    [
        *product([None, "", "relative/home"], [*PLAIN_CACHES, *RELATIVE_CACHES]),
        *product(ABSOLUTE_HOMES, RELATIVE_CACHES),
    ],
)
@pytest.mark.parametrize("who", WHO)
def test_newer_platformdirs_agrees_on_what_is_relative(
    monkeypatch: pytest.MonkeyPatch, home: str | None, cache: str | None, who: str
) -> None:
    check_agreement(monkeypatch, home, cache, who)


def check_agreement(
    monkeypatch: pytest.MonkeyPatch, home: str | None, cache: str | None, who: str
) -> None:
    for name, value in (("HOME", home), ("XDG_CACHE_HOME", cache)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    if who != "myself":
        accounts = {ADA: account(ADA, HOMES[who])} if who in HOMES else {}
        become(monkeypatch, ADA, accounts)
    assert user_cache_dir(os.getuid(), os.environ) == expected()


def test_roots_cache_stands_where_platformdirs_keeps_caches_of_the_system() -> None:
    path = PurePath(str(BUILT_IN["root-cache"]))
    assert str(path.parent) == platformdirs.site_cache_dir(APPLICATION)


@pytest.mark.parametrize(
    ("uid", "key"),
    [
        (0, "root-cache"),
        (1, "service-cache"),
        (999, "service-cache"),
        (1000, "user-cache"),
        (60000, "user-cache"),
        (61184, "service-cache"),
        (65534, "service-cache"),
    ],
)
def test_root_services_and_users_have_caches_of_their_own(uid: int, key: str) -> None:
    assert cache_key(BUILT_IN, uid) == key


def test_there_may_be_no_uids_of_services() -> None:
    assert cache_key({"service-uids": ()}, 5) == "user-cache"


class TestPlaceholders:
    @pytest.mark.parametrize(
        ("template", "path"),
        [
            ("/plain", "/plain"),
            ("/run/{uid}/x", f"/run/{ADA}/x"),
            ("/{user}-{uid}", f"/ada-{ADA}"),
            ("{user_cache_dir}/x", "/home/ada/.cache/pycache-sys/x"),
            ("{runtime_dir}", f"/run/user/{ADA}/pycache-sys"),
        ],
    )
    def test_they_are_filled_in(
        self, monkeypatch: pytest.MonkeyPatch, template: str, path: str
    ) -> None:
        become(monkeypatch, ADA, {ADA: account(ADA)})
        assert expand(template, ADA, {}) == path

    @pytest.mark.parametrize(
        ("template", "environ", "path"),
        [
            ("{runtime_dir}/x", {"XDG_RUNTIME_DIR": "/run/me/"}, "/run/me/pycache-sys/x"),
            ("{runtime_dir}", {"XDG_RUNTIME_DIR": "me"}, "/run/user/7/pycache-sys"),
            (
                "{cache_directory}/x",
                {"CACHE_DIRECTORY": "/d"},
                "/d/pycache-sys/x",
            ),
            (
                "{cache_directory}",
                {"CACHE_DIRECTORY": "/d:/e"},
                "/d/pycache-sys",
            ),
            ("{cache_directory}", {"CACHE_DIRECTORY": "cache"}, None),
            ("{cache_directory}", {"CACHE_DIRECTORY": ""}, None),
            ("{cache_directory}", {}, None),
            ("{user_cache_dir}", {"XDG_CACHE_HOME": "/x"}, "/x/pycache-sys"),
            ("{uid}/x", {}, None),
        ],
    )
    def test_the_environment_has_a_say(
        self, template: str, environ: dict[str, str], path: str | None
    ) -> None:
        assert expand(template, 7, environ) == path

    @pytest.mark.parametrize("template", ["/x/{user}", "{user_cache_dir}"])
    def test_who_has_no_account_has_no_cache_by_it(
        self, monkeypatch: pytest.MonkeyPatch, template: str
    ) -> None:
        become(monkeypatch, ADA, {})
        assert expand(template, ADA, {}) is None

    @pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\nb"])
    def test_a_name_that_can_be_no_directorys_gives_none(
        self, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        become(monkeypatch, ADA, {ADA: account(ADA, name=name)})
        assert expand("/x/{user}", ADA, {}) is None

    def test_a_home_that_is_not_known_gives_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        become(monkeypatch, ADA, {ADA: account(ADA, home="")})
        assert expand("{user_cache_dir}", ADA, {"HOME": ""}) is None

    def test_a_name_service_that_fails_gives_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def look_up(uid: int) -> pwd.struct_passwd:
            raise OSError("no answer")

        monkeypatch.setattr(pwd, "getpwuid", look_up)
        assert expand("/x/{user}", ADA, {}) is None


class TestLocate:
    @pytest.mark.parametrize(
        ("uid", "expected"),
        [
            (0, "/var/cache/pycache-sys/root"),
            (USER, "/home/ada/.cache/pycache-sys"),
            (SERVICE, "/var/cache/service/pycache-sys"),
        ],
    )
    def test_each_kind_of_user_has_a_place(
        self, process: FakeProcess, uid: int, expected: str
    ) -> None:
        process.uid = process.euid = uid
        process.environ.update(HOME="/home/ada", CACHE_DIRECTORY="/var/cache/service")
        assert caches.locate(BUILT_IN, process.environ) == expected

    def test_a_service_without_one_has_none(self, process: FakeProcess) -> None:
        process.uid = process.euid = SERVICE
        assert caches.locate(BUILT_IN, process.environ) is None

    @pytest.mark.parametrize(
        ("uid", "key"), [(0, "root-cache"), (USER, "user-cache"), (SERVICE, "service-cache")]
    )
    def test_an_empty_value_is_no_cache(self, process: FakeProcess, uid: int, key: str) -> None:
        process.uid = process.euid = uid
        assert caches.locate({**BUILT_IN, key: ""}, process.environ) is None

    def test_roots_environment_does_not_count(
        self, process: FakeProcess, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        process.uid = process.euid = 0
        process.environ["XDG_CACHE_HOME"] = "/home/ada/.cache"
        monkeypatch.setattr(caches, "_account", lambda _: SimpleNamespace(pw_dir="/root"))
        values = {**BUILT_IN, "root-cache": "{user_cache_dir}"}
        assert caches.locate(values, process.environ) == "/root/.cache/pycache-sys"


@pytest.mark.usefixtures("process")
class TestExport:
    def test_the_own_cache_becomes_the_prefix(self, values: dict[str, object]) -> None:
        prefix = caches.export(values, {})
        assert prefix == f"{caches.locate(values, {})}/{running_version_directory()}"
        assert sys.pycache_prefix == prefix

    def test_an_explicit_prefix_stays(
        self, values: dict[str, object], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys, "pycache_prefix", "/explicit")
        assert caches.export(values, {}) is None
        assert sys.pycache_prefix == "/explicit"

    def test_without_a_cache_there_is_no_prefix(self, values: dict[str, object]) -> None:
        values["user-cache"] = ""
        assert caches.export(values, {}) is None
        assert sys.pycache_prefix is None

    def test_a_cache_of_somebody_elses_is_no_prefix(
        self, values: dict[str, object], process: FakeProcess
    ) -> None:
        top = Path(str(caches.locate(values, {})))
        top.mkdir(parents=True)
        process.euid = os.geteuid()
        values["user-cache"] = values["root-cache"] = values["service-cache"] = str(top)
        assert caches.export(values, {}) is not None
        sys.pycache_prefix = None
        top.chmod(0o777)
        assert caches.export(values, {}) is None
        assert sys.pycache_prefix is None

    def test_package_managers_scripts_have_no_prefix(
        self, values: dict[str, object], process: FakeProcess
    ) -> None:
        process.environ["DPKG_MAINTSCRIPT_PACKAGE"] = "python3-foo"
        assert caches.export(values, {}) is None
        assert sys.pycache_prefix is None

    def test_the_environment_says_where_it_is(
        self, values: dict[str, object], tmp_path: Path
    ) -> None:
        values["user-cache"] = "{user_cache_dir}"
        prefix = caches.export(values, {"XDG_CACHE_HOME": str(tmp_path)})
        assert prefix == f"{tmp_path}/pycache-sys/{running_version_directory()}"

    def test_what_is_missing_is_made_for_the_user_alone(self, values: dict[str, object]) -> None:
        top = Path(str(caches.locate(values, {})))
        before = os.umask(0)
        try:
            assert caches.export(values, {}) is not None
        finally:
            os.umask(before)
        assert stat.S_IMODE(top.stat().st_mode) == 0o700

    def test_where_nothing_is_written_what_is_missing_is_no_prefix(
        self, values: dict[str, object], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
        assert caches.export(values, {}) is None
        assert not Path(str(caches.locate(values, {}))).exists()

    def test_what_cannot_be_made_is_no_prefix(
        self, values: dict[str, object], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(path: str) -> None:
            raise OSError(30, "Read-only file system", path)

        monkeypatch.setattr(keep, "make_directories", refuse)
        assert caches.export(values, {}) is None
        assert sys.pycache_prefix is None


def test_package_managers_scripts_write_nothing(process: FakeProcess) -> None:
    assert caches.may_write()
    process.environ["DPKG_MAINTSCRIPT_PACKAGE"] = ""
    assert not caches.may_write()
