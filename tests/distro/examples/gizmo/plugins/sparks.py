"""Sparks."""

NAME = "sparks"
