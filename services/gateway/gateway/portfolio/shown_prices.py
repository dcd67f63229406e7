"""A price as the API shows it: its value now, how it was found, and what is to be said about it. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

import msgspec

from contracts.prices import PEGS, USD
from gateway.portfolio.markets import ONE, Market, Offer
from gateway.portfolio.prices import FRESH, PRICED_FOR, far, legs_of
from gateway.rows.prices import Known, Leg, Manual, Method, Price, PriceCode

# A last trade and an index that differ by more are disputed; a peg that is further off is said to deviate.
DISPUTED, DEVIATES = Decimal("0.02"), Decimal("0.01")
NO_TIME = timedelta(0)

WORDS: Mapping[str, str] = {
    PriceCode.INVALID: (
        "The exchange shows no price that counts: it is zero, negative or unreadable, or the order book of "
        "the pair is empty."
    ),
    PriceCode.IMPLAUSIBLE: (
        "The newest price is more than ten times the last known one, or less than a tenth of it. We believe "
        "it when the exchange has shown it for ten minutes."
    ),
    PriceCode.THIN: (
        "The pair is hardly traded: its order book is empty or crossed, it had no trade for a day, or its "
        "last trade is far from all offers."
    ),
    PriceCode.DISPUTED: (
        "The last trade and the exchange's index, or the prices of two exchanges, differ by more than 2 %: "
        "compare them."
    ),
    PriceCode.LAST_KNOWN: "The exchange has shown no newer price that counts. This is the last known one.",
    PriceCode.NOT_LISTED: "The exchange no longer lists or trades this asset.",
    PriceCode.PEG_DEVIATES: (
        "This coin promises to be worth 1 USD, and the market pays more than 1 % more or less. The market "
        "rate counts."
    ),
    PriceCode.PEG_UNOBSERVED: (
        "A coin that promises to be worth 1 USD counts as that: this one, or the one by which this price "
        "comes to USD. We know no market that shows what it is worth."
    ),
    PriceCode.UNPRICED: "We know no price of the last 24 hours. The value is unknown, not zero.",
    PriceCode.AMBIGUOUS: (
        "Exchanges use this name for assets that may differ. Ask for the asset of one exchange: write the "
        "name, then @ and the exchange, such as BETH@okx. Or join them: PUT /api/v1/assets/{asset}/join."
    ),
    PriceCode.MANUAL: "You set this price yourself. Delete it to see the market's.",
}
INSTEAD = "The last known price stands in its place."


class Shown(msgspec.Struct, frozen=True, gc=False):
    """A price as of now; without a value it is unknown, never zero."""

    value: Decimal | None
    method: str | None
    source: str | None
    code: str | None = None
    pair: str | None = None
    legs: tuple[Leg, ...] = ()
    observed_at: datetime | None = None
    age: timedelta | None = None
    observed: Decimal | None = None

    @property
    def words(self) -> str | None:
        """Return what the code says to a user; None without one, or for one of a later version."""
        words = None if self.code is None else WORDS.get(self.code)
        instead = self.method == Method.LAST_KNOWN and self.code != PriceCode.LAST_KNOWN
        return f"{words} {INSTEAD}" if words and instead else words


class Seen(msgspec.Struct, frozen=True):
    """The price of an asset that counts for a user, the exchange's index, and all further prices."""

    asset: str
    price: Shown
    index: Price | None
    is_disputed: bool
    others: tuple[Shown, ...]


def shown(asset: str, known: Known, market: Market, now: datetime) -> Shown:
    """Return the price of an asset: of the newest reading, the last known one, or none after a day."""
    price = known.price
    if price is None or now - price.observed_at > PRICED_FOR:
        return Shown(None, None, None, PriceCode.UNPRICED)
    is_old = now - price.observed_at > FRESH
    stands = not is_old and known.code in {None, PriceCode.PEG_UNOBSERVED}
    method = price.method if stands else Method.LAST_KNOWN
    caution = _caution(asset, price, market.index(asset), now)
    code = known.code or (PriceCode.LAST_KNOWN if is_old else caution)
    return _shown(price, method, market.source, code, now)


def by_hand(manual: Manual, now: datetime) -> Shown:
    """Return the price that a user set."""
    age = max(now - manual.set_at, NO_TIME)
    return Shown(manual.value, Method.MANUAL, "user", PriceCode.MANUAL, observed_at=manual.set_at, age=age)


def disputed(value: Decimal | None, index: Price | None, now: datetime) -> bool:
    """Return whether a price differs from the exchange's present index by more than 2 %."""
    if value is None or index is None or now - index.observed_at > FRESH:
        return False
    return abs(value - index.value) > index.value * DISPUTED


def alternatives(asset: str, known: Mapping[str, Known], market: Market, now: datetime) -> list[Shown]:
    """Return the further prices that a reading offers for an asset, with the codes of those that lie."""
    own = known.get(asset, Known()).price
    offers = market.offers(asset, legs_of(known, market.seen_at))
    others = [offer for offer in offers if own is None or offer.price is None or offer.price.legs != own.legs]
    index = market.index(asset)
    if index is not None and (own is None or own.legs != index.legs):
        others.append(Offer(index, None, index.legs[0].pair))
    return [_offered(offer, own, market.source, now) for offer in others]


def agreed(prices: Sequence[Shown]) -> Shown | None:
    """Return the best of the prices of several exchanges, disputed if the present ones differ by over 2 %.

    The first one without a code is the best, so that it does not change with each reading; else the newest.
    """
    known = [each for each in prices if each.value is not None]
    if not known:
        return next(iter(prices), None)
    clean = (each for each in known if each.code is None)
    best = next(clean, None) or min(
        known, key=lambda each: (each.method == Method.LAST_KNOWN, each.age or NO_TIME)
    )
    present = [each.value for each in known if each.value is not None and each.method != Method.LAST_KNOWN]
    if len(present) > 1 and max(present) - min(present) > min(present) * DISPUTED and _can_be_disputed(best):
        return msgspec.structs.replace(best, code=PriceCode.DISPUTED)
    return best


def _can_be_disputed(of: Shown) -> bool:
    """Return whether a dispute is the most important fact about a price."""
    return of.method != Method.LAST_KNOWN and of.code in {
        None,
        PriceCode.PEG_DEVIATES,
        PriceCode.PEG_UNOBSERVED,
    }


def _caution(asset: str, price: Price, index: Price | None, now: datetime) -> PriceCode | None:
    if PEGS.get(asset) == USD and abs(price.value - ONE) > DEVIATES:
        return PriceCode.PEG_DEVIATES
    if _counts_a_face_value(price):
        return PriceCode.PEG_UNOBSERVED
    return PriceCode.DISPUTED if disputed(price.value, index, now) else None


def _counts_a_face_value(price: Price) -> bool:
    """Return whether a price comes to USD by a pegged coin of which no market is known."""
    return bool(price.legs) and not price.legs[-1].pair.endswith(f"-{USD}")


def _offered(offer: Offer, own: Price | None, source: str, now: datetime) -> Shown:
    if offer.price is None:
        return Shown(None, None, source, offer.code, offer.pair)
    implausible = own is not None and far(offer.price.value, own.value)
    code = offer.code or (PriceCode.IMPLAUSIBLE if implausible else None)
    return _shown(offer.price, offer.price.method, source, code, now)


def _shown(price: Price, method: str, source: str, code: str | None, now: datetime) -> Shown:
    pair = price.legs[0].pair if price.legs else None
    age = max(now - price.observed_at, NO_TIME)
    return Shown(price.value, method, source, code, pair, price.legs, price.observed_at, age, price.observed)
