"""Frozen values and pure functions: what is fresh, what is to be done, what was done. No I/O."""
