"""The services' access to the bus: connection, consumers, requests and replies, and waiting messages."""
