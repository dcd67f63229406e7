"""The gateway: authenticates users, publishes sync requests and records their outcomes."""
