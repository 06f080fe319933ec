"""The use case ``doctor``: say what is wrong with this machine, and what mends it; change nothing.

``run`` has the list of checks; each other module is a group of them.
"""
