"""Reads balances from exchanges, with requests that the vault-broker signed."""
