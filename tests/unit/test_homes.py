"""Looking into homes: what is told, what is made of it, and which files set variables."""

import os
from pathlib import Path

import pytest

from pycache_sys.system.machine import variables
from pycache_sys.system.machine.mounts import Mounts
from pycache_sys.system.machine.variables import Said
from pycache_sys.system.users import homes
from pycache_sys.system.users.as_user import Login, caller
from pycache_sys.system.users.hearsay import LONGEST, hear
from pycache_sys.system.users.homes import Look, Place, look
from pycache_sys.system.users.search import Limits

LINE = "export PYTHONPYCACHEPREFIX=/x\n"


def seen(path: Path) -> Look:
    return look(Place(str(path), caller()), Mounts(), Limits())


def test_what_is_in_a_home(tmp_path: Path) -> None:
    (tmp_path / ".profile").write_text("\n" + LINE)
    drop_ins = tmp_path / ".config" / "environment.d"
    drop_ins.mkdir(parents=True)
    (drop_ins / "a.conf").write_text(LINE)
    (drop_ins / "a.txt").write_text(LINE)
    strange = tmp_path / "a\nb\udcff"
    strange.mkdir()
    (strange / "pyvenv.cfg").write_text("home = /usr/bin\nversion = 3.13.1\n")
    found = seen(tmp_path)
    assert found.failure == ""
    assert [str(one) for one in found.said] == [
        f"{tmp_path}/.profile:2: PYTHONPYCACHEPREFIX",
        f"{tmp_path}/.config/environment.d/a.conf:1: PYTHONPYCACHEPREFIX",
    ]
    assert [tuple(one) for one in found.searched.venvs] == [(str(strange), "/usr/bin", "3.13")]
    assert found.searched.is_whole


def test_a_home_that_is_gone_or_closed(tmp_path: Path) -> None:
    assert seen(tmp_path / "gone").failure == ""
    (tmp_path / "file").touch()
    assert seen(tmp_path / "file").failure == os.strerror(20)


@pytest.mark.parametrize(
    "told",
    [
        b"",
        b"\0\0\0",
        b"number\n-1",
        b"number\n\xd9\xa1",
        b"number\n" + b"9" * 5000,
        b"said\n/x\nNaN\nNAME",
        b"said\n/x",
        b"venv\n/x",
        b"root\n/x\n/y",
        b"unheard of",
    ],
)
def test_what_is_of_no_known_form_is_nothing(told: bytes) -> None:
    found = Look(Place("/home/ada", caller()))
    homes._take(told, found)
    assert found == Look(Place("/home/ada", caller()))


def test_no_more_is_told_than_may_be(tmp_path: Path) -> None:
    name = "n" * 200
    for number in range(60):
        place = tmp_path / f"{number}{name}" / name / name
        place.mkdir(parents=True)
        (place / "pyvenv.cfg").write_text("home = /usr/bin\n")
    records = homes._told(Place(str(tmp_path), caller()), [], Limits(), lambda: None)
    assert 20 < len(records) < 62
    assert sum(len(record) + 1 for record in records) <= LONGEST


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody")
@pytest.mark.parametrize("text", [b"", b"x", b"\0" * 9, bytes(range(256)) * 200])
def test_another_users_process_tells_a_text(text: bytes) -> None:
    login = Login("nobody's", 65_000, 65_000, (65_000,))
    told = hear(login, lambda _: text or str(os.geteuid()).encode(), silence=30, total=60)
    assert told == (text[:LONGEST] or b"65000")


def test_homes_of_people_and_not_of_services(monkeypatch: pytest.MonkeyPatch) -> None:
    from pwd import struct_passwd

    entries = [
        struct_passwd((name, "x", uid, uid, "", home, "/bin/sh"))
        for name, uid, home in (
            ("root", 0, "/root"),
            ("daemon", 1, "/usr/sbin"),
            ("site", 33, "/home/site"),
            ("ada", 1001, "/home/ada/"),
            ("twin", 1001, "/home/ada"),
            ("bob", 1002, "/srv/bob"),
            ("odd", 1003, "relative"),
            ("top", 1004, "/"),
        )
    ]
    monkeypatch.setattr(homes.pwd, "getpwall", lambda: entries)
    logins = [Login(one.pw_name, one.pw_uid, one.pw_gid, ()) for one in entries]
    monkeypatch.setattr(homes, "logins", lambda: logins)
    found = homes.homes([(1, 999)])
    assert [place.path for place in found] == ["/home/site", "/home/ada", "/srv/bob"]


def test_a_directory_of_an_account_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(_: int) -> None:
        raise KeyError

    monkeypatch.setattr(homes.pwd, "getpwuid", unknown)
    found = homes.owner_of("/")
    assert found is not None
    assert found.login == Login("0", 0, 0, (0,))
    assert homes.owner_of("/etc/passwd") is None
    assert homes.owner_of("/there/is/none") is None


# files


def test_units_and_their_drop_ins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(variables, "FILES", (str(tmp_path / "environment"),))
    monkeypatch.setattr(variables, "DIRECTORIES", ((str(tmp_path / "profile.d"), ".sh"),))
    monkeypatch.setattr(variables, "UNITS", (str(tmp_path / "system"),))
    for name in (
        "environment",
        "profile.d/a.sh",
        "profile.d/a.csh",
        "system/a.service",
        "system/a.service.d/b.conf",
        "system/a.service.d/b.bak",
        "system/x.wants/a.service",
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(LINE)
    found = {
        Path(one.path).relative_to(tmp_path) for one in variables.said_in(variables.system_files())
    }
    assert sorted(map(str, found)) == [
        "environment",
        "profile.d/a.sh",
        "system/a.service",
        "system/a.service.d/b.conf",
    ]


def test_files_that_are_none_set_nothing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "long").write_bytes(b"\n" * variables.LONGEST_FILE + LINE.encode())
    (tmp_path / "good").write_text(LINE)
    names = ("fifo", "zero", "long", "gone", "good", ".")
    found = list(variables.said_in([*(f"{tmp_path}/{name}" for name in names), "/a\0b"]))
    assert found == [Said(f"{tmp_path}/good", 1, "PYTHONPYCACHEPREFIX")]
