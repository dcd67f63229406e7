"""The identity of users: passwords, sessions, tokens."""
