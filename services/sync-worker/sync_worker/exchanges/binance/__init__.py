"""Binance: connector, payloads, wallets and faults."""

from sync_worker.exchanges.binance.connector import connect

__all__ = ["connect"]
