"""Public prices: requested of workers, recorded, and kept in memory."""
