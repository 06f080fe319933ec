"""CPython's own tests, with the hook and without."""
