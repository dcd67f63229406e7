"""What a user submits of a key, read before anything is stored: its values, exchange and region. Pure."""

from collections.abc import Mapping

import msgspec

from contracts.exchanges import EXCHANGES
from contracts.exchanges.types import Exchange
from contracts.remedies import Situation, Standing, became, route_of
from contracts.values import Secret
from gateway.accounts.pasted import BadPaste, read_pasted
from gateway.errors import InvalidInput, RegionNotServed


class Submitted(msgspec.Struct, frozen=True):
    """The values of a key by field as they are used, and a note on each that was trimmed."""

    values: dict[str, Secret]
    notes: tuple[str, ...]


def read_values(
    given: Mapping[str, Secret], situation: Situation, standing: Standing = Standing.ACTIVE
) -> Submitted:
    """Read the values that were pasted; raises InvalidInput, which names each field that can not be used."""
    values, notes, wrong = {}, [], []
    for field, secret in given.items():
        try:
            values[field], note = read_pasted(field, secret)
        except BadPaste as error:
            wrong.append({"field": f"credentials.{field}", "message": str(error)})
        else:
            notes += [note] if note else []
    if wrong:
        reasons = " ".join(each["message"] for each in wrong)
        raise InvalidInput(
            _not_stored(
                reasons,
                situation,
                standing,
                "Copy it again from the exchange, or make a new key there, and s",
            ),
            errors=wrong,
        )
    return Submitted(values, tuple(notes))


def find_exchange(key: str) -> Exchange:
    """Find the exchange of an account to connect; raises InvalidInput."""
    exchange = EXCHANGES.get(key)
    if exchange is None:
        reason = f"We do not know this exchange: choose one of {', '.join(EXCHANGES)}."
        raise InvalidInput(_not_stored(reason, Situation.CONNECT))
    return exchange


def check_region(
    exchange: Exchange, region: str, situation: Situation, standing: Standing = Standing.ACTIVE
) -> None:
    """Refuse a region that is not the exchange's; raises InvalidInput, or RegionNotServed."""
    if exchange.region(region) is not None:
        return
    known = ", ".join(f"{each.key} ({each.name})" for each in exchange.regions)
    unserved = exchange.unserved_region(region)
    if unserved is None:
        reason = f"We do not know this region of {exchange.name}: choose one of {known}."
        raise InvalidInput(_not_stored(reason, situation, standing))
    reason = f"We do not serve {unserved.name} yet. {unserved.reason} We serve {known}."
    words = f"{reason} {became(situation, standing, stored=False)}"
    raise RegionNotServed(words)


def _not_stored(
    reason: str, situation: Situation, standing: Standing = Standing.ACTIVE, submit: str = "S"
) -> str:
    happened = became(situation, standing, stored=False)
    return f"{reason} {happened} {submit}ubmit the key again {route_of(situation, standing)}."
