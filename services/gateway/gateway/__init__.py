"""The gateway: authenticates users, publishes sync requests and records their outcomes."""

# The version of the package, equal to that in `pyproject.toml`.
__version__ = "0.1.0"
