"""The vault-broker: keeps exchange credentials in the vault and signs reads that are on the list."""
