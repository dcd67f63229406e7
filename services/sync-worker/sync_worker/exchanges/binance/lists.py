"""Parse the rows of Binance's lists of assets. Pure.

Source: https://developers.binance.com/docs/wallet, /docs/margin_trading and /docs/derivatives.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any

from contracts import reasons
from contracts.exchanges.binance import BINANCE
from contracts.syncs import UnreadableRow
from contracts.values import Balance, check_digits
from sync_worker.errors import UnexpectedResponse
from sync_worker.exchanges.parts import EXACT, Entry
from sync_worker.exchanges.rows import (
    NOISE,
    Fields,
    Naming,
    Row,
    Rows,
    Unreadable,
    amount,
    held_amount,
    needed,
    parse_rows,
    read_rows,
    rows_of,
)
from sync_worker.exchanges.values import SHAPE, ZERO
from sync_worker.verdicts import NO_PRICES, Listed

NAMING = Naming(BINANCE, "asset")
# Of the spot account: free is available, and orders, freezes, withdrawals and issues hold the others.
SPOT_PARTS = ("free", "locked", "freeze", "withdrawing", "ipoable")
FUNDING_PARTS = SPOT_PARTS[:-1]
# The parts of a portfolio margin account, whose response has no total that includes unrealised profits.
PORTFOLIO_PARTS = ("umWalletBalance", "cmWalletBalance")
# Each of these may be an empty text, in the documented example, too, and counts as zero.
PORTFOLIO_PROFITS = ("umUnrealizedPNL", "cmUnrealizedPNL")
PORTFOLIO_DEBTS = ("crossMarginBorrowed", "crossMarginInterest")

# An isolated margin account has two assets.
SIDES = ("baseAsset", "quoteAsset")
ADDED = ("available", "locked", "borrowed")

Prices = Mapping[str, Decimal]
ReadRow = Callable[[Fields, Prices], Row | None]


def spot_row(fields: Fields, prices: Prices) -> Row:
    """Parse an asset of the spot account; raises Unreadable."""
    return _held_row(fields, SPOT_PARTS, prices)


def funding_row(fields: Fields, prices: Prices) -> Row:
    """Parse an asset of the funding account; raises Unreadable."""
    return _held_row(fields, FUNDING_PARTS, prices)


def _held_row(fields: Fields, parts: Sequence[str], prices: Prices) -> Row:
    """Parse an asset as the sum of its parts, of which the first is available."""
    asset, amounts = NAMING.asset_of(fields), [held_amount(fields, part) for part in parts]
    total = _sum(amounts)
    return priced(Balance(asset, total, amounts[0], EXACT.subtract(total, amounts[0])), prices)


def margin_row(fields: Fields, prices: Prices) -> Row | None:
    """Parse an asset of a margin account, None if the row is empty; raises Unreadable.

    The total is the amount after debts; the debt contains its interest.
    """
    asset, net = NAMING.asset_of(fields), needed(fields, "netAsset")
    free, locked, borrowed, interest = (
        held_amount(fields, name) for name in ("free", "locked", "borrowed", "interest")
    )
    debt = EXACT.add(borrowed, interest)
    _check_sum("netAsset", net, EXACT.subtract(EXACT.add(free, locked), debt))
    if not any((net, free, locked, debt)):
        return None
    return priced(Balance(asset, net, free, locked, debt), prices)


def futures_row(fields: Fields, prices: Prices) -> Row | None:
    """Parse an asset of a futures account, None if the row is empty; raises Unreadable.

    The total contains the unrealised profit of open positions.
    """
    asset, total = NAMING.asset_of(fields), needed(fields, "marginBalance")
    wallet, profit = needed(fields, "walletBalance"), needed(fields, "unrealizedProfit")
    _check_sum("marginBalance", total, EXACT.add(wallet, profit))
    if not any((total, wallet, profit)):
        return None
    return priced(Balance(asset, total, _own(amount(fields, "availableBalance"), total)), prices)


def options_row(fields: Fields, prices: Prices) -> Row | None:
    """Parse an asset of the options account, None if the row is empty; raises Unreadable."""
    asset, total = NAMING.asset_of(fields), needed(fields, "marginBalance")
    if not total:
        return None
    return priced(Balance(asset, total, _own(amount(fields, "available"), total)), prices)


def portfolio_row(fields: Fields, prices: Prices) -> Row | None:
    """Parse an asset of a portfolio margin account, None if the row is empty; raises Unreadable.

    Whether `crossMarginAsset` is less debts is not documented, so that the total adds up what it consists of.
    """
    asset, cross = NAMING.asset_of(fields), needed(fields, "crossMarginAsset")
    free, locked = held_amount(fields, "crossMarginFree"), held_amount(fields, "crossMarginLocked")
    parts = [needed(fields, name) for name in PORTFOLIO_PARTS]
    parts += [amount(fields, name) or ZERO for name in PORTFOLIO_PROFITS]
    debts = [held_amount(fields, name) for name in PORTFOLIO_DEBTS]
    if not any((cross, free, locked, *parts, *debts)):
        return None
    held, debt = EXACT.add(free, locked), _sum(debts)
    _check_sum("crossMarginAsset", cross, held, EXACT.subtract(held, debt))
    total = EXACT.subtract(EXACT.add(held, _sum(parts)), debt)
    return priced(Balance(asset, total, free, locked, debt), prices)


def parse_list(data: Any, read: ReadRow, prices: Prices = NO_PRICES) -> Listed:
    """Parse a list of assets; its worth is known if every one of them has a price."""
    return listed(read_rows(rows_in(data), lambda fields: read(fields, prices), NAMING))


def parse_isolated(data: Any, prices: Prices = NO_PRICES) -> Listed:
    """Parse the isolated margin accounts, one for each pair, and add them up by asset."""
    pairs = [(_symbol(pair), pair) for pair in rows_in(data, "assets")]
    times = Counter(symbol for symbol, _ in pairs)
    twice = [pair for symbol, pair in pairs if symbol and times[symbol] > 1]
    once = [pair for symbol, pair in pairs if not symbol or times[symbol] == 1]
    entries = parse_rows(_sides(once), partial(margin_row, prices=NO_PRICES), NAMING)
    entries += parse_rows(_sides(twice), _standing_twice, NAMING)
    rows_of(entries)  # refuses a list without a readable row
    return added_up(entries, prices)


def _symbol(pair: Any) -> str:
    symbol = pair.get("symbol") if isinstance(pair, dict) else None
    return symbol if isinstance(symbol, str) else ""


def _sides(pairs: Sequence[Any]) -> list[Any]:
    return [pair.get(side) if isinstance(pair, dict) else pair for pair in pairs for side in SIDES]


def _standing_twice(fields: Fields) -> Row | None:
    """Refuse an asset of a pair that is listed twice, because either row may be right; raises Unreadable."""
    if margin_row(fields, NO_PRICES) is not None:
        raise Unreadable(reasons.STANDS_TWICE)
    return None


def added_up(entries: Sequence[Entry], prices: Prices) -> Listed:
    """Return one row for each asset; an asset of which a part is unreadable is unreadable.

    Raises ValueError for a sum that no message can carry.
    """
    unread = [entry for entry in entries if isinstance(entry, UnreadableRow)]
    named = {entry.asset: entry for entry in unread if entry.asset is not None}
    sums: dict[str, Balance] = {}
    for entry in entries:
        if isinstance(entry, Row) and entry.asset not in named:
            sums[entry.asset] = _added(sums.get(entry.asset), entry.balance)
    for balance in sums.values():
        check_digits(balance.total)
    rows = tuple(priced(balance, prices) for balance in sums.values())
    return listed(Rows(rows, (*named.values(), *(entry for entry in unread if entry.asset is None))))


def listed(rows: Rows) -> Listed:
    """Return a list of its rows."""
    return Listed(rows.balances, rows.worth, unreadable=rows.unreadable)


def rows_in(data: Any, field: str = "") -> list[Any]:
    """Return the rows of a list, or of a field of an object; raises UnexpectedResponse."""
    rows = data.get(field) if field and isinstance(data, dict) else data
    if not isinstance(rows, list):
        raise UnexpectedResponse(SHAPE)
    return rows


def priced(balance: Balance, prices: Prices) -> Row:
    """Return a balance with its worth in USD, None without a price."""
    if not balance.total:
        return Row(balance, ZERO)
    price = prices.get(balance.asset)
    return Row(balance, None if price is None else EXACT.multiply(price, balance.total))


def _added(one: Balance | None, other: Balance) -> Balance:
    if one is None:
        return other
    pairs = ((getattr(one, name), getattr(other, name)) for name in ADDED)
    amounts = [None if a is None or b is None else EXACT.add(a, b) for a, b in pairs]
    return Balance(one.asset, EXACT.add(one.total, other.total), *amounts)


def _own(available: Decimal | None, total: Decimal) -> Decimal | None:
    """Return the available amount of an asset; None if it includes the margin of other assets."""
    return available if available is not None and ZERO <= available <= total else None


def _sum(amounts: Sequence[Decimal]) -> Decimal:
    total = ZERO
    for each in amounts:
        total = EXACT.add(total, each)
    return total


def _check_sum(name: str, said: Decimal, *sums: Decimal) -> None:
    """Refuse an amount that is none of the sums; raises Unreadable."""
    if all(abs(EXACT.subtract(said, each)) > max(NOISE, NOISE * abs(said)) for each in sums):
        raise Unreadable(reasons.PARTS_DIFFER.format(field=name))
