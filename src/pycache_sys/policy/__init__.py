"""The administrator's policy: every statement read, every error located, a typed answer.

The scanner, and all that start-up needs to know, is ``pycache_sys_runtime.policy``.
"""
