"""Paths of the vault: the engines and the keys that provisioning makes and brokers read."""

# The first engine with a wrapping key and signing fields; a rotation adds others.
TRANSIT = "transit"
# The record of all such engines.
ENGINES = "secret/data/engines"
SEALING_KEY = "secret/data/sealing-key"
# Brokers of the previous release made it here; a vault not provisioned since then has only this one.
EARLIER_SEALING_KEY = "secret/data/credentials/sealing-key"
