"""A simulated OKX: the documented read endpoints with the checks, limits and refusals of the real one."""

from pathlib import Path

from deploy.simulator.limits import Limiter
from deploy.simulator.okx.accounts import load_accounts
from deploy.simulator.okx.exchange import Okx


def simulate(accounts: Path, *, strict: bool) -> Okx:
    """Create the exchange with the accounts of a file; `strict` spreads the rate limits evenly."""
    return Okx(load_accounts(accounts), Limiter(strict=strict))
