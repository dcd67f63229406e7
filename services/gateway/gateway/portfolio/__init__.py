"""The contents of wallets, and how complete they are."""
