"""Prices that move with time, alike at every simulated exchange."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

# Prices move by so much in each of ten seconds, up and down within 0.1 %.
STEP, STEPS, STEP_SECONDS = Decimal("0.0001"), 20, 10
STILL = frozenset({"USD", "USDT", "USDC"})


def present(prices: Mapping[str, Decimal], asset: str, now: datetime) -> Decimal:
    """Return the present price of an asset in USD; assets move at different times."""
    place = (int(now.timestamp()) // STEP_SECONDS + sum(asset.encode())) % (2 * STEPS)
    moved = 1 + STEP * (min(place, 2 * STEPS - place) - STEPS // 2)
    return prices[asset] * (Decimal(1) if asset in STILL else moved)
