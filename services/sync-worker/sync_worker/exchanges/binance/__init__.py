"""Binance: connector, answers, rows, wallets, control total, rights and faults."""

from sync_worker.exchanges.binance.connector import connect

__all__ = ["connect"]
