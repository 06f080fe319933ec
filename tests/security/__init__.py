"""Attacks on the builder, each carried out for real: they need root, and a Linux kernel."""
