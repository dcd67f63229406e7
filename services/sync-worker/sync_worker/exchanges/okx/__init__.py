"""OKX: connector, payloads, rows, wallets, faults and settings."""

from sync_worker.exchanges.okx import settings
from sync_worker.exchanges.okx.connector import connect

__all__ = ["connect", "settings"]
