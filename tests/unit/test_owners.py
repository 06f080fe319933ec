"""Whose sources are whose: as package managers say it, in one call each."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pycache_sys.packagers import owners
from pycache_sys.packagers.owners import owners_of

PYTHON3 = "/usr/lib/python3/dist-packages"
DPKG = """#!/bin/sh
[ "$1" = --search ] && [ "$LC_ALL" = C.UTF-8 ] || exit 9
cat "$(dirname "$0")/said"
echo "dpkg-query: no path found matching pattern *.pyw" >&2
exit 1
"""
RPM = """#!/bin/sh
case "$1" in
--eval) dirname "$0" ;;
--query) cat "$(dirname "$0")/said" ;;
esac
"""
PACMAN = """#!/bin/sh
[ "$1 $2" = "--query --list" ] || exit 9
cat "$(dirname "$0")/said"
"""
Say = Callable[[str, str], None]


@pytest.fixture
def say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Say:
    """Give what makes a package manager the only one there is, with what it has to say."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)  # root's search path is not the caller's
    monkeypatch.setattr(owners.query, "DPKG_DATABASE", f"{tmp_path}/none")
    monkeypatch.setattr(owners, "_PACMAN_DATABASE", f"{tmp_path}/none")
    (tmp_path / "rpm").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "rpm").chmod(0o755)

    def program(name: str, said: str) -> None:
        texts = {"dpkg-query": DPKG, "rpm": RPM, "pacman": PACMAN}
        (tmp_path / name).write_text(texts[name])
        (tmp_path / name).chmod(0o755)
        (tmp_path / "said").write_bytes(os.fsencode(said))
        if name == "dpkg-query":
            monkeypatch.setattr(owners.query, "DPKG_DATABASE", f"{tmp_path}/said")
        if name == "pacman":
            (tmp_path / "local" / "python-yaml-6.0-1").mkdir(parents=True)
            monkeypatch.setattr(owners, "_PACMAN_DATABASE", f"{tmp_path}/local")

    return program


def test_dpkg_names_packages_without_their_architecture(say: Say) -> None:
    say(
        "dpkg-query",
        f"python3-yaml: {PYTHON3}/yaml/nodes.py\n"
        "libpython3.11-stdlib:amd64: /usr/lib/python3.11/json/decoder.py\n"
        f"libx:amd64, libx:i386: {PYTHON3}/x.py\n"
        f"one, other: {PYTHON3}/shared.py\n"
        "unasked: /usr/share/unasked.py\n",
    )
    sources = [
        f"{PYTHON3}/yaml/nodes.py",
        "/usr/lib/python3.11/json/decoder.py",
        f"{PYTHON3}/x.py",
        f"{PYTHON3}/shared.py",
        f"{PYTHON3}/by_pip.py",
    ]
    found = owners_of(sources)
    assert found.failures == ()
    assert found.packages == dict(
        zip(sources, ("python3-yaml", "libpython3.11-stdlib", "libx", "one"), strict=False)
    )


def test_a_diverted_file_is_where_its_package_has_it_now(say: Say) -> None:
    say(
        "dpkg-query",
        "diversion by mine from: /usr/share/a.py\n"
        "diversion by mine to: /usr/share/a.orig.py\n"
        "theirs, mine: /usr/share/a.py\n"
        "local diversion from: /usr/share/b.py\n"
        "local diversion to: /usr/share/b.orig.py\n"
        "theirs: /usr/share/b.py\n"
        "diversion by gone:all from: /usr/share/c.py\n"
        "diversion by gone:all to: /usr/share/c.orig\n"
        "theirs: /usr/share/c.py\n",
    )
    sources = [f"/usr/share/{x}{o}.py" for x in "abc" for o in ("", ".orig")]
    assert owners_of(sources).packages == {
        "/usr/share/a.py": "mine",
        "/usr/share/a.orig.py": "theirs",
        "/usr/share/b.orig.py": "theirs",
    }


@pytest.mark.skipif(not os.path.islink("/lib"), reason="this system has a /lib of its own")
def test_a_package_may_name_a_path_below_lib(say: Say) -> None:
    say("dpkg-query", "old: /lib/python3/dist-packages/old.py\n")
    source = f"{PYTHON3}/old.py"
    assert owners_of([source]).packages == {source: "old"}


def test_a_directory_may_be_a_link(say: Say, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    say("dpkg-query", f"real: {tmp_path}/real/a.py\nlink: {tmp_path}/link/b.py\n")
    sources = [f"{tmp_path}/link/a.py", f"{tmp_path}/link/b.py"]
    assert owners_of(sources).packages == dict(zip(sources, ("real", "link"), strict=True))


def test_any_name_of_a_file_is_read(say: Say) -> None:
    names = ["/usr/a b.py", "/usr/a: /b.py", os.fsdecode(b"/usr/\xff.py"), "/usr/日本.py"]
    say("dpkg-query", "".join(f"odd: {name}\n" for name in names))
    assert owners_of(names).packages == dict.fromkeys(names, "odd")


@pytest.mark.parametrize("name", ["rpm", "pacman"])
def test_rpm_and_pacman_name_the_package_first(say: Say, name: str) -> None:
    say(name, f"python3-yaml {PYTHON3}/a b.py\npython3-yaml {PYTHON3}/\nother /usr/x.py\n")
    sources = [f"{PYTHON3}/a b.py", "/usr/x.py", "/usr/y.py"]
    found = owners_of(sources)
    assert found.packages == {sources[0]: "python3-yaml", sources[1]: "other"}
    assert found.failures == ()


def test_a_package_manager_that_fails_is_told(say: Say, tmp_path: Path) -> None:
    say("pacman", "")
    (tmp_path / "pacman").write_text(
        "#!/bin/sh\necho 'error: the database is locked' >&2\nexit 1\n"
    )
    found = owners_of(["/usr/x.py"])
    assert found.packages == {}
    assert found.failures == (
        "pacman cannot say whose files are whose: error: the database is locked",
    )


def test_a_database_without_its_program_is_told(
    say: Say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    say("pacman", "")
    (tmp_path / "pacman").unlink()
    monkeypatch.setenv("PATH", str(tmp_path))
    (failure,) = owners_of(["/usr/x.py"]).failures
    assert failure == "pacman cannot be run: No such file or directory"


def test_pacman_is_not_asked_where_it_has_installed_nothing(say: Say, tmp_path: Path) -> None:
    say("pacman", "x /usr/x.py\n")
    (tmp_path / "local" / "python-yaml-6.0-1").rmdir()
    (tmp_path / "local" / "ALPM_DB_VERSION").write_text("9\n")
    assert owners_of(["/usr/x.py"]) == ({}, ())


def test_without_any_database_nobody_owns_anything(say: Say) -> None:
    assert owners_of(["/usr/x.py"]) == ({}, ())


def test_rpm_is_not_asked_where_it_would_make_a_database(say: Say, tmp_path: Path) -> None:
    say("rpm", "x /usr/x.py\n")
    (tmp_path / "rpm").write_text(
        f"#!/bin/sh\n[ $1 = --eval ] && echo {tmp_path}/none && exit\ntouch {tmp_path}/made\n"
    )
    assert owners_of(["/usr/x.py"]) == ({}, ())
    assert not (tmp_path / "made").exists()
