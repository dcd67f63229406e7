"""What wallets hold, and how much of it is known."""
