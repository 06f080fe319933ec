"""Core."""

NAME = "core"
