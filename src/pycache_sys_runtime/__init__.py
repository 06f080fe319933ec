"""What runs inside every interpreter: CPython 3.8 and later, PyPy; no dependency.

Nothing here imports a module that a bare interpreter has not loaded already. The start-up hook
never executes this file (see ``startup``), so this docstring is all that it holds.
"""
