"""The verdicts on OKX's wallets: each list, compared with totals and prices from other responses. Pure."""

from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any, TypeVar

from contracts.faults import Failure
from contracts.syncs import WalletRead
from sync_worker.errors import UnexpectedResponse
from sync_worker.exchanges.okx.payloads import parse_funding, parse_trading, parse_valuation
from sync_worker.verdicts import NO_PRICES, TOLERANCE, Fetched, Listed, judge, parsed

Parsed = TypeVar("Parsed")


def judge_wallets(
    trading: Fetched | Failure,
    funding: Fetched | Failure,
    valuation: Fetched | Failure,
    tolerance: Decimal = TOLERANCE,
) -> tuple[WalletRead, WalletRead]:
    """Return the verdicts on the trading and the funding wallet.

    Both are compared with the valuation, and the prices of the trading account are used for the funding
    wallet; if these are unreadable they count as unknown.
    """
    account, valued = _read(parse_trading, trading), valued_at(valuation)
    prices = NO_PRICES if isinstance(account, Failure) else account.prices
    of_funding = partial(parse_funding, prices=prices)
    return (
        judge("trading", partial(_listed, account), trading, valued.get("trading"), tolerance),
        judge("funding", of_funding, funding, valued.get("funding"), tolerance),
    )


def _read(parse: Callable[[Any], Parsed], fetched: Fetched | Failure) -> Parsed | Failure:
    """Parse fetched data once for all users of it; return the Failure if it is unreadable."""
    try:
        return parsed(parse, fetched)
    except Failure as fault:
        return fault
    except (ValueError, ArithmeticError):  # a value that no parser expects
        return UnexpectedResponse("We can not read a value.")


def _listed(account: Listed | Failure, _data: Any) -> Listed:
    if isinstance(account, Failure):
        raise account
    return account


def valued_at(valuation: Fetched | Failure) -> dict[str, Decimal]:
    """Return the exchange's totals by wallet; none if they are unreadable."""
    totals = _read(parse_valuation, valuation)
    return {} if isinstance(totals, Failure) else totals
