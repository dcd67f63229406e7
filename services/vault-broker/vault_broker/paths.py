"""Paths of the vault: the engines and the keys that provisioning makes and brokers read."""

# The engine that holds the wrapping key, and with it every signing field.
TRANSIT = "transit"
SEALING_KEY = "secret/data/sealing-key"
# Brokers of the previous release made it here; a vault not provisioned since then has only this one.
EARLIER_SEALING_KEY = "secret/data/credentials/sealing-key"
