"""The machine: interpreters, workers, source directories, the tree on disk and its lock."""
