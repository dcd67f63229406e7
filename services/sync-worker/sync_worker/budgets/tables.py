"""The budgets of the exchanges, with the operator's own limits in them. Pure."""

from collections.abc import Mapping

import msgspec

from contracts.exchanges import EXCHANGES
from contracts.exchanges.types import Budget, Exchange
from sync_worker.settings import Ceiling


def tables(ceilings: Mapping[str, Ceiling]) -> dict[str, tuple[Exchange, dict[str, Budget]]]:
    """Return each exchange that has budgets, with these by key."""
    return {
        key: (exchange, {each.key: _limited(each, ceilings.get(key)) for each in exchange.budgets})
        for key, exchange in EXCHANGES.items()
        if exchange.budgets
    }


def _limited(budget: Budget, ceiling: Ceiling | None) -> Budget:
    """Return a budget that counts all calls with the operator's limit, if that is set."""
    if ceiling is None or not budget.counts_all:
        return budget
    return msgspec.structs.replace(budget, most=ceiling.calls, seconds=ceiling.seconds)
