"""OKX: connector, payloads, rows, wallets and faults."""

from sync_worker.exchanges.okx.connector import connect

__all__ = ["connect"]
