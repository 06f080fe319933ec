"""Metrics are what Prometheus' own parser reads, and nothing in them is made up."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families as parse

from pycache_sys import __version__
from pycache_sys.cli.prometheus import METRICS, PREFIX, exposition
from pycache_sys.core.standing import Cache, Folder, Hooked, Space, Standing, Use
from status_examples import NOW, healthy, odd

PAGE = Path(__file__).parents[2] / "docs" / "status.md"
Found = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples(standing: Standing) -> Found:
    """Read all samples, by name without the prefix and by labels; each is there once."""
    found: Found = {}
    for name, labels, value in _read(exposition(standing)):
        assert name.startswith(PREFIX)
        key = name.removeprefix(PREFIX), tuple(sorted(labels.items()))
        assert key not in found
        found[key] = value
    return found


def _read(text: str) -> Iterator[tuple[str, dict[str, str], float]]:
    families = list(parse(text))
    names = [family.name for family in families]
    assert len(set(names)) == len(names), "each metric is one block"
    for family in families:
        assert family.type == "gauge"
        assert family.documentation
        for sample in family.samples:
            yield sample.name, sample.labels, sample.value


def test_a_healthy_system() -> None:
    of = ("interpreter", "3.11")
    sources = {"fresh": 2029, "stale": 0, "missing": 3, "uncompilable": 1, "skipped": 1}
    assert samples(healthy()) == {
        ("info", (("version", __version__),)): 1,
        ("up", ()): 1,
        ("collection_seconds", ()): 0.412,
        ("tree_exists", ()): 1,
        **{("sources", (of, ("state", state))): number for state, number in sources.items()},
        ("tree_files", (of,)): 2029,
        ("tree_bytes", (of, ("kind", "apparent"))): 29 << 20,
        ("tree_bytes", (of, ("kind", "disk"))): 33 << 20,
        ("tree_stray_files", (of,)): 0,
        ("tree_foreign_files", (of,)): 0,
        ("hook_enabled", (of, ("path", "/usr/bin/python3.11"))): 1,
        ("last_run_timestamp_seconds", ()): NOW - 3 * 3600,
        ("last_run_duration_seconds", ()): 7.5,
        ("last_run_failures", ()): 1,
        ("last_run_stopped", ()): 0,
        ("user_cache_bytes", (("user", "ada"),)): 24 << 20,
        ("user_cache_files", (("user", "ada"),)): 1814,
    }


def test_what_is_not_known_is_left_out() -> None:
    nothing = samples(Standing(tree="/var/cache/python"))
    assert {name for name, _ in nothing} == {"info", "up", "collection_seconds", "tree_exists"}
    assert nothing["up", ()] == nothing["tree_exists", ()] == 0


def test_without_a_tree_its_sources_are_missing_and_it_has_no_size() -> None:
    gone = healthy()
    gone.is_there, gone.folders = False, [Folder(directory="3.11", missing=10)]
    names = {name for name, _ in samples(gone)}
    assert "sources" in names
    assert not names & {"tree_files", "tree_bytes", "tree_stray_files", "tree_foreign_files"}


def test_a_tree_that_does_not_count_has_no_numbers() -> None:
    hostile = healthy()
    hostile.trouble = "others can write it"
    found = samples(hostile)
    assert (found["tree_exists", ()], found["up", ()]) == (0, 0)
    assert not {name for name, _ in found} & {"sources", "tree_files", "tree_bytes"}


def test_a_folder_without_an_interpreter_has_no_sources() -> None:
    orphan = healthy()
    orphan.folders = [Folder(directory="3.9", use=Use.NOT_INSTALLED, space=Space(1, 2, 3))]
    found = samples(orphan)
    assert ("tree_files", (("interpreter", "3.9"),)) in found
    assert "sources" not in {name for name, _ in found}


def test_a_hook_that_is_not_known_is_left_out() -> None:
    unknown = healthy()
    unknown.hooks = [Hooked("/usr/bin/python3.11", "3.11", failure="it does not start")]
    assert "hook_enabled" not in {name for name, _ in samples(unknown)}


def test_caches_of_one_user_are_added_up_and_refused_ones_left_out() -> None:
    several = healthy()
    several.caches = [
        Cache("ada", 1001, "/a", 1, 10),
        Cache("ada", 1001, "/b", 2, 20),
        Cache("bob", 1002, "/c", refused="link"),
    ]
    found = {key: value for key, value in samples(several).items() if key[0].startswith("user")}
    assert found == {
        ("user_cache_bytes", (("user", "ada"),)): 30,
        ("user_cache_files", (("user", "ada"),)): 3,
    }


@pytest.mark.parametrize("name", ['a"b', "back\\slash", "new\nline", "日本", "\udcff", "{}=,", ""])
def test_labels_are_escaped(name: str) -> None:
    found = healthy()
    found.caches = [Cache(name, 1001, "/a", 1, 10)]
    (shown,) = [labels for metric, labels in samples(found) if metric == "user_cache_bytes"]
    wanted = name.replace("\n", "\\n").replace("\udcff", "\\udcff")
    assert shown == (("user", wanted),)


@given(st.text(st.characters(), max_size=12))
def test_no_name_spoils_the_text(name: str) -> None:
    text = exposition(odd(name=name))
    text.encode("utf-8")
    assert list(parse(text))


def test_numbers_are_not_rounded_by_their_size() -> None:
    large = healthy()
    large.folders[0].space = Space(10**9, 2**50 + 1, 2**53 - 1)
    text = exposition(large)
    assert f" {2**50 + 1}\n" in text
    assert f" {2**53 - 1}\n" in text


# the page


def test_the_page_has_each_metric_with_its_labels() -> None:
    table = PAGE.read_text().split("| metric | labels | meaning |\n", 1)[1].split("\n\n", 1)[0]
    rows = [[cell.strip() for cell in line.split("|")[1:4]] for line in table.splitlines()[1:]]
    assert [row[0].strip("`") for row in rows] == [PREFIX + name for name in METRICS]
    assert [row[2] for row in rows] == [metric.help for metric in METRICS.values()]
    labels: dict[str, set[str]] = {name: set() for name in METRICS}
    for metric, pairs in samples(healthy()):
        labels[metric] |= {label for label, _ in pairs}
    assert [set(re.findall("`([a-z]+)`", row[1])) for row in rows] == list(labels.values())
