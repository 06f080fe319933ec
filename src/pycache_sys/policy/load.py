"""Load the policy, at no cost where there is none; keep numbers for the names in it."""

import os
from collections.abc import Mapping

from pycache_sys.policy import BCEP, REGISTRY
from pycache_sys.policy.model import Policy
from pycache_sys.system.state import write_state
from pycache_sys_runtime import policy as runtime


def load(config: str | None = None) -> Policy:
    """Load the system's policy, or the one in ``config`` alone. Raises PolicyError."""
    if config is None and not _is_any():
        return Policy(is_systems=True)
    from pycache_sys.policy.examine import examine_policy  # noqa: PLC0415 - few systems have one
    from pycache_sys.policy.problems import PolicyError  # noqa: PLC0415 - as above

    policy, problems = examine_policy(config)
    if any(not problem.is_warning for problem in problems):
        raise PolicyError(problems)
    return policy


def _is_any() -> bool:
    """Tell whether an administrator or a package says anything."""
    places = (*runtime.MAIN_FILES, *runtime.DROP_IN_DIRECTORIES, REGISTRY, BCEP)
    return any(map(os.path.lexists, places))


def write_ids(ids: Mapping[str, int], path: str = runtime.IDS_FILE) -> None:
    """Write the numbers that start-up needs for the names in the policy, if they have changed.

    Raises OSError. Nothing is written where the policy has no names.
    """
    if ids == runtime.read_ids(path):
        return
    text = "# Written by pycache-sys: the numbers of the names in its policy.\n"
    text += "".join(f"{name} = {number}\n" for name, number in sorted(ids.items()))
    write_state(path, text.encode())
