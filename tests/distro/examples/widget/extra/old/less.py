"""Less."""

NAME = "less"
