"""How the services run: logs, metrics, health and the server around them."""
