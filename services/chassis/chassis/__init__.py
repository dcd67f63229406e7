"""The runtime of every service: bus, settings, logs, metrics, health and the HTTP server."""
