"""Parts."""

NAME = "parts"
