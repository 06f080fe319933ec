"""What the property tests share: names, paths, stamps and answers, odd ones included."""

import os
from collections.abc import Mapping
from stat import S_IFREG
from typing import Any

from hypothesis import strategies as st

from pycache_sys.core.model import Entry

SECOND = 1_000_000_000
LONGEST_NAME = 100


def status(
    *,
    mtime: int = 1_700_000_000 * SECOND,
    ctime: int = 1_700_000_000 * SECOND,
    size: int = 10,
    mode: int = S_IFREG | 0o644,
    uid: int = 0,
) -> os.stat_result:
    """Make a ``stat`` result; times in nanoseconds, the float as the system gives it."""
    seconds, rest = divmod(mtime, SECOND)
    return os.stat_result(
        (mode, 1, 2, 1, uid, 0, size, 0, seconds, ctime // SECOND),
        {"st_mtime": seconds + 1e-9 * rest, "st_mtime_ns": mtime, "st_ctime_ns": ctime},
    )


def entry(
    header: bytes,
    *,
    mtime: int = 1_700_000_000 * SECOND,
    ctime: int = 1_700_000_001 * SECOND,
    mode: int = S_IFREG | 0o644,
    uid: int = 0,
) -> Entry:
    """Make an entry of the tree that is younger than what ``status`` makes."""
    return Entry(header, mode, uid, mtime, ctime)


def _fits(name: str) -> bool:
    return name not in (".", "..") and len(os.fsencode(name)) <= LONGEST_NAME


undecodable = st.binary(min_size=1, max_size=4).map(
    lambda data: bytes(byte | 0x80 for byte in data).decode("utf-8", "surrogateescape")
)
"""Bytes of a file name that are not UTF-8, as Python shows them (PEP 383)."""

texts = st.text(
    st.characters(blacklist_categories=["Cs"], blacklist_characters="/\0"), min_size=1, max_size=12
)
components = st.one_of(
    texts,
    undecodable,
    st.sampled_from(
        ["a", "b.c", "a\nb", " ", "-", "...", "x.py", "__init__", "a.cpython-311", "a.opt-1", "é"]
    ),
    st.tuples(texts, undecodable).map("".join),
).filter(_fits)
"""File names as Linux has them: newlines and bytes that are not UTF-8 too."""

source_names = components.map(lambda name: name + ".py")
directories = st.lists(components, min_size=1, max_size=4).map(lambda parts: "/" + "/".join(parts))
sources = st.tuples(directories, source_names).map("/".join)
"""Absolute paths of sources, without empty components."""

hostile_paths = st.tuples(
    st.lists(
        st.one_of(components, st.sampled_from(["", ".", "..", "/", "\0", "a\0"])), max_size=5
    ).map("/".join),
    st.sampled_from([".py", "a.py", "/a.py", "/.py", ".pyw", "a", "", "\0.py", "/..", "py", ".PY"]),
).map("".join)
"""Anything that might be taken for the path of a source."""

cache_tags = st.sampled_from(["cpython-38", "cpython-311", "cpython-313", "pypy39", "pypy311"])
optimizations = st.sampled_from(["", "1", "2"])
stamps = st.integers(min_value=-(1 << 33) * SECOND, max_value=(1 << 33) * SECOND)
"""Modification times in nanoseconds, before 1970 and beyond 2**32 seconds too."""

json_values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=8),
        st.sampled_from(["/", "/usr", "/usr/..", "../../etc", "cpython", "a70d0d0a", "\ud800"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)

ANSWER: Mapping[str, Any] = {
    "version": [3, 11, 2],
    "implementation": "cpython",
    "cache_tag": "cpython-311",
    "magic": "a70d0d0a",
    "free_threaded": False,
    "executable": "/usr/bin/python3.11",
    "binary": "/usr/bin/python3.11",
    "environment": "",
    "library": ["/usr/lib/python3.11", "/usr/lib/python3.11/lib-dynload"],
    "site": ["/usr/local/lib/python3.11/dist-packages", "/usr/lib/python3/dist-packages"],
    "libraries": [],
}
"""What an honest interpreter says of itself."""

KEY_NAMES = (
    "enabled", "system-tree", "image-tree", "user-cache", "root-cache", "service-cache",
    "service-uids", "cache-max-size", "cache-max-age", "read-beside-source", "explicit-prefix",
    "export-prefix", "interpreters", "roots", "exclude", "optimize", "invalidation", "jobs",
    "time-limit", "memory-limit", "triggers", "in-place", "owner", "max-files", "max-bytes",
)  # fmt: skip

policy_values = st.one_of(
    st.sampled_from(
        ["yes", "no", "true", "off", "On", "0", "1", "auto", "none", "layer", "exclusive", "keep",
         "checked-hash", "hashed", "/srv/app", "/srv//app", "/srv/app/", "/", "//", "srv/app", "~",
         "/srv/../etc", "/srv/.", "{user_cache_dir}", "{runtime_dir}/x", "{cache_directory}/{uid}",
         "/tmp/{user}", "/tmp/{uid}/", "{uid}", "/tmp/{home}", "{user_cache_dir", "}", "/x/{",
         "1-999", "1-999 65534", "9-1", "4294967294", "4294967295", "1-", "-", "1G", "10 K", "90d",
         "60s", "60", "0s", "3.12", ">=3.11,<3.14", "pypy", "pypy3.11 auto", "/opt/py/bin/python3",
         "**", "/srv/**", "/srv/*/a**", "/srv/[a-c]", "/srv/[z-a]", "/srv/[a--c]", "/srv/[!]x]",
         '"/srv/my app"', '"', '""', "0,1,2", "0 9", "root", "ada", "ghost", "1000", "é", "٣", "²"]
    ),
    st.text(st.characters(blacklist_characters="\n"), max_size=12),
)  # fmt: skip
"""What stands behind ``=``: good for some key, for none, or for nobody."""

section_names = st.one_of(
    st.sampled_from(
        ["python >=3.12", "python 3.11", "python  pypy", "python cpython<3.13", "python three",
         "python", "user ada", "user 1000", "user  ada   ghost", "user", "group staff bob",
         "group 50", 'group "', "root /srv/app", "root /srv/*", "root", "root srv", "root /",
         "os linux", "", " ", "user ada]", "[user ada"]
    ),
    st.text(max_size=8),
)  # fmt: skip

policy_lines = st.one_of(
    st.tuples(
        st.sampled_from(["", " ", "\t", "  "]),
        st.one_of(st.sampled_from(KEY_NAMES), st.sampled_from(["enabeld", "", "key", "a b"])),
        st.sampled_from([" = ", "=", " += ", "\t=\t", " +=", "= "]),
        policy_values,
        st.sampled_from(["", " ", "\t", " # why", "\r", "#", "\t#x\r"]),
    ).map("".join),
    st.tuples(
        st.sampled_from(["[", " [", "[ "]), section_names, st.sampled_from(["]", "] ", "", "] # x"])
    ).map("".join),
    st.sampled_from(["", "#", " # a comment", "enabled", "\0", "\ufeff", "\r", "=", "[]", "["]),
    st.text(max_size=12),
    undecodable,
)
policy_texts = st.lists(policy_lines, max_size=12).map("\n".join)
"""Policy files: some are right, most are not, and some are no text at all."""

specifiers = st.builds(
    "{}{}{}".format,
    st.sampled_from(["", "cpython", "python", "pypy", "cpython ", "pypy "]),
    st.sampled_from(["", "3", "3.12", "3.12.*", "2.7.18", "3.8.0"]),
    st.lists(
        st.builds(
            "{}{}{}{}".format,
            st.sampled_from([">=", "<=", "==", "!=", "~=", ">", "<"]),
            st.sampled_from(["", " "]),
            st.lists(st.integers(0, 14), min_size=1, max_size=3).map(
                lambda parts: ".".join(map(str, [3, *parts[1:]]))
            ),
            st.sampled_from(["", "", "", ".*"]),
        ),
        max_size=3,
    ).map(",".join),
)
"""What may stand behind ``python`` in a section, or in ``interpreters``; not all of it is right."""
