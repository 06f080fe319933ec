"""Why a layer does not serve, in plain words, from what can be seen of the files."""

import stat
from dataclasses import replace

import pytest

from pycache_sys.core.explanation import (
    Answer,
    Culprit,
    File,
    Hooked,
    Kind,
    Layer,
    Module,
    Place,
    Why,
    Writing,
)
from pycache_sys.core.why import (
    HOOK_WORDS,
    Words,
    duration,
    layer_reason,
    whose,
    writing_reason,
)

ADA, BOB = 1000, 1001
SECOND = 10**9
NOON = 1_700_000_000
MAGIC = b"\xa7\r\r\n"
FILE = File(mode=0o100644, uid=ADA, gid=ADA, size=100, mtime=NOON * SECOND, ctime=NOON * SECOND)
FOLDER = replace(FILE, mode=0o040755)
ANSWER = Answer(version=(3, 11, 2), magic=MAGIC, uid=ADA, hook=Hooked.ON, prefix="", modules=())
MODULE = Module(
    asked="app", kind=Kind.SOURCE, path="/srv/app.py", served=Place.COMPILED, source=FILE
)
HEADER = MAGIC + bytes(4) + NOON.to_bytes(4, "little") + (100).to_bytes(4, "little")


def who(uid: int) -> str:
    return {0: "root", ADA: "ada (uid 1000)"}.get(uid, f"uid {uid}")


def layer(why: Why, place: Place = Place.SYSTEM, **more: object) -> Layer:
    made = Layer(place=place, path="/tree/app.pyc", why=why, file=FILE, header=HEADER)
    return replace(made, **more)  # type: ignore[arg-type]


def words(one: Layer, module: Module = MODULE) -> str:
    return layer_reason(one, module, ANSWER, who).text


class TestServing:
    def test_the_one_that_serves(self) -> None:
        module = replace(MODULE, served=Place.SYSTEM, file="/tree/app.pyc")
        assert words(layer(Why.NOTHING), module) == "serves it"
        failing = replace(module, failure="EOFError: ")
        assert words(layer(Why.NOTHING), failing) == "fails here: Python stops at it"

    def test_one_that_comes_later(self) -> None:
        module = replace(MODULE, served=Place.IMAGE, file="/image/app.pyc")
        assert words(layer(Why.NOTHING), module) == "good, but the image tree comes first"

    def test_one_that_is_good_a_moment_later(self) -> None:
        assert words(layer(Why.NOTHING)) == "good, but was not asked"


class TestAbsent:
    def test_there_is_no_file(self) -> None:
        assert layer_reason(layer(Why.ABSENT, file=None), MODULE, ANSWER, who) == Words("absent")

    def test_there_is_one_that_cannot_be_read(self) -> None:
        secret = layer(Why.ABSENT, file=replace(FILE, uid=0, mode=0o100600))
        expected = Words("cannot be read: it is root's, mode 0600", "/tree/app.pyc")
        assert layer_reason(secret, MODULE, ANSWER, who) == expected

    @pytest.mark.parametrize("why", [Why.ABSENT, Why.NO_DIRECTORY])
    def test_there_may_be_one_in_a_directory_that_cannot_be_searched(self, why: Why) -> None:
        closed = Culprit(path="/tree", file=replace(FOLDER, uid=0, mode=0o040700))
        expected = Words("cannot be read: it is root's, mode 0700", "/tree")
        hidden = layer(why, file=None, culprit=closed)
        assert layer_reason(hidden, MODULE, ANSWER, who) == expected

    @pytest.mark.parametrize(
        ("uid", "expected"), [(0, "root's"), (ADA, "ada's (uid 1000)"), (7, "of uid 7")]
    )
    def test_whose(self, uid: int, expected: str) -> None:
        assert whose(uid, who) == expected

    @pytest.mark.parametrize(
        ("kind", "expected"),
        [
            (stat.S_IFDIR, "it is a directory"),
            (stat.S_IFIFO, "it is a FIFO"),
            (stat.S_IFSOCK, "it is a socket"),
            (stat.S_IFCHR, "it is a device"),
            (stat.S_IFREG, "it is not a file"),
        ],
    )
    def test_what_is_there_instead(self, kind: int, expected: str) -> None:
        one = layer(Why.NO_FILE, file=replace(FILE, mode=kind | 0o644))
        assert words(one) == f"ignored: {expected}"

    def test_what_was_there_has_gone(self) -> None:
        assert words(layer(Why.NO_FILE, file=None)) == "ignored: it is not a file"


@pytest.mark.parametrize(
    ("size", "header", "expected"),
    [
        (0, b"", "the file is empty"),
        (12, HEADER[:12], "the file ends after 12 bytes"),
        (2 << 30, HEADER, "the file is longer than any bytecode"),
        (100, MAGIC + b"\x08" + HEADER[5:], "it has flags that no Python writes (0x8)"),
        (100, HEADER, "what follows the header is no code, or not all of it"),
    ],
)
def test_damage(size: int, header: bytes, expected: str) -> None:
    one = layer(Why.DAMAGED, file=replace(FILE, size=size), header=header)
    assert words(one) == f"damaged: {expected}"
    assert words(replace(one, file=None)) == "damaged: the file is empty"


def test_another_version() -> None:
    other = layer(Why.OTHER_VERSION, header=b"\xa6" + HEADER[1:])
    assert words(other) == "of another version: magic number 3494, this Python has 3495"
    text = layer(Why.OTHER_VERSION, header=b"#!/bin/sh")
    assert words(text) == "damaged: it does not begin as bytecode does"


class TestStale:
    def say(self, header: bytes = HEADER, source: File | None = FILE, **fields: int) -> str:
        one = layer(Why.STALE, file=replace(FILE, **fields), header=header)
        return words(one, replace(MODULE, source=source))

    @pytest.mark.parametrize(
        ("seconds", "expected"),
        [(3, "3 s newer"), (-3, "3 s older"), (86_400 * 9, "9 days newer"), (-300, "5 min older")],
    )
    def test_by_its_time(self, seconds: int, expected: str) -> None:
        source = replace(FILE, mtime=(NOON + seconds) * SECOND)
        assert self.say(source=source) == f"stale: the source is {expected}"

    def test_by_its_size(self) -> None:
        said = self.say(source=replace(FILE, size=140))
        assert said == "stale: the source has 140 bytes, the one compiled had 100"

    def test_by_its_inode(self) -> None:
        said = self.say(ctime=(NOON - 3) * SECOND)
        assert said == "stale: the source was changed 3 s after it"

    def test_where_times_say_nothing(self) -> None:
        header = HEADER[:8] + (1).to_bytes(4, "little") + HEADER[12:]
        source = replace(FILE, mtime=SECOND)
        said = self.say(header=header, source=source)
        assert said == "stale: the source's time says nothing, and there is no hash"

    def test_where_the_source_is_somebody_elses(self) -> None:
        said = self.say(source=replace(FILE, uid=BOB))
        assert said == "stale: it has no hash, and the source is of uid 1001"

    def test_by_its_hash(self) -> None:
        header = MAGIC + b"\x03" + HEADER[5:]
        assert self.say(header=header) == "stale: its hash is not that of the source"

    def test_where_nothing_can_be_seen_any_more(self) -> None:
        assert self.say(source=None) == "stale: it is not this source's"
        assert self.say(header=b"") == "stale: it is not this source's"

    def test_times_beyond_32_bits(self) -> None:
        source = replace(FILE, mtime=(NOON + (1 << 32) + 3) * SECOND)
        assert self.say(source=source) == "stale: the source is 3 s newer"


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "less than 1 s"),
        (1, "1 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7_199, "119 min"),
        (7_200, "2 h"),
        (172_800, "2 days"),
    ],
)
def test_durations(seconds: int, expected: str) -> None:
    assert duration(seconds) == expected


class TestHands:
    @pytest.mark.parametrize(
        ("fields", "expected"),
        [
            ({"uid": BOB}, "it belongs to uid 1001, not to root"),
            ({"uid": 0, "mode": 0o040777}, "everybody can write it (mode 0777)"),
            ({"uid": 0, "mode": 0o040775}, "its group can write it (mode 0775)"),
            ({"uid": 0}, "somebody else can change it"),
            (
                {"uid": 0, "mode": stat.S_IFLNK | 0o777},
                "it is a symbolic link, and none is followed here",
            ),
        ],
    )
    def test_a_tree(self, fields: dict[str, int], expected: str) -> None:
        culprit = Culprit(path="/var/cache/python", file=replace(FOLDER, **fields))
        one = layer(Why.HANDS, culprit=culprit)
        said = layer_reason(one, MODULE, ANSWER, who)
        assert said == Words(f"ignored: {expected}", "/var/cache/python")

    @pytest.mark.parametrize(
        ("fields", "expected"),
        [
            ({"uid": BOB}, "it belongs to uid 1001, not to ada"),
            ({"uid": 0}, "it belongs to root, not to ada"),
            ({"mode": 0o100666}, "everybody can write it (mode 0666)"),
            ({"mode": 0o100664}, "its group can write it (mode 0664)"),
        ],
    )
    def test_an_own_cache(self, fields: dict[str, int], expected: str) -> None:
        one = layer(Why.HANDS, Place.OWN, file=replace(FILE, **fields))
        assert words(one) == f"ignored: {expected}"
        culprit = Culprit(path="/home", file=replace(FILE, **fields))
        assert words(replace(one, file=None, culprit=culprit)) == f"ignored: {expected}"

    @pytest.mark.parametrize(
        ("fields", "expected"),
        [
            ({"uid": BOB}, "it is of uid 1001, the source is not"),
            ({"mode": 0o100666}, "everybody can write it, but not the source"),
            ({"mode": 0o100664}, "its group can write it, but not the source"),
        ],
    )
    def test_a_file_beside_the_source(self, fields: dict[str, int], expected: str) -> None:
        one = layer(Why.HANDS, Place.BESIDE, file=replace(FILE, **fields))
        assert words(one) == f"ignored: {expected}"

    def test_a_file_of_another_group(self) -> None:
        shared = replace(FILE, mode=0o100664)
        one = layer(Why.HANDS, Place.BESIDE, file=replace(shared, gid=7))
        said = words(one, replace(MODULE, source=shared))
        assert said == "ignored: its group can write it, and another one the source"

    def test_a_file_whose_source_has_gone(self) -> None:
        one = layer(Why.HANDS, Place.BESIDE)
        said = words(one, replace(MODULE, source=None))
        assert said == "ignored: it is ada's (uid 1000), the source is not"

    @pytest.mark.parametrize(
        ("fields", "above", "expected"),
        [
            ({"uid": BOB}, 0o041777, "it is of uid 1001, in a directory open to all"),
            ({}, 0o041777, "others can write it, or have put it there"),
            ({"mode": 0o100644}, 0o040755, "it is not a file"),
            (
                {"mode": 0o040777},
                0o040755,
                "everybody can write it, but not the folder above",
            ),
            (
                {"mode": 0o040775},
                0o040755,
                "its group can write it, but not the folder above",
            ),
            ({"mode": 0o040775}, 0o040775, "a group can write it that cannot write the sources"),
        ],
    )
    def test_a_folder_beside_the_source(
        self, fields: dict[str, int], above: int, expected: str
    ) -> None:
        culprit = Culprit(path="/srv/__pycache__", file=replace(FOLDER, **fields))
        one = layer(Why.HANDS, Place.BESIDE, culprit=culprit, above=replace(FOLDER, mode=above))
        said = layer_reason(one, MODULE, ANSWER, who)
        assert said == Words(f"ignored: {expected}", "/srv/__pycache__")

    def test_where_nothing_can_be_seen_any_more(self) -> None:
        assert words(layer(Why.HANDS, file=None)) == "ignored: somebody else can change it"


@pytest.mark.parametrize(
    ("why", "place", "expected"),
    [
        (Why.OFF, Place.IMAGE, "off: the policy says so"),
        (Why.NO_FOLDER, Place.SYSTEM, "absent: there is no such tree for this version"),
        (Why.NO_DIRECTORY, Place.SYSTEM, "absent: it has nothing of this directory"),
        (Why.NO_DIRECTORY, Place.BESIDE, "absent: there is no __pycache__"),
        (Why.NO_CACHE, Place.OWN, "none: no home directory is known"),
        (Why.NO_SERVICE, Place.OWN, "none: CACHE_DIRECTORY is not set for this service"),
    ],
)
def test_a_layer_that_is_none(why: Why, place: Place, expected: str) -> None:
    assert words(layer(why, place)) == expected


class TestWriting:
    def say(self, why: Why, culprit: Culprit | None = None, by: str = "") -> Words:
        writing = Writing(path="/cache/app.pyc", why=why, by=by, culprit=culprit)
        return writing_reason(writing, ANSWER, who)

    def test_what_is_written(self) -> None:
        by_hash = Words("this file, matched with the source by its hash", "/cache/app.pyc")
        by_time = Words("this file, matched by size and time", "/cache/app.pyc")
        assert self.say(Why.NOTHING, by="hash") == by_hash
        assert self.say(Why.NOTHING, by="time") == self.say(Why.NOTHING) == by_time

    def test_a_directory_in_the_way(self) -> None:
        culprit = Culprit(path="/home", file=replace(FOLDER, uid=BOB))
        expected = Words("nothing: it belongs to uid 1001, not to ada", "/home")
        assert self.say(Why.HANDS, culprit) == expected
        denied = Words("nothing: ada (uid 1000) cannot write this directory", "/home")
        assert self.say(Why.DENIED, culprit) == denied

    @pytest.mark.parametrize(
        "why",
        [
            Why.SERVED,
            Why.FAILS,
            Why.NO_WRITES,
            Why.SCRIPT,
            Why.NO_PLACE,
            Why.OFF,
            Why.GONE,
            Why.NO_CACHE,
            Why.NO_SERVICE,
        ],
    )
    def test_why_nothing_is_written(self, why: Why) -> None:
        said = self.say(why)
        assert said.text.startswith("nothing: ")
        assert said.path == ""

    def test_what_is_not_known(self) -> None:
        assert self.say(Why.OTHER_LOADER).text == "what its own loader writes"
        assert self.say(Why.HANDS).text == self.say(Why.DENIED).text == "nothing"


def test_every_state_of_the_hook_has_words() -> None:
    assert set(HOOK_WORDS) == set(Hooked)
