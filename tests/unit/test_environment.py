"""What a foreign program is given of the environment, and what not."""

from pycache_sys.core.environment import environment


def test_root_gives_nothing_of_its_environment() -> None:
    caller = {"PATH": "/evil", "LD_PRELOAD": "/evil.so", "PYTHONPATH": "/evil"}
    given = environment(caller, is_root=True)
    assert not any("evil" in value for value in given.values())
    assert set(given) == {"PATH", "LC_ALL"}


def test_a_callers_interpreter_gets_all_but_pythons_switches() -> None:
    caller = {"HOME": "/home/u", "PYTHONPATH": "/x", "PYTHONDONTWRITEBYTECODE": "1"}
    assert environment(caller, is_root=False) == {"HOME": "/home/u"}
