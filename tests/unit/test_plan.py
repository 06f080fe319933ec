"""Freshness, and the plan for one directory."""

from os import stat_result
from stat import S_IFDIR, S_IFREG

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycache_sys.core import plan as planning
from pycache_sys.core import pyc
from pycache_sys.core.defects import Mark, stale_marks
from pycache_sys.core.model import (
    REVOKING,
    Entry,
    Invalidation,
    Outcome,
    Reason,
    Refusal,
    SourceDirectory,
    TreeDirectory,
)
from pycache_sys.core.plan import Freshness, Order, Plan, add_directory, judge
from strategies import SECOND, components, entry, stamps, status

MAGIC = b"\xa7\r\r\n"
ORDER = Order(tree="/tree", directory="3.11", cache_tag="cpython-311", magic=MAGIC)
OWN = ORDER._replace(world_readable=False)
SOURCE = status()
HEADER = pyc.start(MAGIC, pyc.TIMESTAMP) + pyc.timestamp_fields(SOURCE)
CHECKED = pyc.start(MAGIC, pyc.CHECKED_HASH) + b"12345678"
FRESH = entry(HEADER)
DIRECTORY = "/usr/lib/x"
NAME = "a.cpython-311.pyc"
OTHER = "a.cpython-311.opt-1.pyc"
TEMPORARY = planning.temporary_name("0123456789abcdef")


def planned(
    files: dict[str, stat_result],
    entries: dict[str, Entry],
    *,
    order: Order = ORDER,
    prune: bool = False,
    skips: tuple[Outcome, ...] = (),
    refusal: Refusal | None = None,
    directory: str = DIRECTORY,
) -> Plan:
    plan = Plan(order=order)
    sources = SourceDirectory(path=directory, files=files, skips=skips, refusal=refusal)
    add_directory(plan, sources, TreeDirectory(entries=entries), prune=prune)
    return plan


def test_what_the_builder_made_is_fresh() -> None:
    assert judge(SOURCE, FRESH, ORDER) is Freshness.FRESH


def test_a_look_from_outside_takes_what_either_has_made() -> None:
    by_hash = ORDER._replace(invalidation=Invalidation.CHECKED_HASH)
    either = by_hash._replace(or_timestamp=True)
    hashed = entry(CHECKED)
    other = FRESH._replace(header=HEADER[:8] + b"\1" + HEADER[9:])
    unchecked = FRESH._replace(header=pyc.start(MAGIC, pyc.UNCHECKED_HASH) + b"12345678")
    assert judge(SOURCE, FRESH, by_hash) is Freshness.STALE
    assert [judge(SOURCE, one, either) for one in (FRESH, hashed)] == [Freshness.FRESH] * 2
    assert [judge(SOURCE, one, either) for one in (other, unchecked)] == [Freshness.STALE] * 2
    assert stale_marks(SOURCE, FRESH, either) == ()
    assert stale_marks(SOURCE, other, either) == (Mark.HEADER,)
    flat = status(mtime=SECOND)
    flattened = entry(pyc.start(MAGIC, pyc.TIMESTAMP) + pyc.timestamp_fields(flat), mtime=SECOND)
    assert judge(flat, flattened, either) is Freshness.STALE
    assert stale_marks(flat, flattened, either) == (Mark.INVALIDATION,)


@pytest.mark.parametrize(
    "stale",
    [
        FRESH._replace(mode=S_IFREG | 0o600),
        FRESH._replace(mode=S_IFREG | 0o4644),
        FRESH._replace(mode=S_IFDIR | 0o644),
        FRESH._replace(uid=1),
        FRESH._replace(header=b""),
        FRESH._replace(header=HEADER[:15]),
        FRESH._replace(header=b"\xa8" + HEADER[1:]),
        FRESH._replace(header=HEADER[:4] + b"\1" + HEADER[5:]),
        FRESH._replace(header=HEADER[:8] + b"\1" + HEADER[9:]),
        FRESH._replace(header=HEADER[:12] + b"\0" + HEADER[13:]),
        FRESH._replace(ctime=SOURCE.st_ctime_ns - 1),
        FRESH._replace(mtime=FRESH.mtime + 1),
        FRESH._replace(header=CHECKED),
    ],
)
def test_anything_else_is_stale(stale: Entry) -> None:
    assert judge(SOURCE, stale, ORDER) is Freshness.STALE


def test_an_entry_made_in_the_tick_of_its_sources_change_is_fresh() -> None:
    assert judge(SOURCE, FRESH._replace(ctime=SOURCE.st_ctime_ns), ORDER) is Freshness.FRESH


def test_a_replaced_source_of_same_size_and_mtime_is_seen_by_its_ctime() -> None:
    later = status(ctime=FRESH.ctime + 1)
    assert judge(later, FRESH, ORDER) is Freshness.STALE


@given(stamps, st.sampled_from([1, 100, 1_000, 1_000_000, 1_000_000_000, 2_000_000_000]))
def test_coarser_stamps_of_the_trees_file_system_are_allowed_for(mtime: int, step: int) -> None:
    source = status(mtime=mtime)
    header = pyc.start(MAGIC, pyc.TIMESTAMP) + pyc.timestamp_fields(source)
    order = ORDER._replace(granularity=step, invalidation=Invalidation.TIMESTAMP)
    expected = Freshness.STALE if pyc.is_flattened(source) else Freshness.FRESH
    assert judge(source, entry(header, mtime=mtime // step * step), order) is expected
    assert judge(source, entry(header, mtime=mtime + step), order) is Freshness.STALE


def test_hashes_are_fresh_by_their_stamps() -> None:
    order = ORDER._replace(invalidation=Invalidation.CHECKED_HASH)
    assert judge(SOURCE, entry(CHECKED), order) is Freshness.FRESH
    order = ORDER._replace(invalidation=Invalidation.UNCHECKED_HASH)
    assert judge(SOURCE, entry(CHECKED), order) is Freshness.STALE


def test_a_flattened_mtime_leaves_a_doubt_and_never_a_fresh_timestamp() -> None:
    flat = status(mtime=SECOND)
    assert judge(flat, entry(CHECKED, mtime=SECOND), ORDER) is Freshness.DOUBTFUL
    timestamp = pyc.start(MAGIC, pyc.TIMESTAMP) + pyc.timestamp_fields(flat)
    order = ORDER._replace(invalidation=Invalidation.TIMESTAMP)
    assert judge(flat, entry(timestamp, mtime=SECOND), order) is Freshness.STALE


@pytest.mark.parametrize(
    ("mode", "everybodys", "own"),
    [(0o644, 0o644, 0o644), (0o600, 0o644, 0o600), (0o666, 0o644, 0o644), (0o440, 0o644, 0o640)],
)
def test_a_callers_tree_keeps_a_sources_privacy(mode: int, everybodys: int, own: int) -> None:
    source = status(mode=S_IFREG | mode)
    assert planning.entry_mode(source, ORDER) == everybodys
    assert planning.entry_mode(source, OWN) == own


def test_a_missing_entry_is_a_job() -> None:
    plan = planned({"a.py": SOURCE}, {}, order=ORDER._replace(levels=(0, 2)))
    assert [job.source for job in plan.jobs] == ["/usr/lib/x/a.py"]
    assert (plan.jobs[0].levels, plan.jobs[0].size, plan.jobs[0].invalidation) == (b"\0\2", 10, 0)
    assert not plan.is_empty


def test_a_fresh_entry_is_nothing_to_do() -> None:
    plan = planned({"a.py": SOURCE}, {NAME: FRESH})
    assert (plan.fresh, plan.is_empty) == (1, True)


def test_force_compiles_what_is_fresh() -> None:
    plan = planned({"a.py": SOURCE}, {NAME: FRESH}, order=ORDER._replace(force=True))
    assert (plan.fresh, len(plan.jobs)) == (0, 1)


def test_one_missing_level_makes_all_levels_anew() -> None:
    plan = planned({"a.py": SOURCE}, {NAME: FRESH}, order=ORDER._replace(levels=(0, 1)))
    assert [job.levels for job in plan.jobs] == [b"\0\1"]


def test_one_stale_level_makes_all_levels_anew() -> None:
    stale = FRESH._replace(mtime=1)
    plan = planned(
        {"a.py": SOURCE}, {NAME: FRESH, OTHER: stale}, order=ORDER._replace(levels=(0, 1))
    )
    assert (len(plan.jobs), plan.fresh) == (1, 0)


def test_doubt_is_left_to_the_hash_of_the_source() -> None:
    flat, levels = status(mtime=0), ORDER._replace(levels=(0, 1))
    doubtful = entry(CHECKED, mtime=0)
    plan = planned({"a.py": flat}, {NAME: doubtful, OTHER: doubtful}, order=levels)
    assert [(job.source, expected) for job, expected in plan.doubts] == [
        ("/usr/lib/x/a.py", b"12345678")
    ]
    assert not plan.is_empty
    assert (plan.jobs, plan.fresh) == ([], 0)


def test_levels_of_different_sources_leave_no_doubt() -> None:
    flat, levels = status(mtime=0), ORDER._replace(levels=(0, 1))
    entries = {NAME: entry(CHECKED, mtime=0), OTHER: entry(CHECKED[:8] + b"87654321", mtime=0)}
    plan = planned({"a.py": flat}, entries, order=levels)
    assert (len(plan.jobs), plan.doubts) == (1, [])


@pytest.mark.parametrize("stale", [NAME, OTHER])
def test_a_stale_level_beside_a_doubtful_one_leaves_no_doubt(stale: str) -> None:
    flat, levels = status(mtime=0), ORDER._replace(levels=(0, 1))
    entries = {NAME: entry(CHECKED, mtime=0), OTHER: entry(CHECKED, mtime=0)}
    entries[stale] = entries[stale]._replace(uid=7)
    plan = planned({"a.py": flat}, entries, order=levels)
    assert (len(plan.jobs), plan.doubts) == (1, [])


def test_a_name_that_no_import_reads_is_skipped() -> None:
    plan = planned({".py": SOURCE, "a": SOURCE}, {})
    assert [(skip.source, skip.reason) for skip in plan.skips] == [
        ("/usr/lib/x/.py", Reason.NOT_A_SOURCE),
        ("/usr/lib/x/a", Reason.NOT_A_SOURCE),
    ]
    assert plan.is_empty


def test_a_name_that_is_too_long_with_the_tag_is_skipped() -> None:
    longest = "é" * 116
    assert len(f"{longest}x.cpython-311.pyc".encode()) == 255 - 6
    fits, too_long = f"{longest}1234567.py", f"{longest}12345678.py"
    plan = planned({fits: SOURCE, too_long: SOURCE}, {})
    assert [job.source for job in plan.jobs] == [f"{DIRECTORY}/{fits}"]
    assert [(skip.source, skip.reason) for skip in plan.skips] == [
        (f"{DIRECTORY}/{too_long}", Reason.NAME_TOO_LONG)
    ]


def test_a_path_that_is_too_long_in_the_tree_is_skipped() -> None:
    deep = "/" + "/".join(["d" * 99] * 40)
    name = "a" * (4095 - len(f"/tree/3.11{deep}/.cpython-311.pyc") + 1) + ".py"
    plan = planned({name: SOURCE, name[1:]: SOURCE}, {}, directory=deep)
    assert [job.source for job in plan.jobs] == [f"{deep}/{name[1:]}"]
    assert [skip.reason for skip in plan.skips] == [Reason.NAME_TOO_LONG]


def test_a_directory_without_a_place_in_the_tree_is_left_out() -> None:
    assert planned({"a.py": SOURCE}, {}, directory="/").is_empty


def test_an_empty_directory_is_nothing_to_do() -> None:
    assert planned({}, {}).is_empty


def test_an_entry_without_a_source_is_pruned_only_if_that_is_asked_for() -> None:
    assert planned({}, {NAME: FRESH, OTHER: FRESH}).removals == []
    plan = planned({}, {NAME: FRESH, OTHER: FRESH}, prune=True)
    assert plan.removals == [f"3.11/usr/lib/x/{NAME}", f"3.11/usr/lib/x/{OTHER}"]
    assert not plan.is_empty


@pytest.mark.parametrize("reason", list(Reason))
@pytest.mark.parametrize("prune", [True, False])
def test_an_entry_of_a_skipped_source_goes_only_if_the_source_may_not_feed_the_tree(
    reason: Reason, prune: bool
) -> None:
    goes = prune if reason is Reason.VANISHED else reason in REVOKING
    skip = Outcome("/usr/lib/x/a.py", reason, "why")
    assert bool(planned({}, {NAME: FRESH}, skips=(skip,), prune=prune).removals) is goes
    refusal = Refusal(reason, "why")
    assert bool(planned({}, {NAME: FRESH}, refusal=refusal, prune=prune).removals) is goes


def test_a_skip_beside_it_protects_no_other_entry() -> None:
    skip = Outcome("/usr/lib/x/b.py", Reason.UNREADABLE, "why")
    assert planned({}, {NAME: FRESH}, skips=(skip,), prune=True).removals


@pytest.mark.parametrize(
    "name",
    [
        "a.pyc",
        "a.py",
        "a.cpython-310.pyc",
        "a.cpython-311.opt-3.pyc",
        "a.cpython-311.opt-x.pyc",
        "README",
        ".pycache-sys-0123456789abcdeX.tmp",
        ".pycache-sys-0123.tmp",
        ".pycache-sys-.tmp",
    ],
)
def test_what_is_not_ours_is_left_and_reported(name: str) -> None:
    plan = planned({}, {name: FRESH}, prune=True)
    assert plan.removals == []
    assert [(left.source, left.reason) for left in plan.left] == [
        (f"/tree/3.11/usr/lib/x/{name}", Reason.FOREIGN)
    ]


def test_what_a_killed_run_left_half_made_is_taken_out() -> None:
    plan = planned({}, {TEMPORARY: FRESH})
    assert (plan.removals, plan.left) == ([f"3.11/usr/lib/x/{TEMPORARY}"], [])


@given(st.one_of(components, components.map(planning.temporary_name)))
def test_only_16_hexadecimal_digits_make_a_temporary_name(name: str) -> None:
    assert planning.is_temporary(name) == (
        len(name) == len(TEMPORARY)
        and name.startswith(".pycache-sys-")
        and name.endswith(".tmp")
        and all(c in "0123456789abcdef" for c in name[13:-4])
    )


def test_a_level_that_is_not_asked_for_stays_while_it_is_fresh() -> None:
    plan = planned({"a.py": SOURCE}, {NAME: FRESH, OTHER: FRESH})
    assert (plan.removals, plan.fresh) == ([], 1)


def test_a_level_that_is_not_asked_for_goes_when_it_is_stale() -> None:
    plan = planned({"a.py": SOURCE}, {NAME: FRESH, OTHER: FRESH._replace(mtime=1)})
    assert plan.removals == [f"3.11/usr/lib/x/{OTHER}"]


def test_entries_stand_where_stock_python_looks_for_them() -> None:
    assert planning.cache_names("/usr/lib/x/a.py", ORDER._replace(levels=(0, 1, 2))) == (
        "3.11/usr/lib/x",
        [NAME, OTHER, "a.cpython-311.opt-2.pyc"],
    )
    assert ORDER.prefix == "/tree/3.11"


def test_parts_of_a_survey_are_put_together() -> None:
    one = planned({"a.py": SOURCE, "b.py": SOURCE}, {NAME: FRESH})
    flat = status(mtime=0)
    other = planned(
        {"a.py": flat, "": SOURCE}, {NAME: entry(CHECKED, mtime=0), "x": FRESH, TEMPORARY: FRESH}
    )
    other.hollow.append("3.11/y")
    one.merge(other)
    assert (len(one.jobs), one.fresh, len(one.doubts), len(one.removals)) == (1, 1, 1, 1)
    assert (len(one.skips), len(one.left), one.hollow) == (1, 1, ["3.11/y"])


IMAGE = entry(CHECKED)


@pytest.mark.parametrize(
    ("in_tree", "in_image", "levels", "doubts", "jobs"),
    [
        ({}, {NAME: IMAGE}, (0,), 1, 0),
        ({}, {NAME: IMAGE._replace(mtime=0, ctime=0)}, (0,), 1, 0),
        ({}, {NAME: IMAGE._replace(uid=1)}, (0,), 0, 1),
        ({}, {NAME: IMAGE._replace(mode=S_IFREG | 0o664)}, (0,), 0, 1),
        ({}, {NAME: FRESH}, (0,), 0, 1),
        ({}, {NAME: IMAGE._replace(header=CHECKED[:15])}, (0,), 0, 1),
        ({}, {NAME: IMAGE._replace(header=b"\xa8" + CHECKED[1:])}, (0,), 0, 1),
        ({}, {OTHER: IMAGE}, (0,), 0, 1),
        ({}, {NAME: IMAGE, OTHER: IMAGE}, (0, 1), 1, 0),
        ({}, {NAME: IMAGE}, (0, 1), 0, 1),
        ({}, {NAME: IMAGE, OTHER: entry(CHECKED[:8] + b"otherone")}, (0, 1), 0, 1),
        ({NAME: FRESH}, {OTHER: IMAGE}, (0, 1), 1, 0),
        ({NAME: FRESH}, {NAME: IMAGE}, (0,), 0, 0),
        ({NAME: FRESH._replace(mtime=1)}, {NAME: IMAGE}, (0,), 0, 1),
    ],
)
def test_what_an_image_serves_is_not_built_again(
    in_tree: dict[str, Entry],
    in_image: dict[str, Entry],
    levels: tuple[int, ...],
    doubts: int,
    jobs: int,
) -> None:
    plan = Plan(order=ORDER._replace(levels=levels))
    sources = SourceDirectory(path=DIRECTORY, files={"a.py": SOURCE})
    add_directory(plan, sources, TreeDirectory(entries=in_tree), prune=True, image=in_image)
    assert (len(plan.doubts), len(plan.jobs), plan.removals) == (doubts, jobs, [])


def test_what_is_listed_is_built_though_an_image_has_it() -> None:
    plan = Plan(order=ORDER._replace(listed=frozenset({f"{DIRECTORY}/a.py"})))
    sources = SourceDirectory(path=DIRECTORY, files={"a.py": SOURCE, "b.py": SOURCE})
    image = {NAME: IMAGE, "b.cpython-311.pyc": IMAGE}
    add_directory(plan, sources, TreeDirectory(), prune=True, image=image)
    assert ([job.source for job in plan.jobs], len(plan.doubts)) == ([f"{DIRECTORY}/a.py"], 1)


@pytest.mark.parametrize(
    ("found", "order", "expected"),
    [
        (FRESH, ORDER, Freshness.FRESH),
        (FRESH, ORDER._replace(is_doubtful=True), Freshness.STALE),
        (entry(CHECKED), ORDER._replace(invalidation=Invalidation.CHECKED_HASH), Freshness.FRESH),
        (
            entry(CHECKED),
            ORDER._replace(invalidation=Invalidation.CHECKED_HASH, is_doubtful=True),
            Freshness.DOUBTFUL,
        ),
    ],
)
def test_what_was_built_for_another_root_is_known_by_its_hash(
    found: Entry, order: Order, expected: Freshness
) -> None:
    assert judge(SOURCE, found, order) is expected
