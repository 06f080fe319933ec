"""Interpreters: to find them, ask them, and have them compile."""
