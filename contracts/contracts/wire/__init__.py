"""The wire formats: envelope, sealing and grants, and the topology and rights of the bus."""
