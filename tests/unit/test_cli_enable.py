"""``enable``, ``enable --show`` and ``disable``: what is printed where, and the exit statuses."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from own_prefix import OwnPrefix, make_prefix
from pycache_sys.cli import enable as verbs
from pycache_sys.cli import main
from pycache_sys.cli.pythons import parse_pythons
from pycache_sys.core.delivery import PTH_NAME, SITECUSTOMIZE, Undo, pth_file
from pycache_sys.core.errors import UsageError
from pycache_sys.enable import Delivery
from pycache_sys.system.pythons import interpreters
from pycache_sys_runtime import startup

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> OwnPrefix:
    before = os.umask(0o022)
    try:
        made = make_prefix(tmp_path_factory.mktemp("home"))
        made.venv()
        made.site.mkdir(parents=True, exist_ok=True)
    finally:
        os.umask(before)
    return made


@pytest.fixture(autouse=True)
def _place(home: OwnPrefix, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let there be nothing yet, one interpreter to be found, and a copy of the hook."""
    home.clean()
    monkeypatch.setattr(startup, "__file__", str(home.startup))
    monkeypatch.setattr(interpreters, "SEARCHED", (os.path.dirname(home.python),))
    before = os.umask(0o022)
    yield
    os.umask(before)
    home.clean()


@pytest.fixture
def config(tmp_path: Path) -> str:
    """Give a policy that says nothing, in place of the machine's."""
    tmp_path.chmod(0o755)
    (tmp_path / "policy.conf").touch()
    return f"{tmp_path}/policy.conf"


@pytest.fixture
def venv(home: OwnPrefix) -> str:
    return f"{home.folder}/venv/bin/python"


@pytest.fixture
def pth(home: OwnPrefix, venv: str) -> Path:
    return home.site_of(venv) / PTH_NAME


class Runner:
    """Runs the command with the policy that says nothing."""

    def __init__(self, config: str, capture: Capture) -> None:
        self._config = config
        self._capture = capture

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        """Return the exit status and the two streams."""
        status = main([*arguments, "--config", self._config])
        out, err = self._capture.readouterr()
        return status, out, err


@pytest.fixture
def run(config: str, capsys: Capture) -> Runner:
    return Runner(config, capsys)


class TestPlainWords:
    def test_on_and_off_and_again(self, run: Runner, venv: str, pth: Path) -> None:
        named = ("--python", venv)
        assert run("enable", "--show", *named) == (0, f"{venv}: off\n", "")
        assert run("enable", *named) == (0, f"{venv}: enabled, by {pth}\n", "")
        assert run("enable", *named) == (0, f"{venv}: enabled already, by {pth}\n", "")
        assert run("enable", "--show", *named) == (0, f"{venv}: on, by {pth}\n", "")
        assert run("disable", *named) == (0, f"{venv}: disabled\n", "")
        assert run("disable", *named) == (0, f"{venv}: not enabled\n", "")
        assert run("enable", "--show", *named) == (0, f"{venv}: off\n", "")

    def test_with_virtual_environments(self, run: Runner, home: OwnPrefix, venv: str) -> None:
        named = ("--python", home.python, "--python", venv)
        place = home.library / SITECUSTOMIZE
        assert run("enable", "--venvs", "--python", home.python) == (
            0,
            f"{home.python}: enabled, by {place}\n",
            "",
        )
        assert run("enable", "--show", *named) == (
            0,
            "".join(
                f"{python}: on, with virtual environments, by {place}\n"
                for python in (home.python, venv)
            ),
            "",
        )
        assert run("disable", "--venvs", "--python", home.python) == (
            0,
            f"{home.python}: disabled\n",
            "",
        )

    def test_both_ways(self, run: Runner, home: OwnPrefix) -> None:
        named = ("--python", home.python)
        site, place = home.site / PTH_NAME, home.library / SITECUSTOMIZE
        run("enable", *named)
        assert (
            run("enable", "--venvs", *named)[1] == f"{home.python}: enabled, by {site}, {place}\n"
        )
        assert run("disable", "--venvs", *named)[1] == f"{home.python}: still enabled, by {site}\n"
        assert run("enable", "--show", *named)[1] == f"{home.python}: on, by {site}\n"

    def test_without_bytecode(self, run: Runner, home: OwnPrefix, venv: str, pth: Path) -> None:
        run("enable", "--python", venv)
        os.unlink(home.library / "encodings" / "__pycache__" / f"aliases.{_TAG}.pyc")
        os.unlink(home.startup.parent / "__pycache__" / f"layout.{_TAG}.pyc")
        assert run("enable", "--show", "--python", venv)[:2] == (
            0,
            (
                f"{venv}: on, by {pth}; 2 files are compiled at every start, enable it again to "
                "mend that\n"
            ),
        )

    def test_without_the_bytecode_of_one_file(
        self, run: Runner, home: OwnPrefix, venv: str
    ) -> None:
        run("enable", "--python", venv)
        os.unlink(home.startup.parent / "__pycache__" / f"layout.{_TAG}.pyc")
        assert "; 1 file is compiled" in run("enable", "--show", "--python", venv)[1]

    def test_in_spite_of_a_file(self, run: Runner, venv: str, pth: Path) -> None:
        pth.write_bytes(pth_file("/no/such/startup.py", Undo()))
        assert run("enable", "--show", "--python", venv) == (
            0,
            f"{venv}: off, in spite of {pth}\n",
            "",
        )

    def test_by_something_else(self, run: Runner, venv: str, pth: Path, home: OwnPrefix) -> None:
        text = pth_file(str(home.startup), Undo())
        pth.with_name("other.pth").write_bytes(text.splitlines(keepends=True)[-1])
        assert run("enable", "--show", "--python", venv)[:2] == (
            0,
            f"{venv}: enabled, by something else\n",
        )
        assert run("disable", "--python", venv)[:2] == (
            0,
            f"{venv}: still enabled, by something else\n",
        )

    def test_a_start_without_the_hook(
        self,
        run: Runner,
        venv: str,
        pth: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        (tmp_path / "startup.py").write_text("'does nothing'\n")
        monkeypatch.setattr(startup, "__file__", f"{tmp_path}/startup.py")
        assert run("enable", "--python", venv)[:2] == (
            0,
            (
                f"{venv}: written to {pth}, but a start does not have the hook: see 'enabled' in "
                "the policy (pycache-sys policy show)\n"
            ),
        )
        assert run("enable", "--python", venv)[1].startswith(f"{venv}: already in {pth}, but a ")

    def test_a_package_has_it(self, run: Runner, home: OwnPrefix) -> None:
        python = home.venv("--system-site-packages", name="sees-all")
        packages = home.site / PTH_NAME
        packages.write_bytes(pth_file(str(home.startup), Undo()))
        assert run("enable", "--python", python) == (
            0,
            f"{python}: enabled already, by {packages}\n  {packages} brings it already\n",
            "",
        )
        assert run("disable", "--python", python)[:2] == (
            0,
            (
                f"{python}: still enabled, by {packages}\n"
                f"  {packages} is a package's: remove the package, or say 'enabled = no' in the "
                "policy\n"
            ),
        )

    def test_all_that_are_found_or_of_a_version(self, run: Runner, home: OwnPrefix) -> None:
        assert run("enable", "--show") == (0, f"{home.python}: off\n", "")
        version = "{}.{}".format(*sys.version_info)
        assert run("enable", "--show", "--python", version) == (0, f"{home.python}: off\n", "")
        assert run("disable", "--python", f">={version}")[1] == f"{home.python}: not enabled\n"

    def test_one_that_the_policy_leaves_out_is_none_of_our_business(
        self, run: Runner, config: str
    ) -> None:
        Path(config).write_text("interpreters = 3.8 pypy\n")
        for verb in (("enable",), ("enable", "--show"), ("disable",)):
            status, _, err = run(*verb)
            assert (status, err) == (0, "")

    def test_none_is_found(
        self, run: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(interpreters, "SEARCHED", (str(tmp_path),))
        for verb in (("enable",), ("enable", "--show"), ("disable",)):
            assert run(*verb) == (
                0,
                "no interpreter in /usr/bin or /usr/local/bin; name one with --python PATH\n",
                "",
            )


class TestFailures:
    def test_one_is_told_on_stderr_and_the_others_go_on(
        self, run: Runner, venv: str, pth: Path, tmp_path: Path
    ) -> None:
        status, out, err = run("enable", "--python", f"{tmp_path}/no", "--python", venv)
        assert status == 5
        assert out == f"{venv}: enabled, by {pth}\n"
        assert err == f"pycache-sys: {tmp_path}/no: there is no such file\n"

    def test_it_says_what_to_do(self, run: Runner, venv: str, pth: Path) -> None:
        pth.touch()
        status, out, err = run("enable", "--python", venv)
        assert (status, out) == (5, "")
        assert err == (
            f"pycache-sys: {venv}: {pth} is not this program's\n  move it away, and try again\n"
        )

    def test_a_virtual_environment_has_no_virtual_environments(
        self, run: Runner, venv: str
    ) -> None:
        status, out, err = run("enable", "--venvs", "--python", venv)
        assert (status, out) == (5, "")
        assert err == (
            f"pycache-sys: {venv}: {venv} is a virtual environment's\n"
            "  leave out --venvs for this one, or name the interpreter that it was made from\n"
        )

    def test_what_a_terminal_would_act_upon_is_escaped(self, run: Runner, tmp_path: Path) -> None:
        _, _, err = run("enable", "--python", f"{tmp_path}/\x1b[2J\udcff")
        assert err == f"pycache-sys: {tmp_path}/\\x1b[2J\\udcff: there is no such file\n"

    @pytest.mark.parametrize("verb", [("enable",), ("enable", "--show"), ("disable",)])
    @pytest.mark.parametrize("spec", ["three", ">>3", "3.x"])
    def test_what_is_no_version_is_a_usage_error(
        self, run: Runner, verb: tuple[str, ...], spec: str
    ) -> None:
        status, out, err = run(*verb, f"--python={spec}")
        assert (status, out) == (2, "")
        assert err.startswith(f"pycache-sys: --python {spec!r} is neither a path nor a version")

    def test_a_version_that_nothing_has_is_a_usage_error(self, run: Runner) -> None:
        status, out, err = run("enable", "--python", "<3.8")
        assert (status, out) == (2, "")
        assert "no interpreter has a version that --python asks for" in err

    @pytest.mark.parametrize(
        "arguments", [["enable", "--best-effort"], ["disable", "--show"], ["enable", "python3"]]
    )
    def test_an_unknown_option_is_a_usage_error(
        self, arguments: list[str], capsys: Capture
    ) -> None:
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 2
        assert "unrecognized arguments" in capsys.readouterr().err

    def test_a_policy_with_errors_is_one(
        self, capsys: Capture, config: str, venv: str, pth: Path
    ) -> None:
        Path(config).write_text("enabled = perhaps\n")
        assert main(["enable", "--python", venv, "--config", config]) == 3
        assert "perhaps" in capsys.readouterr().err
        assert not pth.exists()


class TestJson:
    def test_its_shape(self, run: Runner, venv: str, pth: Path, tmp_path: Path) -> None:
        missing = f"{tmp_path}/no"
        named = ("--python", venv, "--python", missing, "--json")
        status, out, err = run("enable", *named)
        assert (status, err) == (5, "")
        answer = json.loads(out)
        assert list(answer) == ["version", "interpreters"]
        assert answer["version"] == 1
        bad, good = sorted(answer["interpreters"], key=lambda one: one["failure"] is None)
        assert bad == {
            "path": missing,
            "directory": None,
            "hooked": False,
            "venvs": False,
            "files": [],
            "changed": [],
            "without_bytecode": [],
            "notes": [],
            "failure": "there is no such file",
        }
        assert good | {"directory": ""} == {
            "path": venv,
            "directory": "",
            "hooked": True,
            "venvs": False,
            "files": [str(pth)],
            "changed": [str(pth)],
            "without_bytecode": [],
            "notes": [],
            "failure": None,
        }

    @pytest.mark.parametrize("verb", [("enable", "--show"), ("disable",)])
    def test_each_verb_has_it(self, run: Runner, venv: str, verb: tuple[str, ...]) -> None:
        status, out, err = run(*verb, "--json", "--python", venv)
        assert (status, err) == (0, "")
        (answer,) = json.loads(out)["interpreters"]
        assert (answer["hooked"], answer["changed"]) == (False, [])

    def test_it_is_an_object_where_nothing_is_found(
        self, run: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(interpreters, "SEARCHED", (str(tmp_path),))
        status, out, _ = run("enable", "--show", "--json")
        assert (status, json.loads(out)) == (0, {"version": 1, "interpreters": []})


_TAG = sys.implementation.cache_tag


def test_notes_and_files_are_escaped(capsys: Capture) -> None:
    result = Delivery(
        path="/a\nb", files=["/x\x1b"], changed=["/x\x1b"], is_hooked=True, notes=["n\udcff"]
    )
    verbs._print(result, verbs._enabled)
    assert capsys.readouterr().out == "/a\\nb: enabled, by /x\\x1b\n  n\\udcff\n"


def test_a_python_is_a_path_or_a_version() -> None:
    paths, specifiers = parse_pythons(["./python", "3.11", "/usr/bin/python3", "pypy"])
    assert paths == ["./python", "/usr/bin/python3"]
    assert len(specifiers) == 2
    assert parse_pythons([]) == ([], [])
    with pytest.raises(UsageError):
        parse_pythons(["/usr/bin/python3", "python three"])
