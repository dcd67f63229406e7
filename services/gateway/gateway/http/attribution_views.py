"""The change of a worth split by cause, in API responses; amounts and values are decimal strings."""

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from contracts.values import AmountText, amount_text
from gateway.http.history_views import PointView, point_view
from gateway.portfolio.attribution import AssetMove, Attribution, End, Mover


class ChangePartView(msgspec.Struct, frozen=True):
    """The part of a change that has one cause; a later version may send other causes.

    `price`: the price of a quantity held at both times changed. `quantity`: an increase counts at the later
    price, a decrease at the earlier price. `coverage`: a wallet or an account was known at one of the times
    only. `unpriced`: the asset had a price at one of the times only. `mapping`: equal names of two exchanges
    were joined or split, and another price counts since then.
    """

    cause: str
    change_usd: AmountText


class AssetMoveView(msgspec.Struct, frozen=True):
    """An asset at both times, and the parts of the change of its value.

    A quantity is null where no wallet that holds the asset was known, and a value where some of it had no
    price: never zero.
    """

    asset: str
    old_quantity: AmountText | None
    new_quantity: AmountText | None
    old_price_usd: AmountText | None
    new_price_usd: AmountText | None
    old_value_usd: AmountText | None
    new_value_usd: AmountText | None
    parts: tuple[ChangePartView, ...]


class ChangesSummary(msgspec.Struct, frozen=True):
    """The change of the worth from the time of `before` to the time of `after`, in USD, split by cause.

    The parts add up exactly to the change, which is the difference of both totals; it is null and without
    parts if one of the totals is unknown. A cause without an effect is left out.
    """

    before: PointView
    after: PointView
    change_usd: AmountText | None
    parts: tuple[ChangePartView, ...]
    assets: tuple[AssetMoveView, ...]


def changes_summary(of: Attribution) -> ChangesSummary:
    """Return the view of the change of a worth."""
    return ChangesSummary(
        point_view(of.before),
        point_view(of.after),
        _text(of.change),
        _parts(of.parts),
        tuple(map(_asset, of.moves)),
    )


def _asset(of: AssetMove) -> AssetMoveView:
    return AssetMoveView(
        of.asset,
        _text(None if of.before is None else of.before.quantity),
        _text(None if of.after is None else of.after.quantity),
        _price(of.before),
        _price(of.after),
        _text(None if of.before is None else of.before.value),
        _text(None if of.after is None else of.after.value),
        _parts(of.parts),
    )


def _price(of: End | None) -> AmountText | None:
    return None if of is None or of.price is None else _text(of.price.value)


def _parts(of: Mapping[Mover, Decimal]) -> tuple[ChangePartView, ...]:
    return tuple(ChangePartView(mover, amount_text(change)) for mover, change in of.items())


def _text(value: Decimal | None) -> AmountText | None:
    return None if value is None else amount_text(value)
