"""All that is known of the price of an asset, for a user."""

import re
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from contracts.assets import DECIDED, DISTINCT
from contracts.exchanges import EXCHANGES
from contracts.prices import USD
from contracts.values import check_digits, parse_amount
from gateway.errors import InvalidInput, NoSuchPrice, TooManyPrices
from gateway.portfolio.identity import Asset, Identity, asset_of, names_of
from gateway.portfolio.shown_prices import Seen, Shown, agreed, by_hand, disputed
from gateway.prices.book import UNIT, UNPRICED, further, indexes_of, manual_of, of_market, valued
from gateway.prices.readings import Reading, Readings
from gateway.rows.prices import Manual, PriceCode
from gateway.store import prices
from gateway.store.assets import names_among
from gateway.store.pool import Pool, database_time
from gateway.store.quoted import find_quoted

NOT_A_UNIT = (
    "This is an exchange's name for a unit of another asset. Set the price of that asset: 1000SATS is a "
    "thousand SATS."
)
NOT_USD = "1 USD is worth 1 USD: set the price of another asset."
# A name, and the exchange that calls an asset by it where another one calls a different asset so.
ASSET = re.compile(r"[A-Za-z0-9._-]{1,64}(@[a-z0-9_-]{1,32})?", re.ASCII)
MAX_MANUAL = 1000
BAD_PRICE = (
    "The price must be a decimal number above 0 with at most 40 digits, in USD for one unit of the asset, "
    "such as 0.25."
)


async def look(pool: Pool, readings: Readings, user_id: UUID, asset: str) -> Seen:
    """Return the price of an asset; raises NoSuchPrice, DatabaseUnavailable."""
    if not ASSET.fullmatch(asset):
        raise NoSuchPrice
    if asset == USD:
        return Seen(asset, UNIT, None, is_disputed=False, others=())
    last, now = await readings.last()
    named = asset_of(asset)
    async with pool.transaction() as connection:
        manual = {
            text: own
            for text in {asset, named.name}
            if (own := await prices.find_manual(connection, user_id, text)) is not None
        }
        quoted = (await find_quoted(connection, [user_id])).get(user_id, [])
        identity = Identity(await names_among(connection, user_id, [named.name]), now)
    one = meant(named, identity)
    return _seen(one, last, (manual_of(one, manual, identity), valued(one, quoted, now)), identity, now)


async def set_by_hand(pool: Pool, user_id: UUID, asset: str, text: str, most: int = MAX_MANUAL) -> None:
    """Set a user's own price of an asset, one of `most`.

    Raises InvalidInput, NoSuchPrice, TooManyPrices.
    """
    try:
        value = parse_amount(text)
        check_digits(value)
    except ValueError:
        raise InvalidInput(BAD_PRICE) from None
    if value <= 0:
        raise InvalidInput(BAD_PRICE)
    if not ASSET.fullmatch(asset):
        raise NoSuchPrice
    if asset == USD:
        raise InvalidInput(NOT_USD)
    named = asset_of(asset)
    if named.exchange is not None and named.exchange not in EXCHANGES:
        raise NoSuchPrice
    async with pool.transaction() as connection:
        now = await database_time(connection)
        identity = Identity(await names_among(connection, user_id, [named.name]), now)
        one = meant(named, identity)
        if _is_unit(one):
            raise InvalidInput(NOT_A_UNIT)
        if not await prices.set_manual(connection, user_id, one.text, value, most):
            raise TooManyPrices


async def delete_by_hand(pool: Pool, user_id: UUID, asset: str) -> None:
    """Delete a user's own price of an asset; raises NoSuchPrice if there is none."""
    async with pool.transaction() as connection:
        if not await prices.delete_manual(connection, user_id, asset):
            raise NoSuchPrice


def meant(asset: Asset, identity: Identity) -> Asset:
    """Return the asset of a text; one of an exchange whose name means the same everywhere has no exchange."""
    if asset.exchange is None:
        return asset
    found = identity.of(asset.exchange, asset.name)
    return asset if found.exchange is not None else Asset(asset.name)


def _is_unit(asset: Asset) -> bool:
    """Return whether the table has a name only as that of another asset: no holding has it."""
    return asset.name in DECIDED and not any(names_of(asset, exchange) for exchange in EXCHANGES)


def _seen(
    asset: Asset,
    last: list[Reading],
    own: tuple[Manual | None, Shown | None],
    identity: Identity,
    now: datetime,
) -> Seen:
    """Return the price that counts: the user's own, else the market's, else the exchange's valuation."""
    manual, quoted = own
    found, indexes = of_market(asset, last, now), indexes_of(asset, last)
    best = UNPRICED if not found and indexes else agreed(found)
    if _is_ambiguous(asset, found, identity):
        best = Shown(None, None, None, PriceCode.AMBIGUOUS)
    elif quoted is not None and (best is None or best.value is None):
        best = quoted
    others = [each for each in found if best is None or (each.source, each.legs) != (best.source, best.legs)]
    others += further(asset, last, now)
    if manual is not None:
        others = [*([best] if best is not None else []), *others]
        best = by_hand(manual, now)
    if best is None:
        raise NoSuchPrice
    index = next(iter(indexes), None)
    is_disputed = best.code == PriceCode.DISPUTED or disputed(best.value, index, now)
    return Seen(asset.text, best, index, is_disputed, tuple(others))


def _is_ambiguous(asset: Asset, found: Sequence[Shown], identity: Identity) -> bool:
    """Return whether exchanges use a bare name for assets that may differ."""
    sources = {each.source for each in found if each.value is not None}
    is_bare = asset.exchange is None and asset.name not in DECIDED - DISTINCT
    return len(sources) > 1 and is_bare and not identity.is_one(asset.name)
