"""Programs that run under the interpreters they serve, executed by path with ``-I -S -B``.

Nobody imports this package. Each module's docstring is its protocol.
"""
