"""Fuzz the policy: ``python tests/fuzz/policy.py [libFuzzer's options] CORPUS…``."""

import sys
import warnings

import atheris

with atheris.instrument_imports(include=["pycache_sys_runtime", "pycache_sys.policy"]):
    from invariants import check


def main() -> None:
    """Run until something does not hold, or the time is up."""
    warnings.simplefilter("error")
    atheris.Setup(sys.argv, check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
