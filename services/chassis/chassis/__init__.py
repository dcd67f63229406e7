"""How any service runs: bus, settings, logs, metrics, health and the server around them."""
