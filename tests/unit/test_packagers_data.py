"""What the packages for rpm and pacman are made from agrees with the program and with Debian's."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from pycache_sys import __version__

TOP = Path(__file__).parents[2]
SPEC = (TOP / "rpm/pycache-sys.spec").read_text()
PKGBUILD = (TOP / "alpm/PKGBUILD").read_text()
INSTALL = (TOP / "alpm/pycache-sys.install").read_text()
POSTRM = (TOP / "debian/pycache-sys.postrm").read_text()
HOOKS = sorted((TOP / "alpm").glob("*.hook"))


def shared(text: str) -> str:
    """Cut out the functions that remove what can be made again."""
    found = re.search(r"(?ms)^temporary=.*?^remove_caches\(\) \{.*?^\}$", text)
    assert found
    return found[0]


def test_versions_are_the_programs() -> None:
    assert re.findall(r"^Version:\s+(\S+)", SPEC, re.MULTILINE) == [__version__]
    assert re.findall(r"^pkgver=(\S+)", PKGBUILD, re.MULTILINE) == [__version__]
    for text in (SPEC, PKGBUILD, *((TOP / f"docs/{n}.md").read_text() for n in ("rpm", "pacman"))):
        assert set(re.findall(r"pycache-sys-(\d[\d.]*\d)", text)) <= {__version__}


def test_what_is_removed_is_what_debians_package_removes() -> None:
    assert shared(INSTALL) == shared(POSTRM)


def test_the_spec_finds_debians_functions() -> None:
    """The build takes what is between these two lines."""
    lines = POSTRM.splitlines()
    first = lines.index("set -e")
    last = next(number for number, line in enumerate(lines) if line.startswith("# The account"))
    assert "sed -n '/^set -e$/,/^# The account/p' debian/pycache-sys.postrm" in SPEC
    assert shared("\n".join(lines[first:last])) == shared(POSTRM)


@pytest.mark.parametrize(
    "path", [TOP / "rpm/postun.sh", TOP / "alpm/pycache-sys.install"], ids=lambda path: path.name
)
def test_scripts_are_sh(path: Path) -> None:
    subprocess.run(["sh", "-n", path], check=True)


@pytest.mark.skipif(not shutil.which("bash"), reason="bash is not installed")
def test_the_pkgbuild_is_bash() -> None:
    subprocess.run(["bash", "-n", TOP / "alpm/PKGBUILD"], check=True)


def test_every_call_of_a_package_manager_is_best_effort() -> None:
    calls = re.findall(r"^pycache-sys (?:rebuild|prune).*$", SPEC, re.MULTILINE)
    calls += re.findall(r'print\("(pycache-sys .*)\\n"\)', SPEC)
    assert len(calls) == 3
    assert all("--best-effort" in call and call.endswith("|| :") for call in calls)
    commands = [re.findall(r"^Exec = (.*)$", hook.read_text(), re.MULTILINE) for hook in HOOKS]
    assert commands == [
        ["/usr/bin/pycache-sys rebuild --from-stdin --best-effort"],
        ["/usr/bin/pycache-sys prune --best-effort"],
    ]


def test_rpm_and_pacman_watch_the_same_places() -> None:
    (watched,) = re.findall(r"^%global watched (.*)$", SPEC, re.MULTILINE)
    prefixes = {place.replace("%{_datadir}", "/usr/share") for place in watched.split()}
    # pacman's distributions have one directory of libraries
    expected = {prefix for prefix in prefixes if not prefix.startswith("/usr/lib64")}
    for hook in HOOKS:
        targets = re.findall(r"^Target = (.*)$", hook.read_text(), re.MULTILINE)
        assert {f"/{target.rstrip('*/')}" for target in targets} == expected
