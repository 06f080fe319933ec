"""Coverage-guided fuzzing; what it looks for holds for every input, and is replayed without it."""
