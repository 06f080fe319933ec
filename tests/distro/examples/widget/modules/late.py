"""Late."""

NAME = "late"
