"""First."""

NAME = "first"
