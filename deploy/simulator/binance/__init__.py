"""A simulated Binance: its documented read endpoints with the checks, weights and refusals."""

from pathlib import Path

from deploy.simulator.binance.accounts import load_accounts
from deploy.simulator.binance.exchange import Binance
from deploy.simulator.binance.weights import Weights


def simulate(accounts: Path, *, strict: bool) -> Binance:
    """Create the exchange with the accounts of a file; `strict` spreads the weights evenly."""
    return Binance(load_accounts(accounts), Weights(strict=strict))
