"""The gateway: authenticates users, publishes sync requests and records their outcomes."""

# That of the package; `pyproject.toml` says the same.
__version__ = "0.1.0"
