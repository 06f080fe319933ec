"""What the system is asked and told: trees on disk here; users, interpreters, the machine below."""
