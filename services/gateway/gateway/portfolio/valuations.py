"""All accounts of a user with their values, and the rate of the currency to show them in. Pure."""

from collections.abc import Mapping
from datetime import datetime

import msgspec

from contracts.prices import USD
from gateway.portfolio.grouping import Group
from gateway.portfolio.rates import Rate
from gateway.portfolio.values import AccountValues, Doubt, DoubtCode, Worth, worth
from gateway.rows.balances import Held


class Valuation(msgspec.Struct, frozen=True):
    """An account as stored, and its values."""

    held: Held
    values: AccountValues


class Portfolio(msgspec.Struct, frozen=True):
    """All accounts of a user, oldest first; `rate` is None for USD, and if no rates are known yet.

    `groups` are the assets by their texts.
    """

    accounts: tuple[Valuation, ...]
    currency: str
    rate: Rate | None
    now: datetime
    groups: Mapping[str, Group] = {}

    @property
    def worth(self) -> Worth:
        """Return the worth of all accounts in USD, with the doubt about the rate, if any."""
        whole = worth([each.values for each in self.accounts])
        return msgspec.structs.replace(whole, doubts=(*whole.doubts, *self._rate_doubts()))

    def _rate_doubts(self) -> list[Doubt]:
        if self.currency == USD:
            return []
        if self.rate is None:
            return [Doubt(DoubtCode.RATE_UNKNOWN)]
        return [Doubt(DoubtCode.RATE_OLD)] if self.rate.is_old(self.now) else []
