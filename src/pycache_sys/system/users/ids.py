"""Give up root for the ids of an account."""

import os
from collections.abc import Sequence


def take_ids(uid: int, gid: int, groups: Sequence[int] = ()) -> None:
    """Take on an account's ids for good, with no groups but these. Raises OSError."""
    os.setgroups(groups)
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
