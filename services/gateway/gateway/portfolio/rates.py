"""The rate of another currency to USD at the last fixing of a central bank. Pure."""

from datetime import date, datetime, timedelta
from decimal import Context, Decimal

import msgspec

from contracts.prices import EUR, USD, PricesRead
from gateway.portfolio.markets import ONE, number
from gateway.rows.prices import Leg

# A fixing has six digits; this rounds nothing that it says.
QUOTIENT = Context(prec=12)
# Fixings pause for five days at most, at Easter.
OLD = timedelta(days=7)


class Rate(msgspec.Struct, frozen=True):
    """How much of a currency 1 USD was worth at a fixing; `legs` are the rates that the bank published.

    The rate is rounded once, and values are its exact products: so parts in any currency add up to the total.
    """

    currency: str
    per_usd: Decimal
    legs: tuple[Leg, ...]
    source: str
    fixed_on: date

    def is_old(self, now: datetime) -> bool:
        """Return whether newer fixings must have followed this one."""
        return now.date() - self.fixed_on > OLD


def rates_of(read: PricesRead) -> dict[str, Rate]:
    """Return the rates of a reading by currency; a currency that the bank does not list has none."""
    listed = {each.quote: number(each.price) for each in read.indexes or () if each.base == EUR}
    per_eur = {name: rate for name, rate in listed.items() if rate is not None and rate > 0}
    usd, fixed_on = per_eur.get(USD), read.fixed_on
    if usd is None or fixed_on is None:
        return {}
    leg = Leg(f"{EUR}-{USD}", usd)
    found = {EUR: Rate(EUR, QUOTIENT.divide(ONE, usd), (leg,), read.exchange, fixed_on)}
    for name, rate in per_eur.items():
        if name != USD:
            legs = (Leg(f"{EUR}-{name}", rate), leg)
            found[name] = Rate(name, QUOTIENT.divide(rate, usd), legs, read.exchange, fixed_on)
    return found
