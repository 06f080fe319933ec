"""Users: who they are, to become one of them, and what is theirs."""
