"""The change of the worth of accounts between two times, split exactly by cause. Pure."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

import msgspec

from gateway.portfolio.history import Then
from gateway.portfolio.holdings import EXACT, WalletState
from gateway.portfolio.markets import ZERO
from gateway.portfolio.shown_prices import Shown
from gateway.portfolio.values import Valued, exact_sum

EARLIEST = datetime.min.replace(tzinfo=UTC)
# A wallet of an account.
Spot = tuple[UUID, str]


class Mover(StrEnum):
    """Why a worth moved.

    `price`: the price of a quantity held at both times changed. `quantity`: an increase counts at the later
    price, a decrease at the earlier price. `coverage`: the contents of a wallet that was known at one of the
    times only. `unpriced`: the worth of an asset that had a price at one of the times only.
    `mapping`: equal names of two exchanges were joined or split, and another price counts since then.
    """

    QUANTITY = "quantity"
    PRICE = "price"
    COVERAGE = "coverage"
    UNPRICED = "unpriced"
    MAPPING = "mapping"


class End(msgspec.Struct, frozen=True):
    """An asset at a time: the sum of its known values, and whether some of it had no price."""

    quantity: Decimal = ZERO
    known: Decimal = ZERO
    price: Shown | None = None
    lacks_price: bool = False

    @property
    def value(self) -> Decimal | None:
        """Return the value; None if it is unknown."""
        return None if self.lacks_price else self.known


class AssetMove(msgspec.Struct, frozen=True):
    """An asset at both times, and the parts of the change of its value.

    An end is None if none of the wallets that hold the asset at either time was known at that end.
    """

    asset: str
    before: End | None
    after: End | None
    parts: Mapping[Mover, Decimal]


class Attribution(msgspec.Struct, frozen=True):
    """The change of a worth, and its parts, which add up to it; None if a total is unknown."""

    before: Then
    after: Then
    change: Decimal | None
    parts: Mapping[Mover, Decimal]
    moves: tuple[AssetMove, ...]


class _Side(msgspec.Struct, frozen=True):
    """The wallets that were known at a time, and their values, of all assets or one."""

    spots: frozenset[Spot]
    rows: Sequence[tuple[Spot, Valued]]

    def of(self, spots: Collection[Spot]) -> End:
        """Return the sum over some of the wallets."""
        return _end([part for spot, part in self.rows if spot in spots])


def attribution(before: Then, after: Then, remapped: Collection[str] = ()) -> Attribution:
    """Return the change of the worth between two times by cause; `remapped` were joined or split since."""
    old, new = _side(before), _side(after)
    assets = sorted({part.asset for _, part in (*old.rows, *new.rows)})
    olds, news = _by_asset(old), _by_asset(new)
    found = [
        _move(asset, olds.get(asset, _Side(old.spots, ())), news.get(asset, _Side(new.spots, ())))
        for asset in assets
    ]
    found = [_remapped(each) if each.asset in remapped else each for each in found]
    moves = tuple(each for each in found if each.parts or _is_told(each))
    start, end = before.worth.total, after.worth.total
    if start is None or end is None:
        return Attribution(before, after, None, {}, moves)
    sums = {mover: exact_sum([each.parts.get(mover, ZERO) for each in moves]) for mover in Mover}
    return Attribution(before, after, EXACT.subtract(end, start), _moved(sums), moves)


def held_at(thens: Sequence[Then]) -> dict[str, set[str]]:
    """Return the exchanges that hold each asset at one of the times."""
    found: dict[str, set[str]] = {}
    for then in thens:
        for account in then.accounts:
            for part in () if account.values is None else account.values.parts:
                found.setdefault(part.asset, set()).add(account.past.exchange)
    return found


def _remapped(of: AssetMove) -> AssetMove:
    parts = dict(of.parts)
    if Mover.PRICE in parts:
        parts[Mover.MAPPING] = parts.pop(Mover.PRICE)
    return AssetMove(of.asset, of.before, of.after, parts)


def _side(then: Then) -> _Side:
    known = [each.values for each in then.accounts if each.values is not None]
    rows = [((each.account_id, part.wallet), part) for each in known for part in each.parts]
    read = {
        (each.account_id, wallet)
        for each in known
        for wallet, state in each.holdings.states.items()
        if state is not WalletState.NEVER_READ
    }
    return _Side(frozenset(read | {spot for spot, _ in rows}), rows)


def _by_asset(side: _Side) -> dict[str, _Side]:
    """Return the values of one time by asset."""
    rows: dict[str, list[tuple[Spot, Valued]]] = {}
    for spot, part in side.rows:
        rows.setdefault(part.asset, []).append((spot, part))
    return {asset: _Side(side.spots, listed) for asset, listed in rows.items()}


def _move(asset: str, old: _Side, new: _Side) -> AssetMove:
    both = old.spots & new.spots
    parts = _parts(old.of(both), new.of(both))
    first, last = old.of(old.spots - both), new.of(new.spots - both)
    parts[Mover.COVERAGE] = EXACT.subtract(last.known, first.known)
    holding = {spot for spot, _ in (*old.rows, *new.rows)}
    before = old.of(old.spots) if old.spots & holding else None
    after = new.of(new.spots) if new.spots & holding else None
    return AssetMove(asset, before, after, _moved(parts))


def _parts(old: End, new: End) -> dict[Mover, Decimal]:
    """Return the parts of an asset in wallets that were known at both times."""
    whole = EXACT.subtract(new.known, old.known)
    if old.lacks_price or new.lacks_price:
        return {Mover.UNPRICED: whole}
    quantity = _of_quantity(old, new, whole)
    return {Mover.QUANTITY: quantity, Mover.PRICE: EXACT.subtract(whole, quantity)}


def _of_quantity(old: End, new: End, whole: Decimal) -> Decimal:
    """Return the value of an increase or decrease; the whole change if nothing was held at both times."""
    if old.quantity == new.quantity:
        return ZERO
    came = abs(new.quantity) > abs(old.quantity)
    price = (new if came else old).price
    if old.quantity.is_signed() != new.quantity.is_signed() or not old.quantity or not new.quantity:
        return whole
    if price is None or price.value is None:
        return whole
    return EXACT.multiply(EXACT.subtract(new.quantity, old.quantity), price.value)


def _end(parts: Sequence[Valued]) -> End:
    """Sum an asset; of the prices of several accounts the newest one counts."""
    priced = [part.price for part in parts if part.price.value is not None]
    newest = max(priced, key=lambda price: price.observed_at or EARLIEST, default=None)
    return End(
        exact_sum([part.quantity for part in parts]),
        exact_sum([part.value for part in parts if part.value is not None]),
        newest,
        any(part.value is None for part in parts),
    )


def _is_told(of: AssetMove) -> bool:
    """Return whether to name an asset whose value did not change: its quantity did, or it had no price."""
    quantities = {None if end is None else end.quantity for end in (of.before, of.after)}
    return len(quantities) > 1 or any(end is not None and end.lacks_price for end in (of.before, of.after))


def _moved(parts: Mapping[Mover, Decimal]) -> dict[Mover, Decimal]:
    return {mover: change for mover, change in parts.items() if change}
