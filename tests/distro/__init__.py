"""The builder, proven as root in real Debian chroots."""
