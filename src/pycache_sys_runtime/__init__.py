"""What runs inside every interpreter: CPython 3.8 and later, PyPy; no dependency.

Nothing here imports a module that a bare interpreter has not loaded already.
"""
