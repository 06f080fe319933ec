"""Bytecode beside the sources: remove what the tree serves as well, or put it back.

Both are the last part of a run of ``rebuild``, under its lock and after its build. So each removed
file has its fresh entry in the tree by then, and a run that is killed at any moment has lost
nothing. What is removed is written to a ledger first; see ``pycache_sys.system.ledger``.
"""
