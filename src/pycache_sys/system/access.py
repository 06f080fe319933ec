"""What a run may look at, and whom its workers run as."""

from typing import NamedTuple

from pycache_sys.system.machine.mounts import Mounts
from pycache_sys.system.trust import Trust
from pycache_sys.system.users.privileges import Account


class Access(NamedTuple):
    """The rule for files, the account of the workers (None: the caller), the mounts that answer.

    ``is_restricted`` for the system tree: there interpreters have to be root's with all they load,
    run under ids of nobody's until that is known, and count only below the managed roots.
    """

    trust: Trust
    account: Account | None
    mounts: Mounts
    is_restricted: bool
