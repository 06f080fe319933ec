"""More."""

NAME = "more"
