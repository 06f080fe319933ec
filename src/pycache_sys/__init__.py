"""The builder: keep precompiled bytecode of a system's Python sources under /var/cache/python."""

__version__ = "0.1.0"
