"""OKX: connector, payloads, rows and faults."""
