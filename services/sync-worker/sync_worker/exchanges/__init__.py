"""The exchanges, as they are spoken to over the network."""
