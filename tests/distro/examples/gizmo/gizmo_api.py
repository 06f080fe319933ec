"""API."""

NAME = "api"
