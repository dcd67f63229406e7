"""The calls that exchanges allow one egress address, shared by all workers behind it."""
