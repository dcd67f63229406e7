"""The exchanges that can be connected: regions, fields, wallets, names of assets, and the reads of each."""
