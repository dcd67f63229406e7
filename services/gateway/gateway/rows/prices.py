"""Prices of assets as they follow from the readings of an exchange, and prices that users set."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum

import msgspec


class Method(StrEnum):
    """How a price was found: `direct` is a trade against USD, `cross` one against another asset.

    A coin that is pegged to USD has the method `peg`. A price that is older, or that the newest reading does
    not confirm, is `last_known`. `index` is the exchange's own computation, `manual` the user's price, `unit`
    that of USD itself. `exchange_valued` is the price by which the exchange values what an account holds,
    where no market is known.
    """

    DIRECT = "direct"
    CROSS = "cross"
    PEG = "peg"
    LAST_KNOWN = "last_known"
    INDEX = "index"
    MANUAL = "manual"
    UNIT = "unit"
    EXCHANGE_VALUED = "exchange_valued"


class PriceCode(StrEnum):
    """Why a price is not simply the newest one, or is to be read with care."""

    INVALID = "price_invalid"
    IMPLAUSIBLE = "price_implausible"
    THIN = "price_thin"
    DISPUTED = "price_disputed"
    LAST_KNOWN = "last_known"
    NOT_LISTED = "not_listed"
    PEG_DEVIATES = "peg_deviates"
    PEG_UNOBSERVED = "peg_unobserved"
    UNPRICED = "unpriced"
    MANUAL = "price_manual"
    AMBIGUOUS = "name_ambiguous"


class Leg(msgspec.Struct, frozen=True, gc=False):
    """One factor of a price: the pair, and its price in units of the pair's second asset."""

    pair: str
    price: Decimal


class Price(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The price of an asset in USD; `observed_at` is the time of its oldest leg.

    `legs` are empty for the face value of a pegged coin. `observed` is the market rate of a pegged coin.
    """

    value: Decimal
    method: str
    observed_at: datetime
    legs: tuple[Leg, ...] = ()
    observed: Decimal | None = None


class Known(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """All that is known of the price of an asset.

    `price` is the last accepted one, and `code` the reason why the newest reading did not replace it. A value
    that is far from the last one waits as `doubted` until readings have confirmed it since `doubted_since`.
    """

    price: Price | None = None
    code: str | None = None
    doubted: Decimal | None = None
    doubted_since: datetime | None = None


class Manual(msgspec.Struct, frozen=True):
    """The price in USD that a user set for an asset."""

    value: Decimal
    set_at: datetime


class ManualSpan(msgspec.Struct, frozen=True):
    """From when until when a price that a user set counted; `until` is None while it does."""

    asset: str
    value: Decimal
    since: datetime
    until: datetime | None

    def counts(self, time: datetime) -> bool:
        """Return whether the price counted at a time."""
        return self.since <= time and (self.until is None or time < self.until)
