"""Saw."""

NAME = "saw"
