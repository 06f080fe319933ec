"""The administrator's policy: every statement read, every error located, a typed answer.

The scanner, and all that start-up needs to know, is ``pycache_sys_runtime.policy``.
"""

REGISTRY = "/usr/share/pycache-sys/roots.d"
"""Where packages name their private directories; only the builder looks there."""
BCEP = "/usr/share/python3/bcep"
"""Byte-compilation exception patterns of Debian's packages."""
