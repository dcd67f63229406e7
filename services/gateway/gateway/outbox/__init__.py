"""The outbox: the only way from the database to the bus."""
