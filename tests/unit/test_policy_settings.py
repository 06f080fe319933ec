"""What the policy comes to at start-up: the values, whom they are for, and which one wins."""

import os
import string
from collections.abc import Collection, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_system import ADA, FakeSystem
from pycache_sys.policy.keys import KEYS
from pycache_sys.policy.problems import Rejected
from pycache_sys_runtime import policy as runtime
from pycache_sys_runtime.policy import (
    BUILT_IN,
    DEFAULTS,
    EVERYWHERE,
    GROUP,
    USER,
    load,
    parse_id,
    rank,
    read_ids,
    scan,
    settings,
    understand,
)
from pycache_sys_runtime.pythons import ONE_PYTHON, SEVERAL_PYTHONS
from strategies import policy_texts, policy_values

IDS = {"user ada": ADA, "group staff": 50}
PYTHON = ("cpython", (3, 12, 4))


def never() -> Any:
    raise AssertionError("asked for what is not needed")


def changed(text: str, uid: int = ADA, gids: tuple[int, ...] = (50,)) -> dict[str, object]:
    """Say what a policy changes for a process."""
    found = settings(scan(text), *PYTHON, uid, lambda: gids, lambda: IDS)
    assert found.keys() == BUILT_IN.keys()
    return {key: value for key, value in found.items() if value != BUILT_IN[key]}


class TestDefaults:
    def test_they_are_what_the_policys_words_say(self) -> None:
        assert BUILT_IN.keys() == DEFAULTS.keys()
        assert {key: understand(key, text) for key, text in DEFAULTS.items()} == BUILT_IN

    def test_they_hold_where_nothing_is_said(self) -> None:
        assert settings([], *PYTHON, ADA, never, never) == BUILT_IN

    def test_nobody_can_change_them_by_changing_an_answer(self) -> None:
        settings([], *PYTHON, ADA, never, never)["enabled"] = False
        assert settings([], *PYTHON, ADA, never, never) == BUILT_IN


class TestPrecedence:
    def test_the_later_of_two_statements_wins(self) -> None:
        assert changed("enabled = no\nenabled = yes\n") == {}
        assert changed("enabled = yes\nenabled = no\n") == {"enabled": False}

    @pytest.mark.parametrize(
        "sections",
        [
            ("", "python >=3.8"),
            ("python >=3.8", "python 3.12"),
            ("python 3.12", "group staff"),
            ("group staff", "user ada"),
            ("", "user ada"),
        ],
    )
    @pytest.mark.parametrize("is_first", [True, False])
    def test_the_more_specific_section_wins_in_any_order(
        self, sections: tuple[str, str], is_first: bool
    ) -> None:
        wide, narrow = sections
        low = f"[{wide}]\nuser-cache = /low/{{uid}}\n" if wide else "user-cache = /low/{uid}\n"
        high = f"[{narrow}]\nuser-cache = /high/{{uid}}\n"
        if is_first and not wide:
            low = ""
        assert changed(high + low if is_first else low + high) == {"user-cache": "/high/{uid}"}

    @pytest.mark.parametrize("kind", ["user ada", "group staff", "python 3.12", "python >=3"])
    def test_at_a_tie_the_later_wins(self, kind: str) -> None:
        other = {"user ada": f"user {ADA}", "group staff": "group 50", "python 3.12": "python 3"}
        text = (
            f"[{kind}]\nexplicit-prefix = ignore\n"
            f"[{other.get(kind, 'python <4')}]\nexplicit-prefix = exclusive\n"
        )
        assert changed(text) == {"explicit-prefix": "exclusive"}

    def test_sections_for_others_do_not_count(self) -> None:
        text = "".join(
            f"[{section}]\nenabled = no\n"
            for section in (
                "python 3.11", "python pypy", "python three", "user eve", "user 1", "group 51",
                "root /srv/app", "user", "group", "python", "os linux",
            )
        )  # fmt: skip
        assert changed(text) == {}

    @pytest.mark.parametrize("broken", ["[user ada", "[]", "[user \x07]"])
    def test_statements_below_a_broken_section_do_not_count(self, broken: str) -> None:
        assert changed(f"export-prefix = yes\n{broken}\nenabled = no\n") == {"export-prefix": True}

    @pytest.mark.parametrize("section", ["python 3.12", "user ada", "group staff"])
    def test_what_is_for_the_whole_system_is_in_no_section(self, section: str) -> None:
        text = (
            f"[{section}]\nsystem-tree = /x\nimage-tree = off\nroot-cache = off\n"
            "service-uids = none\nenabled = no\n"
        )
        assert changed(text) == {"enabled": False}

    def test_a_statement_that_is_not_understood_leaves_the_one_before_it(self) -> None:
        assert changed("enabled = no\nenabled = maybe\n") == {"enabled": False}
        assert changed("enabled = no\n[user ada]\nenabled = maybe\n") == {"enabled": False}
        assert changed("[user ada]\nenabled = maybe\n[group staff]\nenabled = no") == {
            "enabled": False
        }

    @pytest.mark.parametrize(
        "line", ["enabled += no", "Enabled = no", "enabled", "enabled =", "= no"]
    )
    def test_lines_that_are_no_such_statements_are_skipped(self, line: str) -> None:
        assert changed(line) == {}

    def test_keys_of_the_builders_are_skipped(self) -> None:
        text = "".join(f"{key} = yes\n" for key in KEYS if key not in DEFAULTS)
        assert settings(scan(text), *PYTHON, ADA, never, never) == BUILT_IN

    def test_names_and_groups_are_asked_for_only_where_they_are_needed(self) -> None:
        text = "enabled = no\n[python 3.12]\nexport-prefix = yes\n[user 4711]\nenabled = yes\n"
        found = settings(scan(text), *PYTHON, ADA, never, never)
        assert (found["enabled"], found["export-prefix"]) == (True, True)
        with pytest.raises(AssertionError):
            settings(scan("[user ada]\nenabled = no"), *PYTHON, ADA, never, never)
        with pytest.raises(AssertionError):
            settings(scan("[group 5]\nenabled = no"), *PYTHON, ADA, never, never)

    @given(policy_texts, st.integers(0, 1 << 32), st.sets(st.integers(0, 60)))
    def test_any_text_has_a_meaning(self, text: str, uid: int, gids: set[int]) -> None:
        found = settings(scan(text), *PYTHON, uid, lambda: gids, lambda: IDS)
        assert found.keys() == BUILT_IN.keys()
        assert {key: type(value) for key, value in found.items()} == {
            key: type(value) for key, value in BUILT_IN.items()
        }


class TestRank:
    @pytest.mark.parametrize(
        ("section", "expected"),
        [
            ("", EVERYWHERE),
            (None, -1),
            ("python >=3.8", SEVERAL_PYTHONS),
            ("python 3.12", ONE_PYTHON),
            ("python 3.11", -1),
            ("python three", -2),
            ("group staff", GROUP),
            ("group other staff", GROUP),
            ("group 7 50", GROUP),
            ("group ada", -1),
            ("user ada", USER),
            ("user eve 4711", USER),
            ("user staff", -1),
            ("user", -1),
            ("root /srv", -1),
            ("users ada", -1),
        ],
    )
    def test_it_is_the_sections(self, section: str | None, expected: int) -> None:
        found = rank(section, *PYTHON, ADA, lambda: (50,), lambda: IDS)
        assert found == expected

    def test_the_more_specific_is_higher(self) -> None:
        assert EVERYWHERE < SEVERAL_PYTHONS < ONE_PYTHON < GROUP < USER

    def test_a_name_without_a_number_is_nobodys(self) -> None:
        def ids() -> Mapping[str, int]:
            return {}

        def gids() -> Collection[int]:
            return ()

        assert rank("user ada", *PYTHON, ADA, gids, ids) == -1
        assert rank("group staff", *PYTHON, ADA, gids, ids) == -1


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("007", 7),
        ("4294967294", 4294967294),
        ("4294967295", None),
        ("99999999999", None),
        ("-1", None),
        ("1 ", None),
        ("٣", None),
        ("²", None),
        ("", None),
        ("ada", None),
        ("0x1", None),
    ],
)
def test_a_uid_is_a_number_that_a_uid_can_be(text: str, number: int | None) -> None:
    assert parse_id(text) == number


class TestValues:
    @pytest.mark.parametrize("key", ["enabled", "read-beside-source", "export-prefix"])
    def test_booleans(self, key: str) -> None:
        assert all(understand(key, word) is True for word in ("yes", "true", "on", "1"))
        assert all(understand(key, word) is False for word in ("no", "false", "off", "0"))
        assert all(understand(key, word) is None for word in ("", "Yes", "NO", "2", "y", "auto"))

    def test_explicit_prefix(self) -> None:
        for word in ("layer", "exclusive", "ignore"):
            assert understand("explicit-prefix", word) == word
        for word in ("", "Layer", "yes", "layer exclusive"):
            assert understand("explicit-prefix", word) is None

    @pytest.mark.parametrize("key", ["system-tree", "image-tree", *runtime.CACHES])
    @pytest.mark.parametrize(
        ("value", "path"),
        [
            ("/srv/tree", "/srv/tree"),
            ("/srv/tree//", "/srv/tree"),
            ("/srv/my tree", "/srv/my tree"),
            ("/srv/.tree", "/srv/.tree"),
            ("/srv/..tree", "/srv/..tree"),
            ("/srv/bäume", "/srv/bäume"),
            ("", None),
            ("/", None),
            ("//", None),
            ("//srv", None),
            ("/srv//tree", None),
            ("/srv/./tree", None),
            ("/srv/.", None),
            ("/srv/../etc", None),
            ("/srv/..", None),
            ("/..", None),
            ("srv", None),
            ("./srv", None),
            ("~/srv", None),
            ("/srv/\x07", None),
            ("/srv/\udcff", None),
        ],
    )
    def test_paths(self, key: str, value: str, path: str | None) -> None:
        assert understand(key, value) == path

    def test_all_but_the_system_tree_can_be_off(self) -> None:
        assert understand("system-tree", "off") is None
        assert all(understand(key, "off") == "" for key in ("image-tree", *runtime.CACHES))

    def test_caches_have_a_directory_by_default_and_trees_have_not(self) -> None:
        assert all(understand(key, "auto") == BUILT_IN[key] for key in runtime.CACHES)
        assert all(understand(key, "auto") is None for key in ("system-tree", "image-tree"))

    @pytest.mark.parametrize("key", runtime.CACHES)
    @pytest.mark.parametrize(
        "value",
        [
            "{user_cache_dir}",
            "{runtime_dir}/bytecode",
            "{cache_directory}/{uid}/{user}",
            "/run/user/{uid}",
            "/tmp/{user}.{uid}.{uid}",
            "{user_cache_dir}-x",
        ],
    )
    def test_caches_may_have_placeholders(self, key: str, value: str) -> None:
        assert understand(key, value) == value
        assert understand(key, value + "/") == value

    @pytest.mark.parametrize("key", runtime.CACHES)
    @pytest.mark.parametrize(
        "value",
        [
            "{uid}",
            "{user}/x",
            "/x/{user_cache_dir}",
            "{runtime_dir}{user_cache_dir}",
            "{user_cache_dir}{runtime_dir}",
            "{home}/x",
            "/x/{uid",
            "/x/uid}",
            "/x/{{uid}}",
            "/x/{us{uid}er}",
            "/x/{}",
            "{user_cache_dir}/../x",
            "{user_cache_dir}//x",
        ],
    )
    def test_but_not_any(self, key: str, value: str) -> None:
        assert understand(key, value) is None

    @pytest.mark.parametrize("key", ["system-tree", "image-tree"])
    def test_a_brace_in_a_trees_path_is_a_brace(self, key: str) -> None:
        assert understand(key, "/srv/{uid}") == "/srv/{uid}"

    @pytest.mark.parametrize(
        ("value", "ranges"),
        [
            ("5", ((5, 5),)),
            ("1-999  65534", ((1, 999), (65534, 65534))),
            ("7-7", ((7, 7),)),
            ("none", ()),
            ("", None),
            ("9-1", None),
            ("1-", None),
            ("-1", None),
            ("1-2-3", None),
            ("1, 2", None),
            ("ada", None),
            ("5 none", None),
            ("0-4294967295", None),
        ],
    )
    def test_ranges_of_uids(self, value: str, ranges: tuple[tuple[int, int], ...] | None) -> None:
        assert understand("service-uids", value) == ranges

    @given(st.sampled_from(sorted(DEFAULTS)), policy_values)
    def test_the_builder_accepts_a_value_exactly_if_start_up_understands_it(
        self, key: str, value: str
    ) -> None:
        understood = understand(key, value)
        try:
            parsed = KEYS[key].parse(value)
        except Rejected:
            parsed = None
        assert parsed == understood

    @given(st.sampled_from(runtime.CACHES), st.text(string.ascii_letters + "{}/._", max_size=30))
    def test_what_is_understood_as_a_path_goes_straight_down(self, key: str, value: str) -> None:
        understood = understand(key, value)
        if understood and value != "auto":
            filled = str(understood)
            for name in runtime.DIRECTORY_PLACEHOLDERS:
                filled = filled.removeprefix(name) if filled.startswith(name) else filled
            assert not filled or filled.startswith("/") or str(understood).startswith("{")
            assert os.path.normpath("/x" + filled) == "/x" + filled


class TestAllOfIt:
    def test_without_a_file_the_defaults_hold(self, system: FakeSystem) -> None:
        found = load(*PYTHON, system.main_files, system.drop_in_directories)
        assert found == BUILT_IN
        assert found is not BUILT_IN

    def test_files_are_read_in_their_order(self, system: FakeSystem) -> None:
        system.write(system.folder / "lib" / runtime.FILE_NAME, "enabled = no\n")
        system.drop_in("10.conf", "export-prefix = yes\nimage-tree = off\n", "lib")
        system.drop_in("20.conf", "export-prefix = no\n")
        found = load(*PYTHON, system.main_files, system.drop_in_directories)
        assert {k: v for k, v in found.items() if v != BUILT_IN[k]} == {
            "enabled": False,
            "image-tree": "",
        }

    def test_a_file_that_others_could_have_written_is_absent(self, system: FakeSystem) -> None:
        system.os.declare(system.policy("enabled = no\n"), uid=ADA)
        system.write(system.folder / "run" / runtime.FILE_NAME, "export-prefix = yes\n")
        found = load(*PYTHON, system.main_files, system.drop_in_directories)
        assert (found["enabled"], found["export-prefix"]) == (True, True)

    def test_so_are_drop_ins_where_others_may_put_some(self, system: FakeSystem) -> None:
        directory = system.drop_in("10.conf", "enabled = no\n").parent
        system.drop_in("20.conf", "export-prefix = yes\n", "run")
        system.os.declare(directory, mode=0o777)
        found = load(*PYTHON, system.main_files, system.drop_in_directories)
        assert (found["enabled"], found["export-prefix"]) == (True, True)

    def test_the_process_is_asked_who_it_is(self, system: FakeSystem) -> None:
        version = PYTHON[1]
        system.policy(
            f"[user {os.geteuid()}]\nenabled = no\n[group {os.getegid()}]\nexport-prefix = yes\n"
        )
        found = load("cpython", version, system.main_files, system.drop_in_directories)
        assert (found["enabled"], found["export-prefix"]) == (False, True)

    def test_names_are_found_among_the_builders_numbers(
        self, system: FakeSystem, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        system.write(system.ids, f"user ada = {ADA}\n")
        system.policy("[user ada]\nenabled = no\n")
        monkeypatch.setattr(system.os, "geteuid", lambda: ADA, raising=False)
        found = load(*PYTHON, system.main_files, system.drop_in_directories)
        assert found["enabled"] is False

    def test_a_mask_holds_where_there_is_no_dev_null(
        self, system: FakeSystem, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def access(path: str, mode: int, *, follow_symlinks: bool = True) -> bool:
            is_mask = os.path.islink(path) and os.readlink(path) == os.devnull
            if is_mask and follow_symlinks:
                return False  # as in a chroot without /dev
            return os.access(path, mode, follow_symlinks=follow_symlinks)

        system.policy_file.parent.mkdir()
        system.policy_file.symlink_to(os.devnull)
        system.write(system.folder / "lib" / runtime.FILE_NAME, "enabled = no\n")
        monkeypatch.setattr(system.os, "access", access, raising=False)
        found = load(*PYTHON, system.main_files, system.drop_in_directories)
        assert found["enabled"] is True


class TestNumbersForNames:
    def test_they_are_read(self, system: FakeSystem) -> None:
        system.write(system.ids, "# Written by …\nuser ada = 4711\ngroup staff = 50\n")
        assert read_ids() == IDS

    def test_what_is_no_number_is_left_out(self, system: FakeSystem) -> None:
        system.write(system.ids, "user ada = ada\ngroup staff = 50\nuser eve\n[x]\nuser bob = -1\n")
        assert read_ids() == {"group staff": 50}

    @pytest.mark.usefixtures("system")
    def test_without_a_file_there_are_none(self) -> None:
        assert read_ids() == {}

    @pytest.mark.parametrize("part", ["var/ids", "var"])
    def test_what_others_could_have_written_is_absent(self, system: FakeSystem, part: str) -> None:
        system.write(system.ids, "user ada = 0\n")
        system.os.declare(system.folder / part, uid=ADA)
        assert read_ids() == {}
