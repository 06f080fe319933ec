"""Tests that run the builder with real interpreters."""
